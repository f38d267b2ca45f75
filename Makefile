# quickstart: install, then compare five families on built-in data.   test: everything CI runs.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
SUITE ?= digits
OUT ?= benchmarks/results/$(SUITE)

.PHONY: quickstart test lint bench

quickstart: $(VENV)/.core
	$(BIN)/genzoo quickstart

test: lint
	OMP_NUM_THREADS=1 $(BIN)/pytest -n 2 --dist loadgroup

lint: $(VENV)/.test
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: $(VENV)/.core
	$(BIN)/genzoo bench $(SUITE) --out $(OUT)

$(VENV)/.core: pyproject.toml
	@echo "Installing into $(VENV): a few minutes, once"
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --editable .
	@touch $@

$(VENV)/.test: pyproject.toml
	@echo "Installing into $(VENV): a few minutes, once"
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --editable ".[test]"
	@touch $@ $(VENV)/.core
