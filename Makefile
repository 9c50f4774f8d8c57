# Every target works from a bare clone: the virtual environment is made on first use.
# Choose an interpreter with PYTHON=..., a browser with CHROMIUM=...

VENV   := .venv
PY     := $(VENV)/bin/python
READY  := $(VENV)/.ready
JOBS   ?= auto
ARGS   ?=

export PYTHON CHROMIUM
MAKEFLAGS += --no-print-directory
.DEFAULT_GOAL := help
.NOTPARALLEL:
.PHONY: help venv demo test lint format schema test-unit test-e2e lighthouse bench build clean

help: ## what there is to run
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: $(READY) ## the demo site behind the proxy; prints what to open
	@$(PY) -m examples.demo $(ARGS)

test: lint test-unit test-e2e ## everything that must be green: lint, types, tests, browser tests

lint: $(READY) ## ruff and mypy
	@echo "== ruff, mypy"
	@# All three, even where one finds something: one run, the whole list.
	@found=0; \
	$(PY) -m ruff check --quiet . || found=1; \
	$(PY) -m ruff format --check --quiet . || found=1; \
	$(PY) -m mypy || found=1; \
	exit $$found

format: $(READY) ## format the code
	@$(PY) -m ruff check --fix --quiet . ; $(PY) -m ruff format .

schema: $(READY) ## the JSON Schemas in docs/, after a change of the config's keys
	@$(PY) -m proxy schema > docs/config.schema.json
	@$(PY) -m proxy schema --included > docs/tags.schema.json

test-unit: $(READY) ## unit, property and integration tests (ARGS="-k name" chooses)
	@echo "== tests"
	@$(PY) -m pytest tests -n $(JOBS) --dist loadfile $(ARGS)

test-e2e: $(READY) ## tests in real Chromium
	@echo "== tests in Chromium"
	@scripts/npm-install e2e
	@CHROMIUM=$$(scripts/find-chromium $(PY)) && export CHROMIUM && $(PY) -m pytest e2e $(ARGS)

lighthouse: $(READY) ## Lighthouse on the demo, with the banner and without
	@scripts/npm-install e2e
	@CHROMIUM=$$(scripts/find-chromium $(PY)) && export CHROMIUM && $(PY) -m e2e.lighthouse

bench: $(READY) ## CPU a request, next to other proxies in one run (ARGS="--full" for all)
	@for tool in nginx wrk; do \
	  PATH="$$PATH:/usr/sbin" command -v $$tool >/dev/null || scripts/apt-install $$tool || true; \
	done
	@$(PY) -m bench $(ARGS)
	@$(PY) -m bench.flat_cost

build: $(READY) ## the wheel, in dist/, installed once to see that it runs
	@rm -rf dist
	@$(PY) -m pip --disable-pip-version-check -q wheel --no-deps --wheel-dir dist .
	@scripts/check-wheel $(PY) dist/*.whl

clean: ## remove what these targets made
	@rm -rf $(VENV) dist bench/output e2e/output .mypy_cache .ruff_cache .pytest_cache .hypothesis
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +

venv: $(READY)

# pyproject.toml names what is installed; a changed one installs again, into the same environment.
$(READY): pyproject.toml scripts/make-venv
	@scripts/make-venv $(VENV)
	@touch $@
