# Everything a contributor does, by name. Needs Python 3.11 or later and make; fetches the rest.
# `make` alone lists the targets.

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
MAKEFLAGS += --no-builtin-rules --no-print-directory

PYTHON ?= python3
WORKERS ?= 2
SAMPLE ?= examples.notes
BIN := .venv/bin
UV := $(or $(shell uv --version >/dev/null 2>&1 && command -v uv),.cache/tools/bin/uv)
LOWEST := .cache/venv-lowest
APPS := .cache/venv-apps
CORE := tests/rooms tests/attacks/test_tenant_walls.py tests/attacks/walls
FEATURES := .reports/features.json

export UV_NO_PROGRESS := 1
# Trust what this machine trusts, where it says what that is: networks that inspect TLS add a root of their own.
ifneq ($(wildcard /etc/ssl/certs/ca-certificates.crt /etc/pki/tls/certs/ca-bundle.crt),)
export UV_NATIVE_TLS := 1
export UV_SYSTEM_CERTS := 1
endif
# Compiled modules are kept, whatever the machine says: most tests of commands start a process of their own.
export PYTHONDONTWRITEBYTECODE :=

.PHONY: help
help: ## list what can be made
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: run
run: .venv/run.stamp ## start the sample app with accounts, roles and audit around it
	@exec $(BIN)/python -m $(SAMPLE)

.PHONY: test
test: .venv/dev.stamp peers test-lowest ## run the whole suite on SQLite and PostgreSQL
	@mkdir -p .reports
	@$(BIN)/pytest -n $(WORKERS) -m "not slow" --cov --cov-report=term --cov-report=json \
		--features-report=$(FEATURES)

.PHONY: test-all
test-all: .venv/dev.stamp peers test-lowest ## run the suite and the long soaks
	@mkdir -p .reports
	@$(BIN)/pytest -n $(WORKERS) --timeout=1800 -o faulthandler_timeout=2400 --cov --cov-report=term --cov-report=json \
		--features-report=$(FEATURES)

.PHONY: test-lowest
test-lowest: $(LOWEST)/dev.stamp ## run the rooms on SQLite with the oldest versions we allow
	@echo "The rooms on the oldest versions we allow:"
	@$(LOWEST)/bin/pytest -q -n $(WORKERS) -m "not slow" -k "not postgresql" -W default \
		$(CORE)

.PHONY: test-newest
test-newest: ## run the rooms on SQLite with the newest versions there are today
	@rm -rf .cache/venv-newest
	@$(MAKE) .cache/venv-newest/bin/python
	@$(UV) pip install --quiet --python .cache/venv-newest --upgrade --group dev --editable .
	@.cache/venv-newest/bin/pytest -q -n $(WORKERS) -m "not slow" -k "not postgresql" $(CORE)

.PHONY: check
check: .venv/dev.stamp ## lint, types and architecture: seconds
	@$(BIN)/ruff format --check --quiet .
	@$(BIN)/ruff check --quiet .
	@$(BIN)/typos
	@$(BIN)/deptry --no-ansi src
	@$(BIN)/lint-imports --no-cache --no-logo
	@$(BIN)/mypy
	@$(BIN)/pyright
	@$(BIN)/pytest -q -p no:randomly tests/architecture

.PHONY: bench
bench: .venv/dev.stamp ## measure speed against named peers in the same run
	@$(BIN)/python -m benchmarks

.PHONY: features
features: ## show which rows of the specification have a passing test
	@$(PYTHON) tools/features.py $(FEATURES)

.PHONY: docs
docs: .venv/dev.stamp reference ## build the documentation into site/, strictly
	@$(BIN)/zensical build --clean --strict --config-file mkdocs.yml

.PHONY: reference
reference: .venv/dev.stamp ## write docs/reference from what the code declares
	@$(BIN)/python tools/reference.py

.PHONY: fix
fix: .venv/dev.stamp ## format, and mend what can be mended by machine
	@$(BIN)/ruff format --quiet .
	@$(BIN)/ruff check --quiet --fix .

.PHONY: migration
migration: .venv/dev.stamp ## write a migration from the tables: make migration MESSAGE="add x"
	@test -n "$(MESSAGE)" || { echo 'Say what changes: make migration MESSAGE="add colour to users"'; exit 2; }
	@$(BIN)/python tools/migration.py "$(MESSAGE)"
	@$(BIN)/ruff format --quiet src/bartizan/foundation/database/migrations

COMPILE = $(UV) pip compile --quiet --upgrade --universal --python-version 3.11 --generate-hashes \
	--no-emit-index-url --no-header --no-annotate pyproject.toml

.PHONY: lock
lock: | $(UV) ## resolve the newest and the lowest versions again
	@$(COMPILE) --all-extras --group dev --output-file requirements.lock
	@$(COMPILE) --all-extras --group test --resolution lowest-direct --output-file requirements.lowest.lock
	@$(COMPILE) --group apps --output-file requirements.apps.lock

.PHONY: audit
audit: .venv/dev.stamp ## look the locked versions up among known vulnerabilities (network)
	@$(UV) tool run --quiet pip-audit --disable-pip --require-hashes --requirement requirements.lock

.PHONY: peers
peers: .venv/dev.stamp $(APPS)/dev.stamp ## get what some tests talk to: real applications, a browser
	@tools/peers

.PHONY: clean
clean: ## remove everything that was made here
	@rm -rf .venv .cache .reports .coverage* .mypy_cache .ruff_cache .pytest_cache .hypothesis dist site .bartizan bartizan.db*
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +

# ---- set-up

.cache/tools/bin/uv:
	@tools/get-uv "$(PYTHON)" .cache/tools

.venv/bin/python .cache/venv-lowest/bin/python .cache/venv-newest/bin/python .cache/venv-apps/bin/python: | $(UV)
	@tools/check-python "$(PYTHON)"
	@$(UV) venv --quiet --allow-existing --python "$(PYTHON)" $(@:/bin/python=)

# `make run` needs no tools, so it takes only what the product needs, at the locked versions.
.venv/run.stamp: pyproject.toml requirements.lock | .venv/bin/python
	@echo "Setting up .venv ..."
	@$(UV) pip install --quiet --python .venv --constraint requirements.lock --editable .
	@touch $@

.venv/dev.stamp: pyproject.toml requirements.lock | .venv/bin/python
	@echo "Setting up .venv with the tools ..."
	@$(UV) pip sync --quiet --python .venv requirements.lock
	@$(UV) pip install --quiet --python .venv --no-deps --editable .
	@touch $@ .venv/run.stamp

# Environments that hold more than the tools: each from its own lock, with the product in place.
$(LOWEST)/dev.stamp: requirements.lowest.lock
$(APPS)/dev.stamp: requirements.apps.lock
$(LOWEST)/dev.stamp $(APPS)/dev.stamp: %/dev.stamp: pyproject.toml | %/bin/python
	@echo "Setting up $* ..."
	@$(UV) pip sync --quiet --python $* $(filter %.lock,$^)
	@$(UV) pip install --quiet --python $* --no-deps --editable .
	@touch $@
