# Everything here sets itself up: it needs python3 (3.11 or newer, with venv), make and a package index.
# The packages live in .venv; a stamp in it says which requirements it holds, so a second call is instant.
PYTHON ?= python3
ARGS ?=
# Programs that compile themselves at every start are not what is measured, nor what anybody installs.
unexport PYTHONDONTWRITEBYTECODE
# For each of the four targets, two at a time; a soak takes 3600 and ARGS="--jobs 4".
FUZZ_SECONDS ?= 45

VENV := .venv
BIN := $(VENV)/bin
INSTALL := $(BIN)/python -m pip --disable-pip-version-check --no-input --quiet install
PROJECTS := sdk/pyproject.toml server/pyproject.toml
NODE_MODULES := tests/node/node_modules/.package-lock.json
SLOW := story or interop or browser or fault or soak
# Only `make lock` uses it, in a virtual environment of its own that it throws away.
UV := uv==0.13.9

help:
	@echo "make run      start the demo: an issuer on port 8000, an API on port 8001 (ARGS= passes options)"
	@echo "make mcp-demo an agent finds its way into an MCP server, each step said as it happens"
	@echo "make test     the fast tests (ARGS= passes pytest options)"
	@echo "make stories  whole deployments as processes, and the certification plans"
	@echo "make check    lint, types, import contracts, tests, stories"
	@echo "make interop  tests against programs that nobody here wrote"
	@echo "make browser  tests of the pages, in Debian's Chromium"
	@echo "make fault    tests that kill, starve and cut off"
	@echo "make soak     long runs on PostgreSQL and Redis: nodes killed, a thousand verifiers, a million entries, promotion"
	@echo "make fuzz     fuzz what reads tokens, keys and the feed (FUZZ_SECONDS=3600 ARGS='--jobs 4' for an hour of it)"
	@echo "make mutants  change the token core in thousands of ways and see that a test notices each (ARGS=jose.jws: only there)"
	@echo "make bench    what is fast, measured beside its peers (ARGS=--quick takes a tenth of the time)"
	@echo "make setup    only set up everything that the above need"
	@echo "make sql      compile the statements anew, after a change of schema, queries or commands"
	@echo "make catalogues  the pages in Spanish and Chinese, after a change of their sentences"
	@echo "make lock     pin the requirements anew (ARGS=--upgrade takes newer versions)"

setup: $(VENV)/check.stamp

run: $(VENV)/run.stamp
	@exec $(BIN)/watchword dev $(ARGS)

mcp-demo: $(VENV)/test.stamp
	@$(BIN)/python examples/mcp_server/demo.py

# Three at a time on two cores: a third of the time is waiting for servers and processes.
test: $(VENV)/test.stamp
	$(BIN)/python -m pytest -m "not ($(SLOW))" -n 3 --dist loadfile $(ARGS)

stories: $(VENV)/test.stamp
	$(BIN)/python -m pytest -m story -n 3 --dist loadfile $(ARGS)

check: lint types contracts test stories

lint: $(VENV)/check.stamp
	$(BIN)/python -m ruff check .
	$(BIN)/python -m ruff format --check .

types: $(VENV)/check.stamp
	$(BIN)/python -m mypy

contracts: $(VENV)/test.stamp
	$(BIN)/lint-imports

fault: $(VENV)/test.stamp
browser: $(VENV)/browser.stamp
interop: $(VENV)/interop.stamp
interop browser: chromium $(NODE_MODULES)
interop browser fault:
	$(BIN)/python -m pytest -m $@ $(ARGS)

chromium:
	@command -v chromium >/dev/null || { apt-get update -qq && apt-get install -y -qq chromium; }

# Runs what others wrote: two of the clients in `make interop`, the checker of pages in `make browser`.
node:
	@command -v npm >/dev/null || { apt-get update -qq && apt-get install -y -qq nodejs npm; }

# npm writes this file last. The lock file has hashes, and no address.
$(NODE_MODULES): tests/node/package.json tests/node/package-lock.json | node
	@npm --prefix tests/node ci --ignore-scripts --no-audit --no-fund --silent
	@touch $@

# Each run prints its figures with their bounds, and a line of JSON; the exit code is 1 for a missed bound.
# ARGS="storm crowd" runs only these; WATCHWORD_TEST_SECONDS says for how long.
soak: $(VENV)/test.stamp
	$(BIN)/python -m tests.soak $(ARGS)

fault: strace

# Shows what reaches the disk before an answer goes out.
strace:
	@command -v strace >/dev/null || { apt-get update -qq && apt-get install -y -qq strace; }

# First that a planted defect is found: a fuzzer that finds nothing proves nothing.
fuzz: $(VENV)/fuzz.stamp
	$(BIN)/python -m tests.fuzz --self-test
	$(BIN)/python -m tests.fuzz --seconds $(FUZZ_SECONDS) $(ARGS)

# In a copy of its own under .mutants, about an hour on two cores; ARGS=--again tries only what is new or lived unexplained.
mutants: $(VENV)/mutants.stamp
	$(BIN)/python -m tests.mutants $(ARGS)

bench: $(VENV)/bench.stamp
	$(BIN)/python -m bench $(ARGS)

# The statements are checked in: run time loads SQL, not SQLAlchemy (docs/decisions/0009-statements-compiled-ahead.md).
sql: $(VENV)/run.stamp
	$(BIN)/python -m watchword_server.adapters.sql.compile

# Sentences of the pages: new ones go into both languages, empty; then all is compiled. Run time needs no Babel.
catalogues: $(VENV)/test.stamp
	@set -e; cd server/src/watchword_server/web/pages; babel="$(CURDIR)/$(BIN)/pybabel"; found=$$(mktemp); \
	trap 'rm -f "$$found"' EXIT; \
	"$$babel" -q extract -F catalogues/babel.cfg --no-location --sort-output -o "$$found" templates; \
	for each in es zh; do \
	  "$$babel" -q update -N --ignore-obsolete --ignore-pot-creation-date -w 100 \
	    -i "$$found" -o catalogues/$$each.po -l $$each; \
	  "$$babel" -q compile -i catalogues/$$each.po -o catalogues/$$each.mo -l $$each; \
	done

# uv records the hashes of every platform's files, whatever machine it runs on, and writes no address.
lock:
	@set -e; tools=$$(mktemp -d); trap 'rm -rf "$$tools"' EXIT; \
	$(PYTHON) -m venv "$$tools"; \
	"$$tools/bin/python" -m pip --disable-pip-version-check --quiet install $(UV); \
	for name in run test browser interop fuzz mutants check bench; do \
	  "$$tools/bin/uv" pip compile --quiet --universal --python-version 3.11 --generate-hashes \
	    --no-header --no-annotate --no-emit-package watchword --no-emit-package watchword-server \
	    $(ARGS) requirements/$$name.in --output-file requirements/$$name.txt; \
	done

# A virtual environment does not survive a move: in a moved or copied checkout it would go on importing the old one.
ifneq ($(shell cat $(VENV)/made-in 2>/dev/null),$(CURDIR))
.PHONY: $(BIN)/python
endif
$(BIN)/python:
	@command -v "$(PYTHON)" >/dev/null || \
	  { echo "Watchword needs Python 3.11 or newer, but there is no '$(PYTHON)' on the PATH." >&2; exit 1; }
	@"$(PYTHON)" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "Watchword needs Python 3.11 or newer, but '$(PYTHON)' is $$("$(PYTHON)" --version 2>&1)." >&2; exit 1; }
	@"$(PYTHON)" -c 'import ensurepip, venv' 2>/dev/null || \
	  { echo "Watchword needs Python's venv module, which '$(PYTHON)' lacks: install it (Debian and Ubuntu call it python3-venv)." >&2; exit 1; }
	@echo "Setting up $(VENV) (once; it takes a minute) ..."
	@"$(PYTHON)" -m venv --clear $(VENV)
	@echo "$(CURDIR)" >$(VENV)/made-in

# Two steps, because pip takes no editable package beside hashed requirements.
$(VENV)/run.stamp: requirements/run.txt $(PROJECTS) $(BIN)/python
	@$(INSTALL) --require-hashes --requirement requirements/run.txt
	@$(INSTALL) --no-deps --no-build-isolation --editable sdk --editable server
	@touch $@

$(VENV)/test.stamp: requirements/test.txt $(VENV)/run.stamp
	@$(INSTALL) --require-hashes --requirement requirements/test.txt
	@touch $@

$(VENV)/browser.stamp: requirements/browser.txt $(VENV)/test.stamp
	@$(INSTALL) --require-hashes --requirement requirements/browser.txt
	@touch $@

$(VENV)/interop.stamp: requirements/interop.txt $(VENV)/browser.stamp
	@$(INSTALL) --require-hashes --requirement requirements/interop.txt
	@touch $@

$(VENV)/fuzz.stamp: requirements/fuzz.txt $(VENV)/test.stamp
	@$(INSTALL) --require-hashes --requirement requirements/fuzz.txt
	@touch $@

$(VENV)/mutants.stamp: requirements/mutants.txt $(VENV)/test.stamp
	@$(INSTALL) --require-hashes --requirement requirements/mutants.txt
	@touch $@

$(VENV)/check.stamp: requirements/check.txt $(VENV)/test.stamp
	@$(INSTALL) --require-hashes --requirement requirements/check.txt
	@touch $@

$(VENV)/bench.stamp: requirements/bench.txt $(VENV)/test.stamp
	@$(INSTALL) --require-hashes --requirement requirements/bench.txt
	@touch $@

.PHONY: help setup run mcp-demo test stories check lint types contracts interop browser fault chromium node strace soak fuzz mutants bench sql catalogues lock
