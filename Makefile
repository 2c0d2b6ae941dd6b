# What can be done here. `make help` lists it.
.DEFAULT_GOAL := help
PYTHON := .venv/bin/python
CYCLES ?= 300
ROWS ?= 1000000
# Processes of the tests; a file's tests share one.
JOBS ?= auto
USERS ?= 40
RATE ?=
TIME ?= 60s
SHAPE ?=
WORKERS ?= 1
TARGET ?=
SECONDS ?= 20

.PHONY: help setup test-tools demo serve console screenshots test crash plans bench bench-smoke \
	bench-hsm load load-ui load-open lint format gen clean

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-11s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: ## Install what is missing: softhsm2 and a virtual environment in .venv
	@scripts/setup.sh

test-tools: ## Install what only the tests need: promtool and Chromium
	@scripts/install-test-tools.sh

demo: setup ## Run the main job end to end on real components and check the books
	@$(PYTHON) -m sandbox demo

serve: setup ## Run a gateway and both simulators in the foreground with the sample taxpayers ready
	@$(PYTHON) -m sandbox serve

console: setup ## Run a gateway on which something happens, and the operator's page; prints its address
	@$(PYTHON) -m sandbox console

screenshots: setup ## Take the pictures of docs/images from a running system
	@$(PYTHON) -m sandbox screenshots

test: setup test-tools ## Run all tests
	@$(PYTHON) -m pytest -q -n $(JOBS) --dist loadscope

crash: setup ## Kill a gateway under load CYCLES times (300) and audit it after each
	@$(PYTHON) -m tests.faults.campaign --cycles $(CYCLES)

plans: setup ## Show what lists, watches and look-ups cost in a ledger of ROWS invoices (1000000)
	@$(PYTHON) -m tests.ledger.plans --rows $(ROWS)

bench: setup ## Measure what an invoice costs beside its floor (OUT=file COMPARE=file RECORD=1)
	@$(PYTHON) -m loadtests.bench --out $(or $(OUT),var/bench/latest.json) \
		$(if $(COMPARE),--compare $(COMPARE)) $(if $(RECORD),--record)

bench-smoke: setup ## The same in under a minute: unary and batch alone; exit 1 beyond the goals
	@$(PYTHON) -m loadtests.bench --smoke --rounds 2 --seconds 2

bench-hsm: setup ## Measure signing lanes: threads against processes
	@$(PYTHON) -m loadtests.hsm_lanes

load: setup ## Load a gateway with USERS (40) of all platforms for TIME (60s); SHAPE, RATE, WORKERS, TARGET
	@$(PYTHON) -m loadtests.load --users $(USERS) --time $(TIME) --workers $(WORKERS) \
		--target "$(TARGET)" $(if $(SHAPE),--shape $(SHAPE)) $(if $(RATE),--rate $(RATE))

load-ui: setup ## The same from Locust's page on 127.0.0.1:8089
	@$(PYTHON) -m loadtests.load --ui --workers $(WORKERS) --target "$(TARGET)"

load-open: setup ## Call a gateway RATE (200) times a second for SECONDS (20), whatever it answers
	@$(PYTHON) -m loadtests.open_loop --seconds $(SECONDS) --target "$(TARGET)" \
		$(if $(RATE),--rate $(RATE))

lint: setup ## Check style, types, room rules and the contract
	@.venv/bin/ruff check .
	@.venv/bin/ruff format --check .
	@.venv/bin/mypy .
	@.venv/bin/lint-imports
	@.venv/bin/buf lint

format: setup ## Format the code
	@.venv/bin/ruff check --fix --quiet . || true
	@.venv/bin/ruff format .

gen: setup ## Write the contract's code, the Chinese catalogs, and docs/taxctl.md
	@proto/generate.sh
	@$(PYTHON) -m console.translate
	@$(PYTHON) -m scripts.catalog
	@$(PYTHON) -m scripts.reference

clean: ## Remove what was made here: .venv, var, caches
	@rm -rf .venv var *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
