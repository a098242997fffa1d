# Each target sets up all it needs, in a virtual environment of its own.
SHELL := /bin/bash
PYTHON ?= python3
# The engine: vLLM's build for NVIDIA GPUs where there is one, its build for CPUs elsewhere.
ENGINE := $(shell nvidia-smi >/dev/null 2>&1 && echo gpu || echo cpu)
# `make demo TORCH_BACKEND=cpu` saves 4 GB of CUDA libraries where PyTorch's own index can be reached.
TORCH_BACKEND ?=
# Without compiled files every process compiles torch and vLLM anew, for half a minute; the install
# does it once, in ten seconds.
unexport PYTHONDONTWRITEBYTECODE
# The demo's log: sqlite, kafka (a real broker, started for it; needs Java) or kafka://HOST:PORT.
LOG ?= sqlite
BIN := .venv/bin
ROOMS := feedback trainer serving ops
BENCHES := $(filter-out __init__,$(basename $(notdir $(wildcard tests/bench/*.py))))
# What is not even looked at saves each process seconds of loading engines.
QUICK := $(BIN)/python -m pytest tests --ignore tests/integration --ignore tests/gpu --ignore tests/cluster \
  -m "not integration and not gpu" -n 2 --dist loadfile
# How much of the code the quick tests walk; to count lines takes them half as long again.
COUNTED := --cov --cov-report=term:skip-covered

.PHONY: demo check test test-cluster coverage bench test-gpu clean

demo: .venv/demo.installed $(if $(filter kafka,$(LOG)),.venv/kafka.installed)
	$(BIN)/python -m ops.demo --log '$(LOG)'

check: .venv/test.installed
	$(BIN)/ruff check $(ROOMS) tests
	$(BIN)/ruff format --check $(ROOMS) tests
	$(BIN)/mypy

# The quick tests first; last and one at a time those with a real engine.
test: .venv/test.installed .venv/kafka.installed .venv/browser.installed .venv/sdk.installed \
  .venv/prometheus.installed .venv/helm.installed
	$(QUICK) $(if $(COUNT),$(COUNTED))
	$(BIN)/python -m pytest tests -m "integration and not alone and not gpu" -n 2 --dist loadfile
	$(BIN)/python -m pytest tests/integration -m alone --durations=30

# On a real Kubernetes: KUBECONFIG's where it is set, else one that is made here, as root on Debian.
test-cluster: .venv/test.installed .venv/kafka.installed .venv/helm.installed
	$(BIN)/python -m pytest tests/cluster -m cluster --durations=10

coverage: .venv/test.installed
	$(QUICK) $(COUNTED)

# What it costs, beside others in the same runs; docs/experiments.md keeps what was seen.
bench: .venv/test.installed .venv/kafka.installed .venv/litellm.installed
	for bench in $(BENCHES) gateway step; do $(BIN)/python -m tests.bench.$$bench || exit 1; done

# Needs an NVIDIA GPU.
test-gpu: .venv/test.installed
	$(BIN)/python -m pytest tests/gpu -m gpu

clean:
	rm -rf .venv .demo

.venv/demo.installed: EXTRAS := $(ENGINE),demo
.venv/test.installed: EXTRAS := $(ENGINE),demo,test
.venv/%.installed: .venv/bin/uv pyproject.toml constraints.txt
	[ -t 2 ] || quiet=--quiet; \
	$(BIN)/uv pip install $$quiet --compile-bytecode --python $(BIN)/python -c constraints.txt -e '.[$(EXTRAS)]' \
	  $(if $(TORCH_BACKEND),--torch-backend=$(TORCH_BACKEND))
	touch $@

.venv/kafka.installed: ops/demo/kafka/install ops/demo/kafka/pom.xml
	ops/demo/kafka/install .venv/kafka
	touch $@

.venv/browser.installed: tests/browser/install
	tests/browser/install
	touch $@

# What alerts and dashboards are tried on.
.venv/prometheus.installed: tests/prometheus/install
	tests/prometheus/install .venv/prometheus
	touch $@

.venv/helm.installed: helm/install | .venv/test.installed
	helm/install .venv/helm
	touch $@

# OpenAI's JavaScript client, which a test drives.
.venv/sdk.installed: tests/integration/sdk.mjs | .venv/test.installed
	$(BIN)/npm install --silent --no-package-lock --no-audit --no-fund --ignore-scripts \
	  --prefix .venv/sdk openai@6.49.0
	touch $@

# What the gateway is measured beside. Its pins are not ours, so it has an environment of its own.
.venv/litellm.installed: .venv/bin/uv
	$(BIN)/uv venv --quiet --clear --python $(BIN)/python .venv/litellm
	$(BIN)/uv pip install --quiet --compile-bytecode --python .venv/litellm/bin/python \
	  'litellm[proxy]==1.106.2'
	touch $@

.venv/bin/uv:
	$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14) and "Python 3.11 to 3.13 is needed: make PYTHON=python3.12")'
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet uv==0.13.8
