# Every target works from a bare clone: what it needs is installed on first use.
# Choose an interpreter with PYTHON=..., a browser with CHROMIUM=..., another folder for the
# virtual environment with VENV=...

VENV   := .venv
PY     := $(VENV)/bin/python
RUN    := $(VENV)/.ready-run
READY  := $(VENV)/.ready-dev
DOCS   := .venv-docs/.ready
# Workers of the tests: one more than there are cores, for tests wait for sockets and processes.
JOBS   ?= $(shell echo $$(( $$(nproc 2>/dev/null || getconf _NPROCESSORS_ONLN) + 1 )))
ARGS   ?=
# Workers of the browser tests: half of their time they wait, for what must not come.
BROWSERS ?= 4
# What fills the environment of tests: `dev` is the lock, `newest` is what pyproject.toml allows.
PACKAGES := dev

export PYTHON CHROMIUM
MAKEFLAGS += --no-print-directory
.DEFAULT_GOAL := help
.NOTPARALLEL:
.PHONY: help venv demo docs test test-quick test-newest lint format schema test-unit test-e2e \
        test-frameworks test-engines test-firefox test-webkit test-tenth browser programs \
        lighthouse bench soak build image update clean-room clean

help: ## what there is to run
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "  make %-15s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: $(RUN) ## the demo site behind the proxy; prints what to open (ARGS="--proxy-port 8090")
	@$(PY) -m examples.demo $(ARGS)

docs: $(READY) $(DOCS) ## the docs site, in docs_site/output/site
	@$(PY) -m docs_site .venv-docs/bin/zensical

test: ## everything that must be green: lint, types, tests, browser tests
	@echo "== make test: installs what is missing beside ruff and mypy (2 min), then tests (11 min), tests"
	@echo "   in Chromium (18 min), Firefox and WebKit (3 min) on two quiet cores. Quicker: make test-quick"
	@$(MAKE) $(READY)
	@# Installing keeps the network busy, linting a core.
	@$(MAKE) lint & lint=$$!; $(MAKE) programs; installed=$$?; wait $$lint && exit $$installed
	@$(MAKE) test-unit
	@$(MAKE) test-e2e
	@$(MAKE) test-tenth
	@echo "== make test: all green"

test-quick: ## under a minute, without a browser: lint, types, the tests that are not slow
	@echo "== make test-quick: ruff, mypy and the tests that are neither slow nor in a browser"
	@$(MAKE) lint
	@$(PY) -m pytest tests -n $(JOBS) --dist loadfile -m "not slow" $(ARGS)

test-newest: ## make test with the newest packages that pyproject.toml allows, in .venv-newest
	@rm -f .venv-newest/.ready-dev
	@$(MAKE) test VENV=.venv-newest PACKAGES=newest

lint: $(READY) ## ruff and mypy
	@echo "== ruff, mypy"
	@# All three, even where one finds something: one run, the whole list.
	@found=0; \
	$(PY) -m ruff check --quiet . || found=1; \
	$(PY) -m ruff format --check --quiet . || found=1; \
	$(PY) -m mypy || found=1; \
	$(VENV)/bin/lint-imports --no-cache || found=1; \
	exit $$found

format: $(READY) ## format the code
	@$(PY) -m ruff check --fix --quiet . ; $(PY) -m ruff format .

schema: $(RUN) ## the JSON Schemas in docs/, after a change of the config's keys
	@$(PY) -m proxy schema > docs/config.schema.json
	@$(PY) -m proxy schema --included > docs/tags.schema.json

test-unit: $(READY) $(DOCS) ## unit, property and integration tests (ARGS="-k name" chooses)
	@echo "== tests"
	@scripts/playwright-driver $(PY)
	@NGINX=$$(scripts/find-nginx) && POSTGRESQL=$$(scripts/find-postgresql) && \
	PROMTOOL=$$(scripts/find-program prometheus promtool) && \
	LOGROTATE=$$(scripts/find-program logrotate logrotate) && \
	SYSTEMD_ANALYZE=$$(scripts/find-program systemd systemd-analyze) && \
	HAPROXY=$$(scripts/find-server haproxy) && CADDY=$$(scripts/find-server caddy) && \
	APACHE2=$$(scripts/find-server apache2) && \
	export NGINX POSTGRESQL PROMTOOL LOGROTATE SYSTEMD_ANALYZE HAPROXY CADDY APACHE2 && \
	$(PY) -m pytest tests -n $(JOBS) --dist loadfile $(ARGS)

test-e2e: $(READY) browser ## tests in real Chromium
	@echo "== tests in Chromium"
	@CHROMIUM=$$(scripts/find-chromium $(PY)) && export CHROMIUM && \
	$(PY) -m pytest e2e -n $(BROWSERS) --dist loadfile -m "not frameworks and not engines" $(ARGS)

test-frameworks: $(READY) browser ## sites built with each framework of docs/compatibility.md, in Chromium
	@CHROMIUM=$$(scripts/find-chromium $(PY)) && export CHROMIUM && \
	$(PY) -m pytest e2e/test_frameworks.py e2e/test_hydration.py $(ARGS)

test-engines: test-firefox test-webkit ## the trick table and a visitor's ways in Firefox and WebKit

test-firefox: $(READY) ## the same in Firefox alone; installs Debian's firefox-esr where it is missing
	@scripts/find-engine firefox
	@ENGINE=firefox scripts/loopback-only $(PY) -m pytest e2e/engines $(ARGS)

test-webkit: $(READY) ## the same in WebKit alone; installs Debian's webkit2gtk-driver and xvfb
	@scripts/find-engine webkit
	@ENGINE=webkit scripts/loopback-only $(PY) -m pytest e2e/engines $(ARGS)

test-tenth: $(READY) ## a tenth of the trick table in Firefox and WebKit, both at once
	@scripts/find-engine firefox webkit
	@# A container without CAP_SYS_ADMIN is no reason to have no green test at all, but is told.
	@if scripts/loopback-only true; then \
	  scripts/each-engine $(PY) -m pytest e2e/engines/test_table.py --tenth $(ARGS); \
	else \
	  echo "== NOT TRIED: a tenth of the trick table in Firefox and WebKit, for want of a namespace"; \
	fi

programs: browser $(DOCS) ## install what the other tests need, where it is missing
	@scripts/find-engine firefox webkit
	@scripts/find-nginx >/dev/null
	@scripts/find-postgresql >/dev/null
	@scripts/find-program prometheus promtool >/dev/null
	@scripts/find-program logrotate logrotate >/dev/null
	@scripts/find-program systemd systemd-analyze >/dev/null
	@for server in haproxy caddy apache2; do scripts/find-server $$server >/dev/null || exit; done

browser: $(READY) ## install what the browser tests need, where it is missing: Chromium, npm packages
	@scripts/npm-install e2e
	@scripts/playwright-driver $(PY)
	@scripts/find-chromium $(PY) >/dev/null

lighthouse: $(READY) browser ## Lighthouse on the demo, with the banner and without
	@CHROMIUM=$$(scripts/find-chromium $(PY)) && export CHROMIUM && $(PY) -m e2e.lighthouse

bench: $(READY) ## CPU a request, next to other proxies in one run (ARGS="--full" for all)
	@for tool in nginx wrk; do \
	  PATH="$$PATH:/usr/sbin" command -v $$tool >/dev/null || scripts/apt-install $$tool || true; \
	done
	@scripts/find-postgresql >/dev/null || true
	@HAPROXY=$$(scripts/find-server haproxy) && CADDY=$$(scripts/find-server caddy) && \
	export HAPROXY CADDY; $(PY) -m bench $(ARGS)
	@$(PY) -m bench.flat_cost

soak: $(READY) ## an hour of mixed traffic beside reloads, rotations and faults (ARGS="--minutes 5")
	@POSTGRESQL=$$(scripts/find-postgresql) && export POSTGRESQL && \
	$(PY) -m tests.support.soak $(ARGS)

build: $(RUN) ## the wheel, in dist/, installed once to see that it runs
	@rm -rf dist
	@$(PY) -m pip --disable-pip-version-check -qq wheel --no-deps --no-build-isolation --wheel-dir dist .
	@scripts/check-wheel $(PY) dist/*.whl

image: ## the image, built with buildah and run once, as root; BASE=IMAGE to begin from another
	@scripts/make-image $(ARGS)

update: ## the lock anew, with the newest releases the ranges allow; then all tests
	@echo "== make update: requirements/ is written anew, then make test"
	@scripts/lock $${PYTHON:-python3}
	@$(MAKE) test

clean-room: ## both commands, make demo and make test, in a Debian that has nothing (as root)
	@scripts/clean-room $(ARGS)

clean: ## remove what these targets made
	@rm -rf $(VENV) .venv-newest .venv-docs .tools dist bench/output docs_site/output e2e/output e2e/frameworks/*/output .mypy_cache .ruff_cache .pytest_cache .hypothesis
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +

venv: $(READY)

# A changed lock, or a changed pyproject.toml, installs again, into the same environment.
$(RUN): pyproject.toml scripts/make-venv requirements/build.lock.txt requirements/run.lock.txt
	@echo "== installing what the proxy needs (once, about half a minute)"
	@scripts/make-venv $(VENV) run
	@touch $@

$(READY): pyproject.toml scripts/make-venv requirements/dev.lock.txt
	@echo "== installing what the tests need (once, about a minute)"
	@scripts/make-venv $(VENV) $(PACKAGES)
	@touch $@ $(RUN)

$(DOCS): scripts/make-venv requirements/docs.lock.txt
	@echo "== installing what builds the docs site (once, a few seconds)"
	@scripts/make-venv .venv-docs docs
	@touch $@
