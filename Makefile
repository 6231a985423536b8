# What everybody runs; `make help` lists it. Nothing but Python 3.11-3.13, pip and make is needed.

PYTHON ?= python3
VENV   ?= .venv
PORT   ?= $(or $(TIAODU_PORT),8000)
RATE   ?= $(or $(TIAODU_CLOCK_RATE),60)
# Two cores are what the project is measured on.
JOBS   ?= 2
ARGS   ?=

BIN := $(VENV)/bin
RUN := $(BIN)/python -m controlplane.runtime

export PYTHONPATH := $(CURDIR)

.DEFAULT_GOAL := help
.PHONY: help up status up-clean runtime dev test test-store check lint types imports migrations deps bench bench-forecast bench-plan bench-replay bench-ingest lock

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

up: runtime ## Set up and run the demo grid (PORT=8000, RATE=60 grid seconds per second)
	@exec $(RUN) up --port '$(PORT)' --rate '$(RATE)'

status: runtime ## Show what runs
	@$(RUN) status || true

up-clean: runtime ## Forget all data of the demo grid; refuses while it runs
	@exec $(RUN) clean

runtime:
	@$(PYTHON) deploy/bootstrap.py runtime '$(VENV)'

dev:
	@$(PYTHON) deploy/bootstrap.py dev '$(VENV)'

test: dev ## Run all tests on an embedded PostgreSQL (ARGS='-k name' for some)
	@exec $(BIN)/python -m pytest -n $(JOBS) --dist loadfile --no-loadscope-reorder $(ARGS)

# what speaks SQL of its own, and so must run on every version
STORE_TESTS := $(addprefix tests/integration/monitoring/test_,ingest.py rollups.py housekeeping.py \
    selectors.py parallel_ingest.py stored_together.py series_api.py history_api.py \
    senders_memory.py senders_parallel.py senders_histograms.py replay_of_traffic.py)

test-store: dev ## Test the store on another PostgreSQL, 15 to 18 (POSTGRES=/usr/lib/postgresql/15/bin, or DATABASE_URL)
	@TIAODU_TEST_POSTGRES='$(POSTGRES)' exec $(BIN)/python -m pytest -n $(JOBS) $(STORE_TESTS) $(ARGS)

check: dev ## Lint, format, types, import contracts, migrations, dependencies
	@$(MAKE) --no-print-directory lint types imports migrations deps

lint: dev
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .

types: dev
	@$(BIN)/mypy

imports: dev
	@$(BIN)/lint-imports

migrations: dev
	@$(BIN)/python manage.py makemigrations --check --dry-run

deps: dev
	@$(BIN)/deptry .

bench: dev ## Run the short benchmarks; bench-ingest, -forecast, -plan, -replay are long
	@set -e; for name in startup clone page plan quality; do \
	    echo "== $$name"; $(BIN)/python benchmarks/$$name.py; done

bench-plan: dev ## Plan at national size beside general solvers (ARGS='--sizes S,M')
	@$(BIN)/python benchmarks/plan_scale.py $(ARGS)

bench-replay: dev ## Replay the traces under all policies: ratios, waits, bound, goals
	@$(BIN)/python benchmarks/replay_cells.py $(ARGS)

bench-forecast: dev ## Measure the forecaster beside naive rules and public forecasters (ARGS='--origins 7 --step 96')
	@$(PYTHON) -m venv .venv-bench && .venv-bench/bin/pip install -q -r requirements/bench-forecast.txt
	@.venv-bench/bin/python benchmarks/forecast.py $(ARGS)

bench-ingest: dev ## Measure ingest and telemetry queries beside what else one could use
	@set -e; for name in ingest_native ingest_senders telemetry_queries; do \
	    echo "== $$name"; $(BIN)/python benchmarks/$$name.py; done

lock: ## Pin all dependencies anew (needs uv)
	@uv pip compile pyproject.toml --universal --python-version 3.11 --generate-hashes \
	    --no-emit-index-url --no-header --no-annotate --quiet $(LOCK_ARGS) \
	    -o requirements/runtime.txt
	@uv pip compile pyproject.toml --extra dev --constraint requirements/runtime.txt --universal \
	    --python-version 3.11 --generate-hashes --no-emit-index-url --no-header --no-annotate \
	    --quiet $(LOCK_ARGS) -o requirements/dev.txt
