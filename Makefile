# `make demo` and `make test` do everything from nothing but Python, make and the package index.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
ARGS ?=

.PHONY: setup demo test soak check bench serve lock clean
.DEFAULT_GOAL := setup

setup: $(VENV)/.ready

$(VENV)/.ready: requirements.lock pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit("Python 3.11 or later is needed: make PYTHON=python3.11 ...") if sys.version_info < (3, 11) else 0'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	touch $@

demo: setup
	$(BIN)/ledger demo $(ARGS)

serve: setup
	$(BIN)/ledger serve $(ARGS)

test: setup
	$(BIN)/python -m pytest $(ARGS)

# Every attack that docs/reliability.md gives two numbers, at its second one: hours. CI runs them at the first, in `make test`.
SOAKED := tests/faults tests/test_simulator.py tests/api/test_own_writes.py tests/processors/test_stripe_webhooks.py tests/replay/test_tampering.py

soak: setup
	LEDGER_SOAK=1 $(BIN)/python -m pytest $(SOAKED) $(ARGS)

check: setup
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: setup
	$(BIN)/python -m benchmarks $(ARGS)

# Writes the lock file anew from pyproject.toml; hashes for every platform, no index addresses.
lock:
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet uv
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-annotate --no-header --no-emit-index-url --group dev --extra spark pyproject.toml -o requirements.lock

clean:
	rm -rf $(VENV) .ledger .hypothesis .pytest_cache .mypy_cache .ruff_cache
