# Each target creates what it needs. `make help` lists the targets.

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
# The tests of a file share the models that they train, so they run in one process. Each takes 4 to 8 GB.
WORKERS ?= 2
PARALLEL := -n $(WORKERS) --dist loadfile --durations=10
# Users cannot act on TensorFlow's start-up messages.
export TF_CPP_MIN_LOG_LEVEL ?= 3

.PHONY: help install dev demo test test-jax test-slow lint format docs bench compare kills soak clean

help:            ## show this list
	@awk -F ':[^#]*## *' '/^[a-z-]+:.*##/ {printf "%-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

install: $(VENV)/installed          ## create .venv with the project in it

$(VENV)/bin/python:
	$(PYTHON) -c 'import sys; v = sys.version_info[:2]; sys.exit(0 if (3, 11) <= v <= (3, 13) else f"textrnn needs Python 3.11 to 3.13, and this is {v[0]}.{v[1]}: make PYTHON=python3.12 ...")'
	$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); exit 1; }

$(VENV)/installed: pyproject.toml | $(VENV)/bin/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable .
	touch $@

dev: $(VENV)/installed-dev          ## create .venv with the tools for tests and lint, too

$(VENV)/installed-dev: pyproject.toml | $(VENV)/bin/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	touch $@ $(VENV)/installed

demo: install                       ## train on the starter corpus, export, and ask the SavedModel
	$(BIN)/python recipes/text_generation.py --name demo
	$(BIN)/textrnn generate saved_models/demo --prompt "The for statement"

# On the CPU even if there is a GPU: test processes would compete for it, and its matrix products are less
# precise than the tolerances of the tests.
test test-jax test-slow: export CUDA_VISIBLE_DEVICES = -1
# Only tests of code whose computation depends on the backend.
ON_JAX := tests/training/test_losses.py tests/training/test_sampled_softmax.py tests/cells/test_gated.py \
	tests/cells/test_subclasses.py tests/layers tests/translation/test_attention_decoder.py tests/text_generation/test_backbone.py \
	tests/classification/test_ngrams.py --ignore tests/layers/test_peers.py
# The test processes are as many as the cores, so more threads would only wait for each other.
test test-jax: export TF_NUM_INTRAOP_THREADS = 1
test test-jax: export TF_NUM_INTEROP_THREADS = 1
# oneDNN rewrites each graph before it runs for the first time, and most run a few times. `make test-slow` has it.
test test-jax: export TF_ENABLE_ONEDNN_OPTS = 0
# XLA's compilation takes most of the time on JAX, so it optimizes nothing.
test test-jax: export XLA_FLAGS = --xla_backend_optimization_level=0 \
	--xla_llvm_disable_expensive_passes=true --xla_cpu_use_fusion_emitters=false
test: dev                           ## run the tests on TensorFlow
	$(BIN)/python -m pytest $(PARALLEL)

test-jax: dev                       ## run the tests of cells, layers and models on JAX
	KERAS_BACKEND=jax $(BIN)/python -m pytest $(PARALLEL) $(ON_JAX)

test-slow: dev                      ## run the tests that take minutes: packaging, commands of the docs, benchmarks
	$(BIN)/python -m pytest -m slow
	KERAS_BACKEND=jax $(BIN)/python -m pytest -m slow $(ON_JAX)

lint: dev                           ## check formatting, lint and types
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

format: dev                         ## fix formatting and what lint can fix
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

$(VENV)/installed-docs: pyproject.toml | $(VENV)/bin/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[docs]'
	touch $@ $(VENV)/installed

docs: $(VENV)/installed-docs        ## build docs/_build/html, and write docs/cells.md and the tree in ARCHITECTURE.md
	$(BIN)/textrnn cells --markdown > docs/cells.md
	$(BIN)/python docs/tree.py
	$(BIN)/python -m sphinx --builder html --fail-on-warning --keep-going --nitpicky --quiet docs docs/_build/html

$(VENV)/installed-bench: pyproject.toml | $(VENV)/bin/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[bench]'
	touch $@ $(VENV)/installed

bench: $(VENV)/installed-bench       ## compare speed with other libraries (half an hour)
	$(BIN)/python benchmarks/recurrence.py --output benchmarks/results
	$(BIN)/python benchmarks/text_classifier.py --output benchmarks/results
	$(BIN)/python benchmarks/translation.py --output benchmarks/results

compare: dev                        ## train all cells at the same size: tables and a picture (6 hours; goes on after a stop)
	$(BIN)/python benchmarks/compare_cells.py

kills: dev                          ## kill small training runs of each recipe 100 times, resume and compare them (an hour)
	$(BIN)/python benchmarks/kills.py

soak: export SOAK_MINUTES ?= 30
soak: export CUDA_VISIBLE_DEVICES = -1
soak: dev                           ## serve mixed load while versions are swapped: no error, memory flat (30 minutes)
	$(BIN)/python -m pytest -m slow tests/server/test_soak.py

clean:                              ## remove the environment and caches, but no trained models
	rm -rf $(VENV) docs/_build docs/api build dist *.egg-info .pytest_cache .ruff_cache .mypy_cache .hypothesis
