# Two commands matter: `make demo` and `make test`. They set up what they need in .venv: `make demo` installs the web
# app without torch; `make test` adds what trains and tests to the same .venv.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin

.PHONY: app setup demo test check docs bench clean

app: $(VENV)/.app

setup: $(VENV)/.installed

$(VENV)/.app: pyproject.toml constraints.txt scripts/setup
	PYTHON="$(PYTHON)" VENV="$(VENV)" scripts/setup app

$(VENV)/.installed: pyproject.toml constraints.txt scripts/setup
	PYTHON="$(PYTHON)" VENV="$(VENV)" scripts/setup

# make demo                  the web app in the browser: the built-in model, studies that the package draws
# make demo PATH=folder      ... images of your own (or STUDIES=folder)
# PATH is also where the shell looks for programs: what was meant for the demo is kept, and the shell's own put back,
# from make's environment where the system shows it, else the system's default.
ifeq ($(origin PATH),command line)
STUDIES := $(PATH)
override PATH := $(or $(shell [ -r /proc/$$PPID/environ ] && command -p tr '\0' '\n' < /proc/$$PPID/environ \
	| command -p sed -n 's/^PATH=//p'),$(shell command -p getconf PATH))
endif
demo: app
	$(BIN)/pneumoscope demo $(if $(STUDIES),"$(STUDIES)")

test: setup
	VENV="$(VENV)" scripts/test

check: setup
	VENV="$(VENV)" scripts/check

# make docs                  the documentation site in build/site; open build/site/index.html
docs: setup
	VENV="$(VENV)" scripts/docs

bench: setup
	VENV="$(VENV)" scripts/bench

clean:
	rm -rf build dist demo .pytest_cache .mypy_cache .ruff_cache
