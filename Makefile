# make demo    set up, measure the embedded default, judge it, leave demo-report/report.html
# make test    set up, run the tests
# make check   lint, types, schemas, templates
# make lock    pin the dependencies again
# make clean   remove what the others made

PYTHON ?= python3
# Most tests wait for a process or a server, so three go side by side even on two cores.
PYTEST_ARGS ?= -n 3 --dist loadfile
VENV   ?= .venv
DEMO   ?= demo-report

# Where a virtual environment keeps its programs differs between systems.
BIN := $(VENV)/$(if $(filter Windows_NT,$(OS)),Scripts,bin)

.PHONY: demo test check lock clean

demo: $(VENV)/.demo
	@echo "Measuring the embedded default: six indicators, under a minute."
	@$(BIN)/hexgate demo --out $(DEMO)

test: $(VENV)/.dev
	@echo "Running the tests: some minutes."
	@$(BIN)/python -m pytest $(PYTEST_ARGS)

check: $(VENV)/.dev
	@$(BIN)/python -m ruff check .
	@$(BIN)/python -m ruff format --check .
	@$(BIN)/python -m mypy
	@$(BIN)/python tools/build_schemas.py --check
	@$(BIN)/python tools/build_templates.py --check
	@$(BIN)/python tools/build_docs.py --check
	@$(BIN)/shellcheck platforms/job_templates/*/*.sh docker/*.sh .ci/*

$(VENV)/.demo: requirements.lock pyproject.toml tools/set_up.py
	@$(PYTHON) tools/set_up.py $(VENV) requirements.lock
	@touch $@

$(VENV)/.dev: requirements-dev.lock pyproject.toml tools/set_up.py
	@$(PYTHON) tools/set_up.py $(VENV) requirements-dev.lock
	@touch $@ $(VENV)/.demo

COMPILE := uv pip compile --universal --python-version 3.10 --generate-hashes --no-header -q

lock:
	$(COMPILE) --extra build pyproject.toml -o requirements.lock
	$(COMPILE) --extra build --extra dev -c requirements.lock pyproject.toml -o requirements-dev.lock
	$(COMPILE) --extra build --extra dev --extra vendors -c requirements-dev.lock pyproject.toml -o requirements-vendors.lock
	$(COMPILE) -c requirements.lock docker/build.in -o docker/build.lock
	$(COMPILE) -c requirements-vendors.lock pyproject.toml docker/stores.in -o docker/cpu.lock
	$(COMPILE) -c docker/cpu.lock --overrides docker/no-onnxruntime.txt \
	  pyproject.toml docker/stores.in docker/cuda.in -o docker/cuda.lock
	$(COMPILE) -c docker/cpu.lock --overrides docker/no-onnxruntime.txt \
	  pyproject.toml docker/stores.in docker/jetson.in -o docker/jetson.lock

clean:
	rm -rf $(VENV) $(DEMO) out build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis
