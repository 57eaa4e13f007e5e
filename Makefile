PYTHON ?= python3
VENV = .venv/bin/python3

# What the build calls and what paper.tex loads: if it is here, nothing is installed.
COMMANDS = latexmk pdflatex xelatex lualatex bibtex pythontex pdftotext
TEX_FILES = pythontex.sty siunitx.sty cleveref.sty microtype.sty enumitem.sty caption.sty \
  natbib.sty fontspec.sty lmodern.sty lmroman10-regular.otf etoolbox.sty fancyvrb.sty IEEEtranN.bst

export PYTHONDONTWRITEBYTECODE = 1

.PHONY: paper tools system test lint arxiv diff verify clean help

paper: tools ## install what is missing, then build paper.pdf
	latexmk

test: tools .venv/test ## install what is missing, then run every test
	$(VENV) -m pytest

lint: .venv/test ## check the paper's prose, and the Python code's format, style and types
	$(VENV) tools/lint.py
	.venv/bin/ruff format --no-cache --check --diff .
	.venv/bin/ruff check --no-cache .
	.venv/bin/basedpyright --pythonpath $(VENV)

arxiv: paper ## the paper without Python, checked and packed: dist/arxiv.tar.gz
	$(VENV) -m tools.arxiv

diff: paper ## what has changed since a commit, numbers included: make diff OLD=<commit>
	$(VENV) -m tools.diff "$(OLD)"

verify: tools .venv/test ## build this commit anew, compare its results.json, and PDF=... if named
	$(VENV) -m tools.verify $(if $(PDF),"$(PDF)")

clean: ## remove all that was made, but .venv
	latexmk -C
	rm -rf .cache dist

tools: system .venv/paper ## install what is missing, build nothing

# PythonTeX highlights code with the Pygments of the Python that its first line names.
system:
	@missing=$$( \
	  for command in $(COMMANDS) $(PYTHON); do command -v $$command >/dev/null || echo $$command; done; \
	  for file in $(TEX_FILES); do kpsewhich $$file >/dev/null 2>&1 || echo $$file; done; \
	  $(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || echo python3-venv; \
	  python=$$(sed -n '1s/^#! *//p' "$$(command -v pythontex || echo /dev/null)"); \
	  $${python:-$(PYTHON)} -c 'import pygments' 2>/dev/null || echo python3-pygments); \
	packages=$$(grep -v '^#' apt.txt); \
	if test -z "$$missing"; then exit; fi; \
	echo "Missing:" $$missing; \
	if ! command -v apt-get >/dev/null; then \
	  echo "This is no Debian or Ubuntu: install what apt.txt lists under the names it has here,"; \
	  echo "or a full TeX Live, Python 3.11 or newer, Pygments and poppler."; exit 1; \
	elif test "$$(id -u)" = 0; then sudo=; \
	elif command -v sudo >/dev/null; then sudo=sudo; \
	else echo "Ask an administrator for: apt-get install" $$packages; exit 1; fi; \
	{ $$sudo apt-get update && \
	  $$sudo env DEBIAN_FRONTEND=noninteractive \
	    apt-get install -y --no-install-recommends $$packages; } || \
	{ echo "Could not install; ask an administrator for: apt-get install" $$packages; exit 1; }

.venv/paper: requirements.txt | system
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "$(PYTHON) is older than 3.11: run make PYTHON=..., naming a newer one"; exit 1; }
	test -x $(VENV) || $(PYTHON) -m venv --clear .venv
	$(VENV) -m pip install --quiet --requirement requirements.txt
	@touch $@

.venv/test: requirements-test.txt .venv/paper
	$(VENV) -m pip install --quiet --requirement requirements-test.txt
	@touch $@

help: ## say this
	@sed -n 's/^\([a-z]*\):.*## /\1\t/p' Makefile
