# Each target makes its own virtual environment and installs what it needs; a second run is quick.
PYTHON ?= python3
VENV := .venv
BENCH := .bench/venv
APP ?= flask
PORT ?= 8000
EXAMPLES ?= 20000
BIN := $(VENV)/bin

.PHONY: demo web test screenshots kit lint types docs bench fuzz proof mutmut kills load trace matrix messages clean

demo: $(VENV)/.demo
	$(BIN)/python examples/terminal.py

# APP=flask, fastapi or django; it prints its address and who can sign in.
web: $(VENV)/.web
	PYTHONPATH=examples PORT=$(PORT) $(BIN)/python -m $(APP)_app

test: $(VENV)/.test
	rm -f .coverage .coverage.*
	$(BIN)/coverage run -m pytest -n 2 --dist worksteal
	$(BIN)/coverage combine --quiet
	$(BIN)/coverage report

# The pictures of the docs, from the Flask app in Chromium.
screenshots: $(VENV)/.test
	cd tests && ../$(BIN)/python -m web.screenshots

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

types: $(VENV)/.types $(VENV)/.packages
	$(BIN)/mypy
	PATH="$(CURDIR)/$(BIN):$$PATH" pyright

docs: $(VENV)/.docs
	$(BIN)/sphinx-build -W --keep-going -q -b html docs docs/_build
	@echo "docs/_build/index.html"

# The readers of typed text, URIs, keys and documents on strange input, until interrupted.
fuzz: $(VENV)/.test
	FUZZ_EXAMPLES=$(EXAMPLES) $(BIN)/python -m pytest -q -n 2 tests/proof/test_fuzz.py

# Beside raw drivers and other libraries, in the same rounds. Three minutes; it renews the table and
# the plot of docs/benchmarks.md. SHORT=1 takes half a minute and only prints.
bench: $(BENCH)/.peers
	PYTHONPATH=tests $(BENCH)/bin/python -m benchmarks $(if $(SHORT),--short)

# Every order of two requests, and every place to fail between them; ten minutes on two cores.
proof: $(VENV)/.test
	PYTHONPATH=tests $(BIN)/python -m proof.interleavings

# Every small change to the rules that mutmut can think of; docs/mutants.md lists what survives.
# With a name, if only "*", mutmut checks first that pytest finds each test by its own name: one
# that it did not find would pass for a kill. A quarter of an hour on two cores.
mutmut: $(VENV)/.mutation
	rm -rf mutants
	PYTHONPATH=tests $(BIN)/mutmut run --max-children 2 "*"
	$(BIN)/python tests/proof/mutation.py

# On each database two hundred workers are killed, and each server ten times: what was acknowledged
# holds, and nothing is half done. Two minutes on two cores.
kills: $(VENV)/.test
	cd tests && ../$(BIN)/python -m proof.kills.runner

# Eight processes on ten thousand accounts for a minute, on PostgreSQL and on Redis.
load: $(VENV)/.test
	cd tests && ../$(BIN)/python -m proof.kills.load

# Each requirement and each bug of others with the tests that carry it, and their results.
trace: $(VENV)/.test
	PYTHONPATH=tests $(BIN)/python -m pytest -q -n 2 --dist worksteal -p proof.traceability

# Every Python on this machine, with the oldest and the newest of the dependencies. Half an hour.
matrix:
	$(PYTHON) tests/matrix.py $(ONLY)

# The .mo files stand in the repository, so that nobody who installs the library needs Babel.
messages: $(VENV)/.test
	$(BIN)/pybabel -q compile -D otp_enroll -d src/otp_enroll/messages/locale
	if [ -d examples/pages/locale ]; then \
	  $(BIN)/pybabel -q compile -D pages -d examples/pages/locale; \
	fi

clean:
	rm -rf $(VENV) .bench .matrix mutants docs/_build demo*.db* .coverage*

# --- what the targets need ---

# Debian keeps ensurepip in a package of its own.
%/.made:
	$(PYTHON) -m venv $* 2>/dev/null || \
	  { rm -rf $*; tests/debian_packages.sh python3-venv; $(PYTHON) -m venv $*; }
	$*/bin/python -m pip install -qq --upgrade 'pip>=25.1'
	touch $@

$(VENV)/.demo: $(VENV)/.made pyproject.toml
	$(BIN)/python -m pip install -qq --editable '.[crypto]'
	touch $@

$(VENV)/.web: $(VENV)/.demo
	$(BIN)/python -m pip install -qq --group web
	touch $@

# The packages of the tests without the servers, which the type checkers need not wait for.
$(VENV)/.packages: $(VENV)/.demo
	$(BIN)/python -m pip install -qq --group test
	touch $@

$(VENV)/.test: $(VENV)/.packages
	PATH="$$PATH:/usr/sbin:$$(ls -d /usr/lib/postgresql/*/bin 2>/dev/null | tail -n 1)" \
	  tests/debian_packages.sh oathtool:oathtool zbarimg:zbar-tools rsvg-convert:librsvg2-bin \
	  postgres:postgresql mariadbd:mariadb-server redis-server:redis-server \
	  chromium:chromium chromium-headless-shell pdfinfo:poppler-utils
	touch $@

$(VENV)/.mutation: $(VENV)/.test
	$(BIN)/python -m pip install -qq --group mutation
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

# The other libraries stay out of the environment of the tests.
$(BENCH)/.peers: $(BENCH)/.made pyproject.toml
	PATH="$$PATH:$$(ls -d /usr/lib/postgresql/*/bin 2>/dev/null | tail -n 1)" \
	  tests/debian_packages.sh postgres:postgresql
	$(BENCH)/bin/python -m pip install -qq --editable '.[crypto,sqlalchemy]' --group bench
	touch $@
