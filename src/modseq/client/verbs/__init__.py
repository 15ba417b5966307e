"""The verbs, one module a family: generators that yield effects and return results."""
