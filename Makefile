# One target is one tool's one line. `make` alone prints what there is.
PYTHON ?= python3
BIN := .venv/bin
PAIR ?= parse 1.22.2 1.22.3

help:  ## Show this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  %-8s %s\n", $$1, $$2}'

setup: .venv/ready  ## Environment in .venv, then Docker, the sandbox image, Redis, Qdrant
	$(BIN)/journeyman setup

check: .venv/ready  ## Format, lint, types, import contracts (what CI runs first)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo

test: setup check  ## Everything: set up, check, and all tests
	$(BIN)/pytest -n 2 -m "not soak"

soak: setup  ## The long runs that `make test` leaves out
	$(BIN)/pytest -m soak

demo: setup  ## A real bug of a real package, repaired; another by PAIR="PACKAGE OLD NEW"
	$(BIN)/journeyman demo $(PAIR)

clean:  ## Remove our containers, images, servers, caches and .venv
	test ! -x $(BIN)/journeyman || $(BIN)/journeyman clean
	rm -rf .venv dist .mypy_cache .ruff_cache .import_linter_cache .hypothesis

# Hash-checked; installed again only when the lock or the project's own description changes.
.venv/ready: requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "Error: $(PYTHON) is older than 3.11.  Next: make $(MAKECMDGOALS) PYTHON=python3.12"; exit 3; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || \
	  { echo "Error: $(PYTHON) has no venv.  Next: apt-get install python3-venv"; exit 3; }
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

.PHONY: help setup check test soak demo clean
.DEFAULT_GOAL := help
