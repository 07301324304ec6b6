# Two commands do all the set-up on a fresh machine with Python 3.11 or newer:
#
#     make demo      make test
#
# Everything goes into build/venv; nothing outside this folder is touched.  PYTHON=... chooses the
# interpreter, VENV=... another folder, PYTEST_ARGS=... what pytest is given.

SHELL := /bin/sh
.DEFAULT_GOAL := help

VENV ?= build/venv
# What make bench measures: cases, rounds, and more; see benchmarks/README.rst.
BENCH_ARGS ?=
# Two cores are enough for the suite to take a minute or so; more than four workers would only
# starve the tests that listen on loopback.
PYTEST_ARGS ?= -n auto --maxprocesses 4 --dist worksteal

BIN := $(VENV)/bin
COMPILED := $(VENV)/compiled
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-input

# A candidate counts only if it runs, is new enough and can make virtual environments: version
# managers leave commands that merely complain, and some distributions package venv apart.
define FIND_PYTHON
found=; \
for candidate in $(PYTHON) $(if $(PYTHON),,python3 python3.13 python3.12 python3.11 python3.14 python); do \
  if $$candidate -c 'import ensurepip, ssl, sys, venv; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; then \
    found=$$candidate; break; \
  fi; \
done; \
if [ -z "$$found" ]; then \
  echo "No Python 3.11 or newer with the venv module was found$(if $(PYTHON), under the name '$(PYTHON)')." >&2; \
  echo "Install one (on Debian and Ubuntu also the package python3-venv), or name it: make PYTHON=/path/to/python3" >&2; \
  exit 1; \
fi
endef

.PHONY: help demo test test-oldest lint format types typecomplete docs picture bench bench-quick conformance check clean

help:  ## Say what there is to make
	@sed -n 's/^\([a-z-]*\):.*## /\1|/p' $(MAKEFILE_LIST) | awk -F'|' '{ printf "make %-13s  %s\n", $$1, $$2 }'

demo: $(VENV)/.stamp-cli  ## Install, then watch a simulated exchange trade for a few seconds
	@$(BIN)/trioflex demo

test: $(VENV)/.stamp-test  ## Install, then run the whole suite
	@$(BIN)/python -m pytest $(PYTEST_ARGS)

test-oldest:  ## The suite with the oldest packages that are allowed, in an environment of its own
	@$(MAKE) --no-print-directory test VENV=build/venv-oldest PIP_CONSTRAINT=$(abspath .ci/oldest.txt)

.PHONY: test-compiled test-copy compiled figures

test-compiled:  ## Compile the hot modules, then run the whole suite on them
	@$(MAKE) --no-print-directory VENV=$(VENV)-compiled test-copy

test-copy: compiled
	@echo "Installing the compiled copy and what its tests need ..."
	@$(PIP) -e '$(COMPILED)/src[cli,test]'
	@cd $(COMPILED)/src && python=$(abspath $(BIN))/python && \
	  $$python -c 'import trioflex; assert trioflex.compiled, trioflex.__file__' && \
	  $$python -m pytest $(PYTEST_ARGS)

compiled: $(COMPILED)/.stamp  ## Make a copy of the source with its hot modules compiled

lint: $(VENV)/.stamp-dev  ## Lint, and check the format and the spelling
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/codespell

format: $(VENV)/.stamp-dev  ## Put the source into its format
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

types: $(VENV)/.stamp-dev  ## mypy --strict
	$(BIN)/mypy --strict

typecomplete: $(VENV)/.stamp-dev  ## Are the types of the public names complete?
	PATH="$(abspath $(BIN)):$$PATH" pyright --verifytypes trioflex --ignoreexternal

docs: $(VENV)/.stamp-dev  ## Build the documentation; a warning is an error
	$(BIN)/python -m sphinx -q -n -W --keep-going -b html docs build/docs
	@echo "build/docs/index.html"

picture: $(VENV)/.stamp-cli  ## Draw the picture on the front page anew
	$(BIN)/python docs/picture.py

bench: $(VENV)/.stamp-bench  ## Measure both builds beside four other clients
	@$(MAKE) --no-print-directory compiled || echo "It is measured without the compiled build." >&2
	$(BIN)/python -m benchmarks $(BENCH_ARGS)

figures:  ## Put the last figures of make bench into the documentation
	$(BIN)/python -m benchmarks.figures

bench-quick: $(VENV)/.stamp-test  ## Only prove that the benchmarks run
	$(BIN)/python -m benchmarks --quick

conformance: $(VENV)/.stamp-cli  ## Our WebSocket against the Autobahn|Testsuite; PY27=/path/to/python2.7
	@$(BIN)/python -m conformance --py27 "$(PY27)"

.PHONY: soak history sweep fuzz

SECONDS ?= 600
SEEDS ?= 1000
CASES ?= 1000000

soak: $(VENV)/.stamp-cli  ## Ten minutes of a busy market over sockets, with faults; SECONDS=, SEED=
	@$(BIN)/python -m soak --seconds $(SECONDS) $(if $(SEED),--seed $(SEED))

history: $(VENV)/.stamp-cli  ## Orders through a thousand seeds of faults in memory; SEEDS=, VENUE=, SOCKETS=1
	@$(BIN)/python -m soak.history --seeds $(SEEDS) $(if $(SOCKETS),--sockets) $(if $(VENUE),--venue $(VENUE))

sweep: $(VENV)/.stamp-test  ## A client of every venue, cancelled at every step of its life
	@SWEEP=1 $(BIN)/python -m pytest -q tests/shell/test_sweep.py tests/shell/test_sweep_venues.py tests/cli/test_interrupting.py

fuzz: $(VENV)/.stamp-cli  ## A million damaged messages for every venue's models; CASES=, SEED=
	@$(BIN)/python -m soak.fuzz --cases $(CASES) $(if $(SEED),--seed $(SEED))

.PHONY: dist try-dist

# Each is tried as a stranger would: in an environment of its own, from another folder.
dist: $(VENV)/.stamp-dist  ## Build wheel and sdist, check them, install each and run the demo
	@rm -rf build/dist
	@$(BIN)/python -m build --outdir build/dist .
	@$(BIN)/twine check --strict build/dist/*
	@set -e; for file in build/dist/*; do \
	  $(MAKE) --no-print-directory try-dist FILE=$(CURDIR)/$$file TRY=$(CURDIR)/build/try; \
	done
	@ls -l build/dist

try-dist:
	@echo "Trying $(notdir $(FILE)) ..."
	@rm -rf $(TRY) && $(BIN)/python -m venv $(TRY)
	@$(TRY)/bin/python -m pip install --quiet --disable-pip-version-check --no-input '$(FILE)[cli,blocking]'
	@cd $(TRY) && bin/trioflex demo --seconds 3 >demo.txt && tail -n 4 demo.txt
	@cd $(TRY) && bin/python -c 'import trioflex.blocking, trioflex.testing'
	@rm -rf $(TRY)

check: lint types typecomplete docs bench-quick  ## All that .ci/run does after the tests

clean:  ## Remove what was built, the virtual environment included
	rm -rf build .mypy_cache .pytest_cache .ruff_cache .hypothesis .coverage*

# Stamps: a second run installs nothing, unless pyproject.toml has changed since.

$(VENV)/.stamp-venv:
	@set -e; $(FIND_PYTHON); \
	echo "Making the virtual environment $(VENV) with $$($$found --version) ..."; \
	if [ -e $(VENV) ] && [ ! -e $(VENV)/.stamp-begun ]; then \
	  echo "$(VENV) is there already and was not made by this Makefile, which would replace it: remove it, or name another folder with VENV=..." >&2; \
	  exit 1; \
	fi; \
	rm -rf $(VENV); mkdir -p $(VENV); touch $(VENV)/.stamp-begun; $$found -m venv $(VENV)
	@touch $@

$(VENV)/.stamp-cli: $(VENV)/.stamp-venv pyproject.toml
	@echo "Installing trioflex and what its command needs ..."
	@$(PIP) -e '.[cli]'
	@touch $@

$(VENV)/.stamp-test: $(VENV)/.stamp-venv pyproject.toml
	@echo "Installing trioflex and what its tests need ..."
	@$(PIP) -e '.[cli,test]'
	@touch $@

$(VENV)/.stamp-dev: $(VENV)/.stamp-test pyproject.toml
	@echo "Installing what lint, types and documentation need ..."
	@$(PIP) -e '.[cli,test,lint,docs]'
	@touch $@

$(VENV)/.stamp-dist: $(VENV)/.stamp-venv pyproject.toml
	@echo "Installing what builds and checks packages ..."
	@$(PIP) 'build>=1.2' 'twine>=6.1'
	@touch $@

$(VENV)/.stamp-bench: $(VENV)/.stamp-venv pyproject.toml
	@echo "Installing the clients to compare with ..."
	@$(PIP) -e '.[bench]'
	@touch $@

# The compiled build, in a copy of what the source distribution has: beside the source one works on,
# extension modules would hide whatever is changed from then on.
$(COMPILED)/.stamp: $(VENV)/.stamp-venv hatch_build.py pyproject.toml \
  $(shell find trioflex tests examples docs benchmarks -name '*.py' -o -name '*.rst')
	@echo "Compiling with mypyc, which needs a C compiler and Python's headers ..."
	@rm -rf $(COMPILED) && mkdir -p $(COMPILED)/src
	@$(PIP) hatchling
	@$(BIN)/python -m hatchling build -t sdist -d $(COMPILED)/dist >/dev/null
	@tar -xzf $(COMPILED)/dist/*.tar.gz -C $(COMPILED)/src --strip-components 1
	@TRIOFLEX_COMPILE=1 $(BIN)/python -m pip wheel --quiet --disable-pip-version-check --no-input \
	  --no-deps --wheel-dir $(COMPILED)/dist $(COMPILED)/src
	@$(BIN)/python -m zipfile -e $(COMPILED)/dist/*.whl $(COMPILED)/src
	@rm -r $(COMPILED)/src/*.dist-info
	@touch $@
