# Everything a person does with this repository. `make` alone lists it.
#
# The first target that needs it creates .venv and installs the pinned packages of constraints.txt; after that nothing is
# installed again until pyproject.toml or constraints.txt changes.

PYTHON ?= python3
WORKERS ?= 2
BIN := .venv/bin
RUNTIME := .venv/.runtime-installed
DEVELOPMENT := .venv/.development-installed
KERNEL_TESTS := tests/kernels

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.NOTPARALLEL:
.PHONY: help install demo crash test test-slow test-all test-kernels-plain test-kernels-bounds \
	lint format types contracts check coverage bench bench-peers constraints clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-20s %s\n", $$1, $$2}' Makefile

install: $(DEVELOPMENT) ## create .venv with the simulator and all tools of a developer

demo: $(RUNTIME) ## oracle lag x maximum leverage in a crash: 54 runs, a table, and the report runs/lag_and_leverage/report.html
	$(BIN)/abm sweep experiments/lag_and_leverage.toml --out runs/lag_and_leverage

crash: $(RUNTIME) ## simulate one day with a flash crash and write its report to runs/flash_crash
	$(BIN)/abm run experiments/flash_crash.toml --out runs/flash_crash --overwrite

test: $(DEVELOPMENT) ## run the tests, without the slow and the browser tests
	$(BIN)/python -m pytest -n $(WORKERS)

test-slow: $(DEVELOPMENT) ## run the slow and the browser tests only
	$(BIN)/python -m pytest -n $(WORKERS) -m "slow or browser" || test $$? -eq 5 # 5: there are none

test-all: $(DEVELOPMENT) ## run all tests
	$(BIN)/python -m pytest -n $(WORKERS) -m ""

test-kernels-plain: $(DEVELOPMENT) ## run the kernel tests as plain Python
	NUMBA_DISABLE_JIT=1 $(BIN)/python -m pytest -n $(WORKERS) $(KERNEL_TESTS) \
		-m "not slow and not browser and not compiled"

# Compiled code is cached by its source alone, so code with bounds checks needs a cache of its own.
test-kernels-bounds: $(DEVELOPMENT) ## run the kernel tests with array bounds checked
	NUMBA_BOUNDSCHECK=1 NUMBA_CACHE_DIR=$(CURDIR)/build/numba-bounds $(BIN)/python -m pytest -n $(WORKERS) $(KERNEL_TESTS)

lint: $(DEVELOPMENT) ## check style and format
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

format: $(DEVELOPMENT) ## put the code into the format that lint expects
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

types: $(DEVELOPMENT) ## check types
	$(BIN)/mypy

contracts: $(DEVELOPMENT) ## check which layer imports which
	$(BIN)/lint-imports --no-logo

check: lint types contracts ## lint, types and contracts

coverage: $(DEVELOPMENT) ## lines that the kernel tests reach, counted with the kernels as plain Python
	NUMBA_DISABLE_JIT=1 $(BIN)/python -m coverage run --source abm/kernels -m pytest $(KERNEL_TESTS) \
		-m "not slow and not browser and not compiled"
	$(BIN)/python -m coverage report

BENCHMARKS := bare_book swaps checked_clearing full_blocks sleeping_population simulated_day many_accounts first_block mesa_loop sweep_runs

bench: $(DEVELOPMENT) ## measure the speed of kernels, blocks, a day
	@for name in $(BENCHMARKS); do $(BIN)/python benchmarks/$$name.py || exit 1; done

bench-peers: .venv-peers/.installed ## measure bourse and PAMS on the same machine
	@for name in bourse_book pams_market; do .venv-peers/bin/python benchmarks/$$name.py || exit 1; done

constraints: ## resolve constraints.txt anew (needs uv)
	uv pip compile pyproject.toml --extra dev --universal --python-version 3.11 --upgrade \
		--no-emit-index-url --no-header --no-annotate --quiet --output-file constraints.txt

clean: ## remove the environments, caches and built files; runs/ stays
	rm -rf .venv .venv-peers build dist .coverage .benchmarks .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache
	find abm tests benchmarks examples notebooks -type d -name __pycache__ -prune -exec rm -rf {} + 2>/dev/null || true

define new-environment
	@$(PYTHON) -c "" 2>/dev/null || { echo "$(PYTHON) was not found: install Python 3.11 or newer, or name it with PYTHON=..." >&2; exit 1; }
	@$(PYTHON) -c "import sys; sys.exit(sys.version_info < (3, 11))" \
		|| { echo "$$($(PYTHON) --version) is too old: Python 3.11 or newer is needed, name it with PYTHON=..." >&2; exit 1; }
	@test -x $(1)/bin/python || $(PYTHON) -m venv $(1)
endef

$(RUNTIME): pyproject.toml constraints.txt
	$(call new-environment,.venv)
	@echo "Installing the simulator into .venv (about a minute on a fast line)"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable .
	@touch $@

$(DEVELOPMENT): pyproject.toml constraints.txt
	$(call new-environment,.venv)
	@echo "Installing the simulator and the tools of a developer into .venv (a minute or two on a fast line)"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable ".[dev]"
	@touch $(RUNTIME) $@

.venv-peers/.installed: pyproject.toml
	$(call new-environment,.venv-peers)
	@.venv-peers/bin/python -m pip install --quiet --disable-pip-version-check --editable ".[peers]"
	@touch $@
