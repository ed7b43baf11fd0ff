# `make` shows what there is; `make demo` and `make test` set up what they need themselves.
PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
DEMO   ?= demo
PHOTOS ?= 3000

.DEFAULT_GOAL := help
.PHONY: help install demo check test lint types imports pytest docs clean

help:
	@echo "make demo   from nothing to a located photo on a map: $(DEMO)/report.html (PHOTOS=3000)"
	@echo "make check  lint, types, import contract and the fast tests: before each commit"
	@echo "make test   lint, types, import contract and all tests"
	@echo "make docs   the documentation as a site: build/docs/index.html"
	@echo "make clean  remove the virtual environment and the demo"

# uv, not pip: pip may pick a torch that does not match torchvision. Versions are pinned in constraints.txt.
# Bytecode: a process that may not write it compiles 4,000 modules at each start (PYTHONDONTWRITEBYTECODE): 5 CPU s.
$(VENV)/.installed: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "OpenPlaNet needs Python 3.11 or newer; name it with: make PYTHON=python3.12 ..."; exit 1; }
	@if command -v uv >/dev/null; then uv venv -q --allow-existing --python $(PYTHON) $(VENV); else \
	  $(PYTHON) -m venv $(VENV) && $(BIN)/python -m pip install -q uv; fi
	@uv=$$(command -v uv || echo $(BIN)/uv); echo "installing packages into $(VENV) ..."; \
	  UV_HTTP_TIMEOUT=180 $$uv pip install -q --compile-bytecode --python $(BIN)/python -c constraints.txt -e '.[train,test]'
	@touch $@

install: $(VENV)/.installed

demo: install
	$(BIN)/openplanet demo --out $(DEMO) --photos $(PHOTOS)

check: lint types imports
	$(BIN)/pytest -q -n 2 --dist worksteal -m "not slow"

test: lint types imports pytest

lint: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: install
	$(BIN)/mypy

imports: install
	$(BIN)/lint-imports

pytest: install
	$(BIN)/pytest -n 2 --dist worksteal

docs: install
	@uv=$$(command -v uv || echo $(BIN)/uv); $$uv pip install -q --python $(BIN)/python -c constraints.txt -e '.[docs]'
	$(BIN)/mkdocs build -q --strict -d build/docs

clean:
	rm -rf $(VENV) $(DEMO)
