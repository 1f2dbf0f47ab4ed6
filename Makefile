# Every target makes what it needs: a virtual environment in .venv, filled from hash-locked requirements.
# PYTHON names the interpreter to make it with (3.11, 3.12 or 3.13).

PYTHON ?= python3
VENV ?= .venv
PEERS ?= .peers
SBOM ?= .sbom
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet
FOR ?= 90s
KEEP ?= var/demo-$(shell date -u +%Y%m%dT%H%M%SZ)
DIR ?=
N ?= 200
RUNS ?= 20000

.DEFAULT_GOAL := help
.PHONY: help demo test test-peers lint typecheck kills faults bench fuzz x12-samples sbom lock clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / {printf "  make %-11s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

$(VENV)/made:
	@$(PYTHON) -c 'import sys; v = sys.version_info[:2]; sys.exit(0 if (3, 11) <= v <= (3, 13) else \
	  f"Outrider needs Python 3.11, 3.12 or 3.13; {sys.executable} is {v[0]}.{v[1]}. Name another: make PYTHON=python3.13 ...")'
	@echo "making $(VENV)"
	@$(PYTHON) -m venv $(VENV)
	@touch $@

$(VENV)/run: $(VENV)/made requirements/run.txt pyproject.toml
	@echo "installing what the product needs (requirements/run.txt)"
	@$(PIP) install --require-hashes -r requirements/run.txt
	@$(PIP) install --no-deps --no-build-isolation -e .
	@touch $@

$(VENV)/dev: $(VENV)/run requirements/dev.txt
	@echo "installing what the tests need (requirements/dev.txt)"
	@$(PIP) install --require-hashes -r requirements/dev.txt
	@touch $@

demo: $(VENV)/run ## a network, a collector and three agents on this machine; FOR=90s how long, KEEP=DIR where it stays
	@$(BIN)/outrider demo --for $(FOR) --keep $(KEEP)

test: lint typecheck ## lint, types, then every test that needs no system package
	@$(BIN)/python -m pytest

test-peers: $(VENV)/dev ## the payment scenarios against gateways that others wrote; needs Node.js and npm
	@if command -v node > /dev/null && command -v npm > /dev/null; \
	  then $(MAKE) --no-print-directory $(PEERS)/stripe-stateful-mock/made $(PEERS)/localstripe/made && \
	    OUTRIDER_PEERS=$(abspath $(PEERS)) $(BIN)/python -m pytest tests/peers; \
	  else echo "test-peers: skipped, since node and npm are not both here (Debian: apt-get install nodejs npm)"; fi

$(PEERS)/stripe-stateful-mock/made: $(wildcard tests/peers/stripe-stateful-mock/*.json)
	@echo "installing stripe-stateful-mock into $(@D)"
	@mkdir -p $(@D)
	@cp tests/peers/stripe-stateful-mock/package.json tests/peers/stripe-stateful-mock/package-lock.json \
	  tests/peers/stripe-stateful-mock/.npmrc $(@D)
	@npm --prefix $(@D) ci --loglevel=error
	@touch $@

$(PEERS)/localstripe/made: tests/peers/localstripe/build.txt tests/peers/localstripe/requirements.txt
	@echo "installing localstripe into $(@D)"
	@$(BIN)/python -m venv $(@D)
	@$(@D)/bin/python -m pip --disable-pip-version-check --quiet install --require-hashes -r $<
	@$(@D)/bin/python -m pip --disable-pip-version-check --quiet install --require-hashes --no-build-isolation \
	  -r tests/peers/localstripe/requirements.txt
	@touch $@

# In a network and a mount namespace of its own: nothing that it makes outlives it.
faults: $(VENV)/dev ## faults of lines, disks, clocks and processes, each with its sum; needs root (Linux)
	@missing=""; for each in unshare ip iptables strace mkfs.ext4; do \
	  command -v $$each > /dev/null || missing="$$missing $$each"; done; \
	if [ "$$(id -u)" != 0 ]; then echo "faults: skipped, since it needs root (namespaces, mounts)"; \
	elif [ -n "$$missing" ]; then \
	  echo "faults: skipped, not here:$$missing (Debian: apt-get install iproute2 iptables strace e2fsprogs libfaketime)"; \
	elif ! unshare --net --mount true 2> /dev/null; then \
	  echo "faults: skipped, since no namespace of its own is to be had here (a container without the rights?)"; \
	else OUTRIDER_FAULTS=namespaces FAULTS_TABLE=$(or $(FAULTS_TABLE),build/faults.md) \
	  unshare --net --mount $(BIN)/python -m pytest tests/faults $(ONLY); fi

lint: $(VENV)/dev ## ruff: style and the project's bans
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .

typecheck: $(VENV)/dev ## mypy --strict
	@$(BIN)/mypy

kills: $(VENV)/dev ## kill -9 of agent and of collector, N=200 times each: nothing acknowledged lost, nothing twice
	@PYTHONPATH=tests/e2e $(BIN)/python -m kills_support $(N)

bench: $(VENV)/dev ## measure: footprint of the agent, the X12 codec, ingest, a bomb, a statement, a seal
	@$(BIN)/python -m bench

# From the locks, so that it holds the hash of every file that may be installed; without a time, so that it can be made
# again. What makes it is in a virtual environment of its own.
sbom: $(SBOM)/made ## software bills of materials (CycloneDX 1.6): build/sbom/agent.cdx.json and outrider.cdx.json
	@mkdir -p build/sbom
	@for each in agent:agent run:outrider; do \
	  $(SBOM)/bin/cyclonedx-py requirements --output-reproducible --sv 1.6 --pyproject pyproject.toml \
	    -o build/sbom/$${each#*:}.cdx.json requirements/$${each%:*}.txt 2>/dev/null || exit 1; \
	  echo "build/sbom/$${each#*:}.cdx.json: $$(grep -c '"purl"' build/sbom/$${each#*:}.cdx.json) packages"; done

$(SBOM)/made: $(VENV)/made requirements/sbom.txt
	@echo "installing cyclonedx-bom into $(@D)"
	@$(BIN)/python -m venv $(@D)
	@$(@D)/bin/python -m pip --disable-pip-version-check --quiet install --require-hashes -r requirements/sbom.txt
	@touch $@

# A machine without a wheel skips this instead of building one.
fuzz: $(VENV)/dev ## fuzz every parser with atheris, RUNS=20000 inputs each
	@$(PIP) install --require-hashes --only-binary :all: -r requirements/fuzz.txt 2>/dev/null \
	  || echo "there is no wheel of atheris for this Python and machine"
	@$(BIN)/python -m bench.fuzz -runs=$(RUNS)

x12-samples: $(VENV)/dev ## read the X12 files below DIR=... through the codec: what each gives, and why
	@$(BIN)/python -m bench.x12_samples $(DIR)

lock: $(VENV)/dev ## make requirements/*.txt anew from pyproject.toml, with hashes and without addresses
	@$(BIN)/python requirements/lock.py

clean: ## remove the virtual environment, the peers and caches
	rm -rf $(VENV) $(PEERS) $(SBOM) build .mypy_cache .ruff_cache .pytest_cache .hypothesis dist
