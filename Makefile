# Everything a person or CI does here. `make help` lists it.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
SOURCES := pyproject.toml setup.py $(wildcard csrc/*.c csrc/*.h src/obsagent/_native/*)

.PHONY: help run test lint bench faults fuzz readme check sanitize wheel clean stubtest format

help:  ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sort | awk -F ':.*## ' '{printf "  make %-10s %s\n", $$1, $$2}'

$(BIN)/python:
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "obsagent needs Python 3.11 or newer; set PYTHON=")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip

$(VENV)/.built: $(BIN)/python $(SOURCES)
	$(BIN)/python -m pip install --quiet --editable '.[demo]'
	@touch $@

$(VENV)/.test: $(VENV)/.built
	$(BIN)/python -m pip install --quiet --group test
	@touch $@

$(VENV)/.lint: $(VENV)/.built
	$(BIN)/python -m pip install --quiet --group test --group lint
	@touch $@

$(VENV)/.bench: $(VENV)/.built
	$(BIN)/python -m pip install --quiet --group bench
	@touch $@

$(VENV)/.fuzz: $(VENV)/.test
	$(BIN)/python -m pip install --quiet --group fuzz
	@touch $@

run: $(VENV)/.built  ## build, then serve a real model and watch it: the demo (DURATION=60 seconds)
	$(BIN)/obsagent demo --duration $(or $(DURATION),60)

test: $(VENV)/.test  ## install what the tests need and run them all, C kernels included
	$(MAKE) --no-print-directory -C csrc check
	$(BIN)/python -m pytest $(PYTEST_ARGS)

check:  ## the C kernels' own tests
	$(MAKE) --no-print-directory -C csrc check

faults: $(VENV)/.test  ## an agent stopped and a network cut under load (SECONDS=60 each); needs root
	FAULT_SECONDS=$(or $(SECONDS),60) $(BIN)/python -m pytest tests/integration/test_cut_off.py

sanitize:  ## the C kernels' tests under ASan, UBSan and TSan
	$(MAKE) --no-print-directory -C csrc asan ubsan tsan

lint: $(VENV)/.lint  ## formatting, style, types, stubs and layers
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/cython-lint src/obsagent/_native benchmarks
	$(BIN)/clang-format --dry-run --Werror $$(git ls-files '*.c' '*.h')
	$(BIN)/mypy
	MYPYPATH=src $(BIN)/python -m mypy.stubtest obsagent._native.sketch obsagent._native.ring obsagent._native.codec
	$(BIN)/lint-imports

format: $(VENV)/.lint  ## format Python and C in place
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .
	$(BIN)/clang-format -i $$(git ls-files '*.c' '*.h')

bench: $(VENV)/.bench  ## measure against floors and peers; prints the table of benchmarks/README.md
	$(BIN)/python -m benchmarks

fuzz: $(VENV)/.fuzz  ## look for queries that break the parser (MINUTES=5)
	@mkdir -p build/fuzz/query
	$(BIN)/python tests/fuzz/fuzz_query.py -max_total_time=$$((60 * $(or $(MINUTES),5))) -max_len=600 -len_control=0 \
		-artifact_prefix=build/fuzz/ build/fuzz/query tests/fuzz/corpus/query

readme: $(VENV)/.test  ## record anew the sessions that README.md and LANGUAGE.md show
	mkdir -p build
	PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/obsagent demo >build/demo.txt
	$(BIN)/python tests/unit/documented.py build/demo.txt

wheel: $(BIN)/python  ## sdist and wheel into dist/
	$(BIN)/python -m pip install --quiet build
	$(BIN)/python -m build

clean:  ## remove what was built
	rm -rf build dist $(VENV) csrc/build src/obsagent/_native/*.so src/*.egg-info
