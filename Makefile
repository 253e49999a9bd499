# Two commands matter: `make demo` and `make test`. Everything else they need, they set up in .venv.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin

.PHONY: setup demo test check bench clean

setup: $(VENV)/.installed

$(VENV)/.installed: pyproject.toml constraints.txt scripts/setup
	PYTHON="$(PYTHON)" VENV="$(VENV)" scripts/setup

# make demo                  the built-in model on phantoms that the package draws
# make demo STUDIES=folder   ... on images of your own
demo: setup
	$(BIN)/pneumoscope demo $(STUDIES)

test: setup
	VENV="$(VENV)" scripts/test

check: setup
	VENV="$(VENV)" scripts/check

bench: setup
	VENV="$(VENV)" scripts/bench

clean:
	rm -rf build dist demo .pytest_cache .mypy_cache .ruff_cache
