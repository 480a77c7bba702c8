# Every target sets up what it needs: a virtual environment in .venv, from requirements.lock.
# Nothing but Python 3.11 or later and make is assumed.

PYTHON ?= $(shell for p in python3.11 python3.12 python3.13 python3; do command -v $$p >/dev/null && $$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
WORKERS ?= 2
CODE := libs services agent cli tests

.DEFAULT_GOAL := help
.PHONY: help setup run demo test check style test-browser test-deploy fuzz sim chaos check-mutants bench fmt lock clean

help:  ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(READY)  ## Make the virtual environment

$(READY): pyproject.toml requirements.lock
	@test -n "$(PYTHON)" || { echo "Dormice needs Python 3.11 or later; install it (Debian: python3 python3-venv)." >&2; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "setting up $(VENV) …"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements.lock
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

run: $(READY)  ## Start Dormice with this machine as its first host
	@$(BIN)/dormice up --with-this-machine

demo: $(READY)  ## Watch a fleet live through four weeks in under three minutes
	@$(BIN)/dormice demo

test: $(READY)  ## Run every test that needs no Docker engine, two files at a time
	@$(BIN)/python -m pytest -q -n $(WORKERS) --dist loadfile --no-loadscope-reorder --ignore=tests/deploy --ignore=tests/bench

check: style test  ## What CI runs: style, types, imports, tests

style: $(READY)
	@$(BIN)/ruff check $(CODE)
	@$(BIN)/ruff format --check $(CODE)
	@$(BIN)/mypy
	@$(BIN)/lint-imports

test-browser: $(READY)  ## Only the tests in a real browser
	@$(BIN)/python -m pytest -q tests/browser

test-deploy: $(READY)  ## Test the compose file on a real Docker engine
	@$(BIN)/python -m pytest -q tests/deploy

fuzz: $(READY)  ## Try properties long and at random: make fuzz TIMES=100
	@DORMICE_FUZZ=$(or $(TIMES),20) $(BIN)/python -m pytest -q --timeout=0 $$(grep -rl "^from hypothesis\|^import schemathesis" --include='test_*.py' tests)

sim: $(READY)  ## Simulate weeks of fleets: make sim SEED=7 SEEDS=20 HOSTS=5, or a night: MINUTES=480
	@$(BIN)/dormice simulate --seed $(or $(SEED),0) $(if $(HOSTS),--hosts $(HOSTS)) $(if $(MINUTES),--for $(MINUTES)m,--seeds $(or $(SEEDS),20))

check-mutants: $(READY)  ## Break each rule in a copy of the code; the tests must notice
	@$(BIN)/python -m tests.mutants $(MUTANTS)

chaos: $(READY)  ## Real processes, real faults: make chaos SEED=7 MINUTES=4; as root
	@$(BIN)/python -m tests.chaos --seed $(or $(SEED),0) --minutes $(or $(MINUTES),4)

bench: $(READY)  ## Measure every figure against its limit or a peer: make bench ONLY="pull boot"
	@$(BIN)/python -m tests.bench $(ONLY)

fmt: $(READY)  ## Format the code
	@$(BIN)/ruff check --fix $(CODE)
	@$(BIN)/ruff format $(CODE)

lock: $(READY)  ## Pin the newest versions that pyproject.toml allows
	@$(BIN)/python -m pip install --quiet pip-tools
	@$(BIN)/pip-compile --quiet --strip-extras --no-emit-index-url --no-emit-find-links --no-emit-trusted-host --no-header --no-annotate --allow-unsafe --all-extras --output-file requirements.lock pyproject.toml

clean:  ## Remove what the targets made
	@rm -rf $(VENV) build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis
