"""Hypothesis profiles, chosen by HYPOTHESIS_PROFILE: ``ci`` (the default), ``long``, which searches far deeper,
and ``find``, which stops at the first failure and does not take the time to shrink it."""

import os

from hypothesis import HealthCheck, Phase, settings

_SLOW = [HealthCheck.too_slow, HealthCheck.data_too_large]

settings.register_profile("ci", deadline=None, print_blob=True, suppress_health_check=_SLOW)
settings.register_profile("long", settings.get_profile("ci"), max_examples=5_000, stateful_step_count=100)
settings.register_profile(
    "find", settings.get_profile("ci"), phases=(Phase.explicit, Phase.reuse, Phase.generate)
)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci"))


def examples(count: int) -> int:
    """Return how many examples a costly test runs: ``count`` by default, ten times as many in ``long``."""
    return count * 10 if os.environ.get("HYPOTHESIS_PROFILE") == "long" else count
