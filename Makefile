# make demo, make test: all that a clean clone with Python 3.11 needs.
PYTHON ?= python3.11
BIN := .venv/bin
READY := .venv/ready

export PATH := $(CURDIR)/$(BIN):$(PATH)

# Tests start many processes: none should compile again what another has.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: demo test bench zoo pretrained examples page docs lint clean

demo: $(READY)
	python examples/ihc_unet/demo.py
	python examples/unet_code/demo.py

test: $(READY)
	pytest -n 2 --dist worksteal $(ARGS)

bench: $(READY)
	python bench/run.py $(ARGS)

zoo: $(READY)
	python bench/zoo.py $(ARGS)

pretrained: $(READY)
	python bench/pretrained.py $(ARGS)

examples: $(READY)
	python bench/examples.py $(ARGS)

# Builds src/torchport/geometry/page.html from web/; needs Node. What is built is committed.
page:
	cd web && npm ci --no-audit --no-fund && npm test && npm run build

# What the programs on the pages print, written anew; and the site, build/site/index.html, its links checked.
docs: $(READY)
	python docs/run.py
	pip install -qq --disable-pip-version-check -c constraints.txt -e '.[docs]'
	zensical build --clean --strict
	python docs/links.py build/site

lint: $(READY)
	ruff check
	ruff format --check
	mypy

clean:
	rm -rf demo bench/out .venv .venv-peers .mypy_cache .pytest_cache .ruff_cache .hypothesis

$(READY): pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	pip install -qq --disable-pip-version-check -c constraints.txt -e '.[dev]'
	touch $@
