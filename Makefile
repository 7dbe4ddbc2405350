# `make help` lists the targets. Only GNU make and Python 3.11 to 3.13 with `venv` are needed.

CONFIG ?= serve_config.yaml
PYTHON ?= $(firstword $(foreach p,python3 python3.13 python3.12 python3.11,$(if \
	$(shell $(p) -c 'import sys; print((3, 11) <= sys.version_info < (3, 14) or "")' 2>/dev/null),$(p))))
BIN := .venv/bin
INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable

# Where an image has switched this off, every start would compile everything anew: 2 s.
export PYTHONDONTWRITEBYTECODE :=

.DEFAULT_GOAL := help
.PHONY: help run test-cluster env models status test test-engines lint bench bench-duplex clean

help: ## List the targets
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 15

run: .venv/installed ## Start the server on http://127.0.0.1:8000; Ctrl-C stops it (CONFIG=… for another configuration)
	@exec $(BIN)/python -m serve_app.launch $(CONFIG)

env: .venv/installed ## Prepare .envs/… for an engine with packages of its own (ENGINE=faster-whisper, for one)
	@$(BIN)/python -m serve_app.environments $(ENGINE)

models: .venv/installed ## Fetch the models of a configuration ahead (CONFIG=…)
	@$(BIN)/python -m serve_app.environments.models $(CONFIG)

status: .venv/installed ## Show the deployments of the running server
	@RAY_AUTH_MODE=token $(BIN)/serve status 2>/dev/null || \
		{ echo "Nothing answers at $${RAY_DASHBOARD_ADDRESS:-http://localhost:8265}: is the server running?"; exit 1; }

test: .venv/installed-dev ## Run all tests
	$(BIN)/python -m pytest --numprocesses 3

test-engines: .venv/installed-dev ## Test engines in environments of their own (ENGINES="xtts piper": some; PARLEY_DITTO_CHECKOUT=…: a clone of Ditto)
	@$(BIN)/python -m tests.engines $(ENGINES)

test-cluster: .venv/installed-dev ## Test the placement on fake nodes with fake GPUs: minutes
	$(BIN)/python -m pytest tests/cluster

lint: .venv/installed-dev ## Check style, types and the direction of imports
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: .venv/installed-dev ## Measure, print a table, write benchmarks/out
	$(BIN)/python -m benchmarks

bench-duplex: .venv/installed-dev ## Measure who gets the turn, and how fast: 15 minutes (QUICK=1: 5)
	$(BIN)/python -m benchmarks.duplex $(if $(QUICK),--quick)

clean: ## Remove caches and build outputs; the virtual environments stay
	rm -rf build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis benchmarks/out
	find . -name __pycache__ -not -path './.venv/*' -not -path './.envs/*' -type d -prune -exec rm -rf {} +

.venv/bin/python:
	@$(if $(PYTHON),,$(error Parley needs Python 3.11, 3.12 or 3.13, and found none; say PYTHON=/path/to/python3.12))
	@$(PYTHON) -m venv .venv || { rm -rf .venv; echo "Parley needs Python's venv module (Debian: apt-get install python3-venv)" >&2; exit 1; }

.venv/installed: .venv/bin/python pyproject.toml constraints.txt
	@echo "Installing Parley into .venv (a few minutes the first time) …"
	@$(INSTALL) .
	@touch $@

.venv/installed-dev: .venv/bin/python pyproject.toml constraints.txt
	@echo "Installing Parley and its tools into .venv (a few minutes the first time) …"
	@$(INSTALL) '.[dev]'
	@touch $@ .venv/installed
