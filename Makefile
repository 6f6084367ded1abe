# Each target makes its own virtual environment and installs what it needs; a second run is quick.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: demo test kit lint types docs bench clean

demo: $(VENV)/.demo
	$(BIN)/python examples/terminal.py

test: $(VENV)/.test
	rm -f .coverage .coverage.*
	$(BIN)/coverage run -m pytest -n 2 --dist worksteal
	$(BIN)/coverage combine --quiet
	$(BIN)/coverage report

# Thirty runs of the store kit on every bundled store: a false alarm would show. Half an hour.
kit: $(VENV)/.test
	STORE_CONTRACT_RUNS=30 $(BIN)/python -m pytest -q -n 2 -k stores_are_ok tests/test_contract.py
	for run in $$(seq 30); do \
	  $(BIN)/python -m pytest -q -n 2 --dist worksteal -k keeps_the_contract \
	    tests/storage tests/django || exit 1; \
	done

lint: $(VENV)/.lint
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .

types: $(VENV)/.types $(VENV)/.test
	$(BIN)/mypy
	PATH="$(CURDIR)/$(BIN):$$PATH" pyright

docs: $(VENV)/.docs
	$(BIN)/sphinx-build -W --keep-going -q -b html docs docs/_build
	@echo "docs/_build/index.html"

bench: $(VENV)/.test
	$(BIN)/python tests/benchmark.py
	$(BIN)/python tests/benchmark_contention.py

clean:
	rm -rf $(VENV) docs/_build demo.db* .coverage*

# --- what the targets need ---

# Debian keeps ensurepip in a package of its own.
$(VENV)/.made:
	$(PYTHON) -m venv $(VENV) 2>/dev/null || \
	  { rm -rf $(VENV); tests/debian_packages.sh python3-venv; $(PYTHON) -m venv $(VENV); }
	$(BIN)/python -m pip install -qq --upgrade 'pip>=25.1'
	touch $@

$(VENV)/.demo: $(VENV)/.made pyproject.toml
	$(BIN)/python -m pip install -qq --editable '.[crypto]'
	touch $@

$(VENV)/.test: $(VENV)/.demo
	PATH="$$PATH:/usr/sbin:$$(ls -d /usr/lib/postgresql/*/bin 2>/dev/null | tail -n 1)" \
	  tests/debian_packages.sh oathtool:oathtool zbarimg:zbar-tools rsvg-convert:librsvg2-bin \
	  postgres:postgresql mariadbd:mariadb-server redis-server:redis-server
	$(BIN)/python -m pip install -qq --group test
	touch $@

$(VENV)/.lint: $(VENV)/.made pyproject.toml
	$(BIN)/python -m pip install -qq --group lint
	touch $@

$(VENV)/.types: $(VENV)/.made pyproject.toml
	$(BIN)/python -m pip install -qq --group types
	touch $@

$(VENV)/.docs: $(VENV)/.demo
	$(BIN)/python -m pip install -qq --group docs
	touch $@
