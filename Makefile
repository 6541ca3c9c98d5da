# Everything a person or CI does here. `make help` lists it.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
JOBS := $(shell getconf _NPROCESSORS_ONLN)
SOURCES := pyproject.toml setup.py $(wildcard csrc/*.c csrc/*.h src/obsagent/_native/*)

.PHONY: help run test lint bench crash soak scale faults fuzz fuzz-long damage readme check sanitize sanitize-c \
	sanitize-python sanitize-proof wheel aarch64 clean stubtest format

help:  ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sort | awk -F ':.*## ' '{printf "  make %-15s %s\n", $$1, $$2}'

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

$(VENV)/.sanitize: $(VENV)/.test
	$(BIN)/python -m pip install --quiet --group sanitize
	@touch $@

$(VENV)/.fuzz: $(VENV)/.test
	$(BIN)/python -m pip install --quiet --group fuzz
	@touch $@

run: $(VENV)/.built  ## build, then serve a real model and watch it: the demo (DURATION=60 seconds)
	$(BIN)/obsagent demo --duration $(or $(DURATION),60)

test: $(VENV)/.test  ## install what the tests need and run them all, C kernels included
	$(MAKE) --no-print-directory -j $(JOBS) -C csrc check
	$(BIN)/python $(if $(PYTEST_ARGS),-m pytest $(PYTEST_ARGS),tests/side_by_side.py)

check:  ## the C kernels' own tests
	$(MAKE) --no-print-directory -j $(JOBS) -C csrc check

faults: $(VENV)/.test  ## an agent stopped and a network cut under load (SECONDS=60 each); needs root
	FAULT_SECONDS=$(or $(SECONDS),60) $(BIN)/python -m pytest tests/integration/test_cut_off.py

scale: $(VENV)/.test  ## models of ROWS=10000000 rows from the client to the report, in constant memory
	OBSAGENT_SCALE_ROWS=$(or $(ROWS),10000000) $(BIN)/python -m pytest tests/integration/test_model_scale.py

sanitize: sanitize-c sanitize-python  ## the tests of the kernels under ASan, UBSan and TSan, of the extension modules under the first two

sanitize-c:
	$(MAKE) --no-print-directory -j $(JOBS) -C csrc asan tsan

sanitize-python: $(VENV)/.sanitize  ## the Python tests of the extension modules on a build with ASan and UBSan
	$(BIN)/python tests/sanitized.py

sanitize-proof: $(VENV)/.sanitize  ## plant two bugs in a copy of the kernels: the sanitizers must find them
	$(BIN)/python tests/sanitized.py --plant

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

fuzz: $(VENV)/.fuzz  ## look for input that breaks a decoder (MINUTES=5 each; TARGET=name for one)
	$(BIN)/python tests/fuzz/run.py --minutes $(or $(MINUTES),5) $(TARGET)

fuzz-long: $(VENV)/.fuzz  ## the same, ten million executions each (TARGET=name for one)
	$(BIN)/python tests/fuzz/run.py --runs 10000000 $(TARGET)

crash: $(VENV)/.test  ## kill stores and agents, and cut their power, at chosen points (CYCLES=200 SEED=random)
	CRASH_CYCLES=$(or $(CYCLES),200) CRASH_SEED=$(or $(SEED),$(shell od -An -N3 -tu4 /dev/urandom)) \
		nice -n 19 $(BIN)/python -m pytest tests/crash -s -v --timeout=0 $(PYTEST_ARGS)

soak: $(VENV)/.test  ## a long run of everything; does anything grow, is anything lost? (MINUTES=10 SEED=random)
	PYTHONPATH=tests $(BIN)/python -m soak --minutes $(or $(MINUTES),10) $(if $(SEED),--seed $(SEED))

damage: $(VENV)/.test  ## flip every bit of a small store and cut it at every byte (half an hour)
	OBSAGENT_DAMAGE_SHARE=1 $(BIN)/python -m pytest tests/unit/test_damage.py tests/unit/test_damage_tiers.py \
		tests/unit/test_damage_expired.py -q --timeout=7200

readme: $(VENV)/.test  ## record anew the sessions that README.md and LANGUAGE.md show
	mkdir -p build
	PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/obsagent demo >build/demo.txt
	$(BIN)/python tests/unit/documented.py build/demo.txt

wheel: $(BIN)/python  ## sdist and manylinux wheel into dist/, tried in a new environment without a compiler
	$(BIN)/python -m pip install --quiet --group wheel
	$(BIN)/python tests/wheels.py dist

aarch64:  ## the C kernels' tests for another processor, in QEMU; csrc/Makefile says what that needs
	$(MAKE) --no-print-directory -j $(JOBS) -C csrc aarch64

clean:  ## remove what was built
	rm -rf build dist $(VENV) csrc/build src/obsagent/_native/*.so src/*.egg-info
