# make run: the app.  make test: everything that must hold.  See `make help`.
# All paths are relative, and tools are started as `python -m`: both survive a folder with spaces in its name.

SHELL := /bin/sh
.DEFAULT_GOAL := help
.PHONY: help run test check format lint types pictures bench clean
.DELETE_ON_ERROR:

python := .venv/bin/python
scrubbed := sh scripts/scrubbed.sh
pip := $(scrubbed) --install $(python) -m pip install --disable-pip-version-check --constraint constraints.txt

help:
	@echo 'make run       install what is needed, start the app, print its address   ARGS="--share --port 8000"'
	@echo 'make test      install what tests need, run lint, types and all tests     ARGS="-k mask"'
	@echo 'make check     lint, format and types only'
	@echo 'make format    lay out all code as ruff format does'
	@echo 'make pictures  take the pictures of the README from the real page'
	@echo 'make bench     list the measurements'
	@echo 'make clean     remove .venv and everything that was built'
	@echo 'PYTHON=/path/to/python3 chooses the Python that .venv is made from; TORCH=cpu or TORCH=cuda the build of torch.'

run: .venv/inpaint-installed
	$(python) app.py $(ARGS)

# In the environment of an ordinary machine, so that no variable of this one hides a fault. All tests but the browser's run at once on all
# cores; the browser's run alone, since they drive a page, a server and a browser each. Exit code 5: ARGS chose no test of that half.
test: .venv/inpaint-dev-installed check
	$(scrubbed) $(python) -m pytest -n auto --dist loadfile -m "not browser" $(ARGS) || [ $$? -eq 5 ]
	browser=$$(sh scripts/find-browser.sh) && $(scrubbed) INPAINT_CHROMIUM="$$browser" $(python) -m pytest -m browser $(ARGS) || [ $$? -eq 5 ]

check: lint types

format: .venv/inpaint-dev-installed
	$(scrubbed) $(python) -m ruff format .

lint: .venv/inpaint-dev-installed
	$(scrubbed) $(python) -m ruff check .
	$(scrubbed) $(python) -m ruff format --check .

types: .venv/inpaint-dev-installed
	$(scrubbed) $(python) -m pyright --project pyproject.toml --pythonpath $(python)

pictures: .venv/inpaint-dev-installed
	browser=$$(sh scripts/find-browser.sh) && INPAINT_CHROMIUM="$$browser" $(python) scripts/make_pictures.py $(ARGS)

bench: .venv/inpaint-dev-installed
	@echo 'Run one with: $(python) bench/NAME.py'
	@ls bench/*.py

clean:
	rm -rf .venv build dist *.egg-info .pytest_cache .ruff_cache .hypothesis .gradio
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# The stamps: written after pip succeeded, older than the files they stand for when those change.
.venv/inpaint-installed: requirements.txt constraints.txt
	@TORCH='$(TORCH)' sh scripts/install.sh

# It is made anew where another build of torch fits the machine, or is asked for, than the one that it names.
ifneq ($(lastword $(shell cat .venv/inpaint-installed 2>/dev/null)),$(shell TORCH='$(TORCH)' sh scripts/install.sh --wanted 2>/dev/null))
.PHONY: .venv/inpaint-installed
endif

.venv/inpaint-dev-installed: requirements-dev.txt .venv/inpaint-installed
	$(pip) --requirement requirements-dev.txt
	@touch $@
