# Everything sets itself up in .venv; nothing else on the machine is touched.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --quiet --disable-pip-version-check

.PHONY: demo test test-matrix lint bench crash clean

demo: $(VENV)/demo  ## record a real agent, kill one, import a transcript, and look at all three
	@$(BIN)/agent-step-log demo

test: $(VENV)/dev  ## the whole test suite
	@$(BIN)/python -m pytest -n auto --dist worksteal

test-matrix: $(VENV)/dev  ## real SDKs and agents that cannot share one environment, each in its own
	@$(BIN)/python -m nox --error-on-missing-interpreters

lint: $(VENV)/dev  ## types and style
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy

crash: $(VENV)/dev  ## kill two thousand real writers at a thousand moments, and count what was lost
	@$(BIN)/python -m tests.crash --kills 2200

bench: $(VENV)/bench  ## measure, and write docs/benchmarks.md
	@$(BIN)/python -m benchmarks

clean:
	rm -rf $(VENV) demo-logs

$(VENV)/python: 
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "agent-step-log needs Python 3.11 or newer; name one with: make PYTHON=python3.11 ...")'
	@$(PYTHON) -m venv $(VENV)
	@touch $@

$(VENV)/demo: $(VENV)/python pyproject.toml constraints.txt
	@$(PIP) install -c constraints.txt -e '.[all]'
	@touch $@

$(VENV)/dev: $(VENV)/python pyproject.toml constraints.txt
	@$(PIP) install -c constraints.txt -e '.[test,lint]'
	@touch $@ $(VENV)/demo

$(VENV)/bench: $(VENV)/python pyproject.toml constraints.txt
	@$(PIP) install -c constraints.txt -e '.[all,bench]'
	@touch $@ $(VENV)/demo
