# Braid: guessable targets. `make help` lists them.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt
BASE := smollm2-135m
QUESTION ?= Which is deeper, Lake Baikal or Lake Tanganyika, and by how much?

.PHONY: help setup demo test test-long test-clients lint format api bench bench-engine bench-executors bench-peers train-mini train-countdown atlas clean

help: ## list the targets
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

$(READY): pyproject.toml constraints.txt
	@test -x $(BIN)/python || { echo "Making $(VENV) with $(PYTHON)"; $(PYTHON) -m venv $(VENV); }
	@echo "Installing from constraints.txt (a few minutes the first time)"
	@$(PIP) pip
	@$(PIP) torch==2.13.0
	@$(PIP) --group dev -e '.[local,mcp]'
	@touch $@

setup: $(READY) ## make .venv and install everything into it, and pull the small model where it can be had
	@$(BIN)/braid models pull $(BASE) || echo "Warning: $(BASE) could not be pulled; everything else is ready"

demo: $(READY) ## plan a question with the embedded model, run it as a graph, show it live
	@echo "$(QUESTION)"
	@BRAID_SEARCH_LATENCY=$${BRAID_SEARCH_LATENCY:-0.4} $(BIN)/braid run --compare "$(QUESTION)"

test: $(READY) ## the tests that CI runs
	$(BIN)/python -m pytest

test-long: $(READY) ## fuzz, crash and soak runs
	$(BIN)/python -m pytest -m long --timeout 3600

# These need an older client of OpenAI than the tests have.
CLIENTS := build/clients-venv
$(CLIENTS)/.ready: pyproject.toml
	@test -x $(CLIENTS)/bin/python || $(PYTHON) -m venv $(CLIENTS)
	@$(CLIENTS)/bin/python -m pip install --quiet --disable-pip-version-check --upgrade pip
	@$(CLIENTS)/bin/python -m pip install --quiet --disable-pip-version-check --group clients-older
	@touch $@

test-clients: $(READY) $(CLIENTS)/.ready ## clients of the OpenAI API against `braid serve`
	@$(PIP) --group clients
	$(BIN)/python -m pytest -m clients tests/clients
	BRAID=$(CURDIR)/$(BIN)/braid $(CLIENTS)/bin/python -m pytest -m clients tests/clients

lint: $(READY) ## ruff, import floors, pyright
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports
	$(BIN)/pyright

format: $(READY) ## rewrite the code the way ruff likes it
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

api: $(READY) ## the API reference, from the docstrings, as HTML in build/api
	$(BIN)/python docs/api.py build/api

bench-engine: $(READY) ## the local engine against transformers, and a plan on shared KV
	$(BIN)/python benchmarks/local_engine.py
	$(BIN)/python benchmarks/local_engine.py --size 298M --repeats 2 fanout chain
	$(BIN)/python benchmarks/graph_kv.py

bench-peers: $(READY) ## other engines' servers on the same weights: PEERS="--folder DIR --peer NAME=URL"
	$(BIN)/python benchmarks/peers.py $(or $(PEERS),--help)

bench-executors: $(READY) ## what a node of a graph costs, against other frameworks
	$(PIP) --group bench
	$(BIN)/python benchmarks/node_overhead.py
	$(BIN)/python benchmarks/node_overhead.py --scale

bench: $(READY) ## every speed claim, as scripts that print both sides and the ratio
	$(BIN)/python benchmarks/dispatch.py
	$(BIN)/python benchmarks/node_overhead.py
	$(BIN)/python benchmarks/node_overhead.py --scale
	$(BIN)/python benchmarks/prompt_sharing.py
	$(BIN)/python benchmarks/start_up.py

train-mini: $(READY) ## train braid-mini again from nothing (about 75 minutes on 2 cores)
	$(BIN)/braid train mini --out build/braid-mini

train-countdown: $(READY) ## train braid-countdown again from nothing (about 45 minutes on one core, then 15 to measure it)
	$(BIN)/braid train countdown --out build/braid-countdown

atlas: $(READY) ## make the built-in atlas again from written.jsonl and from packages (needs npm)
	@$(PIP) --group atlas
	@mkdir -p build && cd build && npm pack --silent cldr-core@48.2.0
	$(BIN)/python -m braid.executors.builtin.atlas.build --cldr build/cldr-core-48.2.0.tgz

clean: ## remove .venv and caches
	rm -rf $(VENV) .pytest_cache .ruff_cache .hypothesis build *.egg-info
