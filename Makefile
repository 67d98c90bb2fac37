# One verb a line; `make help` lists them. Everything sets itself up: Python 3.11+ and make are all that is needed.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
PYTHON ?= $(shell for p in python3.11 python3.12 python3.13 python3; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)
BIN := .venv/bin
READY := .venv/.ready
E2E = scripts/cluster/up.sh && $(CLUSTER) && scripts/images.sh && \
	scripts/cluster/load-image.sh $(IMAGES:%=modelport/%:$(VERSION)) && $(BIN)/python -m pytest tests/e2e -s
IMAGES = service init-container operator
VERSION = $(shell sed -n 's/^version = "\(.*\)"/\1/p' pyproject.toml)
# Minor versions of scikit-learn that an image is built for; a pickle loads only under the one it was made with.
SKLEARN := 1.8 1.9
LOCK := $(BIN)/uv pip compile --quiet --universal --generate-hashes --no-header --no-annotate

# One benchmark at a time on a machine: two would measure each other.
BENCH := flock /tmp/bench.lock

CLUSTER := . .cluster/env

.PHONY: help setup demo serve test fuzz fault-runs lint format lock images charts cluster cluster-down e2e e2e-smoke bench bench-quick bench-fetch profile release audit clean

help: ## Show this list
	@grep -hE '^[a-z0-9-]+:.*##' $(MAKEFILE_LIST) | sort | awk -F ':.*## ' '{printf "  make %-14s %s\n", $$1, $$2}'

setup: $(READY) ## Create .venv from the hash-locked requirements

$(READY): pyproject.toml locks/dev.txt
	@test -n "$(PYTHON)" || { echo "Python 3.11 or newer is needed: install it, or name it: make PYTHON=/path/to/python3"; exit 1; }
	@echo "setting up .venv with $(PYTHON) (a minute or two the first time) ..."
	@$(BIN)/python -m pip --version >/dev/null 2>&1 || $(PYTHON) -m venv .venv
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r locks/dev.txt
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

demo: $(READY) ## Train, pack, fetch, serve and ask, then stop
	@$(BIN)/python examples/demo.py

serve: $(READY) ## The same, and stay up
	@$(BIN)/python examples/demo.py --stay

test: $(READY) ## Every test that needs only what pip brings, with the coverage gate
	@$(BIN)/python -m pytest --cov --cov-report=term $(ARGS)

fault-runs: $(READY) ## 500 faulted fetches: nothing half-published, no wrong byte accepted
	@FAULT_RUNS=500 $(BIN)/python -m pytest tests/integration/fetcher/test_faults.py -s $(ARGS)

fuzz: $(READY) ## 100,000 malformed requests against a real server (FUZZ_SEED=n for others)
	@FUZZ_REQUESTS=100000 $(BIN)/python -m pytest tests/integration/fuzz -s $(ARGS)

lint: $(READY) ## ruff, mypy strict, import-linter
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports

format: $(READY) ## Let ruff rewrite what it can
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

lock: $(READY) ## Resolve again: for development, and for each image
	$(LOCK) pyproject.toml --all-extras --group dev -o locks/dev.txt $(ARGS)
	for image in init-container service operator; do \
		$(LOCK) --group pyproject.toml:$$image --constraint locks/dev.txt -o locks/$$image.txt; \
	done
	for minor in $(SKLEARN); do \
		$(LOCK) --group pyproject.toml:service-sklearn --constraint locks/service.txt \
			--constraint <(echo "scikit-learn==$$minor.*") -o locks/service-sklearn$$minor.txt; \
	done

images: ## Build the images and check their sizes
	@[ ! -f .cluster/env ] || $(CLUSTER); scripts/images.sh

charts: $(READY) ## Lint, render and check the charts, k8s/ and skaffold.yaml; no cluster needed
	@for tool in helm kubectl kubeconform; do command -v $$tool >/dev/null || scripts/cluster/build.sh $$tool; done
	@$(BIN)/python -m pytest tests/chart $(ARGS)

cluster: ## A Kubernetes to develop against: KUBE_CONTEXT's, kind, minikube, or one built here
	@scripts/cluster/up.sh

cluster-down: ## Take away what `make cluster` made
	@scripts/cluster/down.sh

e2e: IMAGES += service-sklearn
e2e: $(READY) ## Every end-to-end test on the cluster, with figures (about half an hour)
	@$(E2E) $(ARGS)

e2e-smoke: $(READY) ## The end-to-end tests that CI runs
	@$(E2E) -m smoke $(ARGS)

bench: $(READY) ## Measure against the peers and the limit: table, curves, targets (about an hour)
	@$(BENCH) $(BIN)/python -m benchmarks.serving $(ARGS)

bench-quick: $(READY) ## Ours against the limit, under a minute
	@$(BENCH) $(BIN)/python -m benchmarks.serving --quick $(ARGS)

bench-fetch: $(READY) ## Fetching against KServe and the vendors' clients, over http, gs and s3 (a quarter of an hour)
	@$(BENCH) $(BIN)/python -m benchmarks.fetch $(ARGS)

profile: $(READY) ## Where a request spends its time
	@$(BENCH) $(BIN)/python -m benchmarks.serving.profile $(ARGS)

release: $(READY) ## Build sdist, wheel, images, chart, bills of materials and checksums into dist/; push to REGISTRY
	@scripts/release.sh $(ARGS)

audit: $(READY) ## Known vulnerabilities and licences of what the images hold
	@$(BIN)/python scripts/release/licences.py
	@$(BIN)/python scripts/release/audit.py $$(scripts/release/tool.sh pip-audit) $(AUDIT_FLAGS)

clean: ## Remove what the targets above made
	rm -rf .venv .demo .coverage* .pytest_cache .mypy_cache .ruff_cache .hypothesis dist
