# Two commands do everything: `make serve` and `make test`. Each sets up what it needs.
.PHONY: serve test setup check fuzz sim soak clean

serve:
	@tools/setup serve
	@.venv/bin/modseq demo

setup:
	@tools/setup dev

# Static checks first: they fail in seconds.
check: setup
	.venv/bin/ruff check src tests tools
	.venv/bin/ruff format --check src tests
	.venv/bin/mypy
	.venv/bin/lint-imports

test: check
	.venv/bin/pytest --numprocesses=2 --cov --cov-report=term:skip-covered --cov-fail-under=80

# Longer than `make test`: each fuzz target for SECONDS, or only those named in TARGETS.
fuzz: SECONDS ?= 60
fuzz:
	tools/setup fuzz
	PYTHONPATH=tests .venv/bin/python -m fuzz.run --seconds $(SECONDS) $(TARGETS)

# HISTORIES of the simulation, from seed FROM on, or the one of SEED again; options of sim.run in ARGS.
sim: HISTORIES ?= 2000
sim: FROM ?= 0
sim: setup
	PYTHONPATH=tests .venv/bin/python -m sim.run $(if $(SEED),--seed $(SEED),--from $(FROM) --histories $(HISTORIES)) $(ARGS)

# Clients of several kinds for SECONDS; fails when anything of the server grows.
soak: SECONDS ?= 600
soak: setup
	PYTHONPATH=tests .venv/bin/python -m soak.run --seconds $(SECONDS) $(ARGS)

clean:
	rm -rf .venv .fuzz .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .coverage*
