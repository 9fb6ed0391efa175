# Two commands do all set-up: `make demo` and `make test`. `make help` lists the rest.
PYTHON ?= python3
SET ?= cpu
ARGS ?=
VENV := .venv
BIN := $(VENV)/bin
LOCK := deploy/locks/$(SET).txt
STAMP := $(VENV)/.set-up-$(SET)
UV := $(shell command -v uv 2>/dev/null || echo $(BIN)/uv)

# OpenMP's threads spin while they wait where nothing is said, which starves whatever runs beside them.
export OMP_WAIT_POLICY ?= PASSIVE

.DEFAULT_GOAL := help
.PHONY: help setup system demo cluster check test lint faults bench services services-down java lock clean

help:  ## list these targets
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 16

setup: system $(STAMP)  ## build .venv from the hashed locks and install the Debian packages (no-op when nothing changed)

system:
	@sh deploy/services/apt.sh

$(STAMP): $(LOCK) pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or later is needed; got $$($(PYTHON) -V). Run: make $(MAKECMDGOALS) PYTHON=python3.11" >&2; exit 2; }
	@rm -f $(VENV)/.set-up-*
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@test -x "$(UV)" || $(BIN)/python -m pip install --quiet --disable-pip-version-check uv
	VIRTUAL_ENV=$(CURDIR)/$(VENV) $(UV) pip sync --quiet --require-hashes $(LOCK)
	VIRTUAL_ENV=$(CURDIR)/$(VENV) $(UV) pip install --quiet --no-deps --no-build-isolation --editable .
	@touch $@

demo: setup  ## the main job: a fleet, its forecasts, windows, API and page (ARGS=--once for a single pass)
	@$(BIN)/zhuge demo $(ARGS)

cluster: setup java  ## the demo on real services: Kafka, workers, feed and page in one terminal (ARGS=--fresh begins anew)
	@$(BIN)/python -m deploy.cluster $(ARGS)

check: setup lint  ## lint, types and unit tests, about a minute
	@$(BIN)/pytest -q -m "not slow and not browser" $(ARGS)

test: setup lint services  ## everything: check, then the slow tests and the page in a real browser
	@$(BIN)/pytest $(ARGS)

lint: setup
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy models stream batch deploy tests zhuge.py

faults: setup java  ## every fault at its full count, on a real Kafka; ends with lost: and doubled: (ARGS=--quick for fewer)
	@$(BIN)/python tests/faults/kill.py $(ARGS)
	@$(BIN)/python tests/faults/streams.py $(ARGS)

bench: setup java  ## the figures: `name: value` lines (ARGS=--quick for a minute of it)
	@$(BIN)/python tests/bench/core.py $(ARGS)
	@$(BIN)/python tests/bench/demo.py $(ARGS)
	@$(BIN)/python tests/bench/ingest.py $(ARGS)
	@$(BIN)/python tests/bench/accuracy.py $(ARGS)

services: java  ## start the servers that the tests need: Kafka (no-op where it runs)
	@$(PYTHON) -m deploy.services start

services-down:  ## stop just those servers; their data stay
	@$(PYTHON) -m deploy.services stop

java:
	@command -v java >/dev/null && command -v mvn >/dev/null || sh deploy/services/apt.sh java.txt

lock:  ## compile the locks again after a change of pyproject.toml
	for set in cpu gpu; do $(BIN)/uv pip compile --quiet pyproject.toml --extra $$set --extra dev --universal --python-version 3.11 --generate-hashes --no-header --output-file deploy/locks/$$set.txt || exit 1; done

clean: services-down  ## remove .venv, caches and data/ (the demo's stores, and yours if they lie there)
	rm -rf $(VENV) data .mypy_cache .ruff_cache .pytest_cache .hypothesis build dist
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
