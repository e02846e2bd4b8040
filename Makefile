# `make help` lists what there is to make. Everything is done in a virtual environment of its own, .venv.

VENV := .venv
BIN := $(VENV)/bin
EXAMPLE := hello
ADDRESS := 127.0.0.1:8000
SECONDS := 60
SEED :=

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

# A virtual environment whose Python has been removed is made again.
$(shell $(BIN)/python -c '' 2>/dev/null || rm -f $(VENV)/.has-*)

.PHONY: help
help: ## List the targets
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 14

.PHONY: run
run: $(VENV)/.has-example ## Serve docs/examples/hello.ini (EXAMPLE=hello_asgi ADDRESS=127.0.0.1:8001 for another)
	@exec tools/serve-example $(BIN)/sdserve docs/examples/$(EXAMPLE).ini $(ADDRESS)

.PHONY: lint
lint: $(VENV)/.has-test ## Style, types, layers
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/mypy --package tests.system
	$(BIN)/lint-imports

# What does not disturb each other runs side by side, and whole systems wait most of the time. Those tests that compare
# waits are the last, and alone.
ABREAST := $(MAKE) --no-print-directory --jobs=2 --output-sync=target

.PHONY: check
check: $(VENV)/.has-test ## Everything that is fast: lint and all tests but those that boot a system or are slow
	+$(ABREAST) lint core quick

.PHONY: quick
quick: bytecode
	$(BIN)/python -m pytest --ignore=tests/core -m "not system and not slow"

.PHONY: test
test: lint ## Everything: lint, all tests, coverage of the core
	tools/containers
	tools/packagers
	+$(ABREAST) core components
	$(BIN)/python -m pytest --ignore=tests/core -m "system and not alone" --numprocesses=3
	$(BIN)/python -m pytest --ignore=tests/core -m alone

# Tests start sdserve more than a thousand times. Where PYTHONDONTWRITEBYTECODE is set each would compile it anew.
.PHONY: bytecode
bytecode: $(VENV)/.has-test
	$(BIN)/python -m compileall -q sdserve

.PHONY: components
components: bytecode
	$(BIN)/python -m pytest --ignore=tests/core -m "not system and not alone" --numprocesses=2

.PHONY: core
core: $(VENV)/.has-test ## The tests of sdserve/core, which have to reach every branch of it
	$(BIN)/python -m coverage run -m pytest tests/core
	$(BIN)/python -m coverage report

.PHONY: mutation
mutation: $(VENV)/.has-test ## Break the fleet's rules for ten minutes, and list what its tests do not notice
	$(BIN)/python -m tests.core.fleet.mutation

.PHONY: fuzz
fuzz: $(VENV)/.has-test ## Fuzz parsers and servers (SECONDS=60; SEED= repeats a run)
	$(BIN)/python -m tests.fuzz $(SECONDS) $(SEED)

.PHONY: bench
bench: $(VENV)/.has-test $(VENV)/.has-bench ## Measure sdserve beside other servers
	@command -v wrk >/dev/null || tools/debian-packages wrk
	$(BIN)/python -m tests.bench

.PHONY: deb
deb: ## Build the Debian package, into dist/
	tools/packagers
	packaging/build-deb

.PHONY: rpm
rpm: ## Build the RPM package, into dist/
	tools/packagers
	packaging/build-rpm

.PHONY: clean
clean: ## Remove what was made here (not the trees of the system tests in /var/tmp/sdserve-tests)
	rm -rf $(VENV) build dist *.egg-info .coverage .hypothesis .mypy_cache .pytest_cache .ruff_cache .import_linter_cache
	find . -name __pycache__ -prune -exec rm -rf {} +

# One stamp for each extra of pyproject.toml that is installed.
$(VENV)/.has-%: pyproject.toml tools/environment
	tools/environment $(VENV) $*
	@touch $@
