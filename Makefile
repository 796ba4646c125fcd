# Everything is run from here. `make` or `make help` lists the targets.
#
# Nothing has to be set up first: each target makes the virtual environment it needs
# under .venv/ and builds the extensions when their sources changed.

PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV   := .venv
BIN    := $(VENV)/bin
PIP    := $(BIN)/python -m pip --disable-pip-version-check --quiet
LAKE   ?= demo-lake
FUZZ_SECONDS ?= 120

NATIVE := setup.py $(wildcard */*.pyx */*.pxd */*/*.pyx */*/*.pxd normalize/mappings/*/*.toml)

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help venv build demo test test-s3 lint bench fuzz docs clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "  make %-8s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

# The same message for both, since a bare Debian lacks both.
$(BIN)/python:
	@[ -n "$(PYTHON)" ] || { echo "Python 3.11 is needed: apt-get install python3"; exit 1; }
	@"$(PYTHON)" -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "Python 3.11 or later is needed, $(PYTHON) is older: make PYTHON=..."; exit 1; }
	@"$(PYTHON)" -c 'import ensurepip, venv' 2>/dev/null \
		|| { echo "Python's venv is needed: apt-get install python3-venv python3-dev"; exit 1; }
	@"$(PYTHON)" -c 'import os, sysconfig as s; \
		os.stat(os.path.join(s.get_path("include"), "Python.h"))' 2>/dev/null \
		|| { echo "Python's C headers are needed: apt-get install python3-dev"; exit 1; }
	@command -v $${CC:-cc} >/dev/null \
		|| { echo "a C compiler is needed: apt-get install gcc libc6-dev"; exit 1; }
	@echo "making $(VENV) with $(PYTHON)"
	@"$(PYTHON)" -m venv $(VENV)

# Without build isolation: the pinned Cython builds, here and in `build`, and pip fetches it once.
# pip builds the extensions too, and says so by touching `built`.
$(VENV)/installed: pyproject.toml constraints.txt | $(BIN)/python
	@echo "installing into $(VENV) and building the extensions (a minute or two, once)"
	@$(PIP) install -c constraints.txt setuptools wheel cython
	@$(PIP) install -c constraints.txt --no-build-isolation -e '.[test,dev,images]'
	@touch $@ $(VENV)/built

# Make runs this also when it has just made `installed`, which has built everything: hence `find`.
$(VENV)/built: $(VENV)/installed $(NATIVE)
	@if [ ! -e $@ ] || [ -n "$$(find $(NATIVE) -newer $@)" ]; then \
		echo "building the extensions that changed"; \
		$(BIN)/python setup.py --quiet build_ext --inplace; \
	fi
	@touch $@

venv: $(VENV)/installed ## make .venv with everything pinned in constraints.txt

build: $(VENV)/built ## build the extensions that changed

demo: build ## ingest examples/evidence into ./demo-lake and ask it some questions
	@$(BIN)/python examples/demo.py --lake $(LAKE)

test: build ## run the whole test suite
	@$(BIN)/python -m pytest

test-s3: build ## the tests of S3 against Ceph's gateway (installs radosgw: Debian, as root)
	@bash tests/s3/run.sh $(BIN)/python

lint: build ## ruff and mypy --strict
	@$(BIN)/ruff check .
	@$(BIN)/mypy

bench: build ## measure against other readers on large inputs: one table (QUICK=1: small ones)
	@$(BIN)/python -m benchmarks.run $(if $(QUICK),--quick)

fuzz: build ## mutation fuzzing under AddressSanitizer for FUZZ_SECONDS (120)
	@bash tests/fuzz/run.sh $(BIN)/python $(FUZZ_SECONDS)

docs: build ## regenerate the pages under docs/ that are made from the schemas
	@$(BIN)/python -m tracelake.normalize.ddl docs

clean: ## remove what was built, the demo lake and the benchmark inputs; keep .venv
	rm -rf build dist fuzz-build bench-data demo-lake src/*.egg-info
	rm -rf .pytest_cache .mypy_cache .ruff_cache .hypothesis .benchmarks
	rm -f $(patsubst %.pyx,%.c,$(wildcard */*.pyx */*/*.pyx)) */*.so */*/*.so $(VENV)/built normalize/mappings/parsed.json
	find . -name __pycache__ -not -path './.venv/*' -prune -exec rm -rf {} +
