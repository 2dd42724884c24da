# make search   from nothing: an environment, an installation, a search on the embedded images, and its report
# make test     from nothing: an environment, an installation with the developers' tools, and the tests
# make clean    removes the environment and what tools leave behind; runs/ stays
#
# A second call installs nothing, unless pyproject.toml or constraints.txt changed. To change what is done:
#   make search SEARCH_ARGS="--strategy evolution --evaluations 50" OUT=runs/second
#   make test   PYTEST_ARGS="-k fingerprint"
#   make test   PYTEST_ARGS="-m slow"          the tests that take more than about ten seconds each, which are left out otherwise

PYTHON ?= python3
VENV ?= .venv
SPACE ?= fashion_small
DATA ?= fashion-mnist-12k
OUT ?= runs/first
SEARCH_ARGS ?= --objectives val_accuracy,params,flops --constraint "params<=100k" --constraint "flops<=15M" \
	--epochs 1 --evaluations 40 --budget 200s
PYTEST_ARGS ?= -m "not slow"
# Tests at a time: one a core, at most four, since each process holds PyTorch.
PYTEST_WORKERS ?= --numprocesses auto --maxprocesses 4

ifeq ($(OS),Windows_NT)
BIN = $(VENV)/Scripts
else
BIN = $(VENV)/bin
endif

# The two variables hold the build backend, which pip fetches into an environment of its own, to the same versions (old and new pip).
INSTALL = PIP_CONSTRAINT=constraints.txt PIP_BUILD_CONSTRAINT=constraints.txt $(BIN)/python -m pip install \
	--disable-pip-version-check --quiet --constraint constraints.txt

.PHONY: search test clean

search: $(VENV)/installed-search
	$(BIN)/nas search $(SPACE) --data $(DATA) $(SEARCH_ARGS) --out $(OUT)
	$(BIN)/nas report $(OUT)

test: $(VENV)/installed-test
	$(BIN)/python -m pytest $(PYTEST_WORKERS) $(PYTEST_ARGS)

$(VENV)/installed-search: pyproject.toml constraints.txt | $(BIN)/python
	$(INSTALL) --editable ".[report,vision,fast]"
	@touch $@

$(VENV)/installed-test: pyproject.toml constraints.txt | $(BIN)/python
	$(INSTALL) --editable ".[dev]"
	@touch $@ $(VENV)/installed-search

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)

clean:
	rm -rf $(VENV) build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis
