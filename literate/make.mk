PYTHON ?= python3
VENV = .venv/bin/python3

# What the build calls and what paper.tex loads: if it is here, nothing is installed.
COMMANDS = latexmk pdflatex xelatex lualatex bibtex pythontex pdftotext
TEX_FILES = pythontex.sty siunitx.sty cleveref.sty microtype.sty enumitem.sty caption.sty \
  natbib.sty fontspec.sty lmodern.sty lmroman10-regular.otf etoolbox.sty fancyvrb.sty IEEEtranN.bst

export PYTHONDONTWRITEBYTECODE = 1

# What `make html` and `make diff` call, and what the tests do.
TOOL_COMMANDS = latexml latexmlpost latexdiff
TEST_COMMANDS = chromium chromedriver dvipng faketime
TEST_FILES = sfrm1000.pfb

.PHONY: paper tools system system-tools system-test test test-all test-machine lint arxiv diff html \
  accessible tagging verify audit new upgrade clean help

paper: tools ## install what is missing, then build paper.pdf
	latexmk

test: tools .venv/test ## install what is missing, then run the paper's tests
	$(VENV) -m pytest tests pycode

test-all: test test-machine ## and the machine's, too

test-machine: tools system-test .venv/test
	$(VENV) -m pytest literate

lint: .venv/test ## check the paper's prose, and the Python code's format, style and types
	@fine=true; for check in "$(VENV) -m literate.lint" \
	  ".venv/bin/ruff format --no-cache --check --diff ." ".venv/bin/ruff check --no-cache ." \
	  ".venv/bin/basedpyright --pythonpath $(VENV)"; do \
	  echo "$$check"; $$check || fine=false; done; $$fine

arxiv: paper ## the paper without Python, checked and packed: dist/arxiv.tar.gz
	$(VENV) -m literate.arxiv

diff: paper system-tools ## what has changed since a commit, numbers included: make diff OLD=<commit>
	$(VENV) -m literate.diff "$(OLD)"

verify: tools .venv/test ## build this commit anew, compare its results.json, and PDF=... if named
	$(VENV) -m literate.verify $(if $(PDF),"$(PDF)")

new: ## a fresh paper: make new NAME=../my-paper, and if you like TITLE=... AUTHOR=... FROM=course
	@$(firstword $(wildcard $(VENV)) $(PYTHON)) -m literate.new "$$NAME" "$$TITLE" "$$AUTHOR" "$$FROM"

upgrade: ## a later version of literate/: make upgrade FROM=<git address or folder> [TO=<version>]
	@$(firstword $(wildcard $(VENV)) $(PYTHON)) -m literate.upgrade "$$FROM" "$$TO"

html: arxiv system-tools ## the paper as a web page: dist/html/index.html
	$(VENV) -m literate.webpage

accessible: tagging paper ## the paper as a tagged PDF, for screen readers: dist/accessible/paper.pdf
	latexmk -norc -pdf -bibtex- -interaction=nonstopmode -halt-on-error -jobname=paper \
	  -outdir=dist/accessible literate/accessible.tex

# The LaTeX that TeX Live 2026 came with.
TAGGING = 2025-11-01

tagging: | system
	@found=$$(sed -n '/^\\edef\\fmtversion/{n;s/.*{\(.*\)}.*/\1/p}' "$$(kpsewhich latex.ltx)"); \
	! expr "$$found" \< $(TAGGING) >/dev/null || { echo "make accessible: this is LaTeX $$found, and \
	tagged PDF needs $(TAGGING) or later: install TeX Live 2026 or later"; exit 1; }

# Where there is a course: make course, make grade.
-include literate/course/make.mk

audit: tools ## compute every remembered value again, and fail if one differs
	PYCODE_AUDIT=all latexmk -g

clean: ## remove all that was made, but .venv
	latexmk -C
	rm -rf .cache dist

tools: system .venv/paper ## install what is missing, build nothing

comma = ,

# The names of those commands $(1) and files $(2) of TeX that are not here.
lacking = for command in $(1); do command -v $$command >/dev/null || echo $$command; done; \
  for file in $(2); do kpsewhich $$file >/dev/null 2>&1 || echo $$file; done

# Installs the group $(1) of literate/apt.txt if something is missing; elsewhere than on Debian, $(2)
# serves.
install = packages=$$(sed -n '/^\[$(1)\]/,/^\[/{/^[a-z]/p}' literate/apt.txt); \
	if test -z "$$missing"; then exit; fi; \
	echo "Missing:" $$missing; \
	if ! command -v apt-get >/dev/null; then \
	  echo "This is no Debian or Ubuntu: install what literate/apt.txt lists for the $(1), under the names it has here$(2)."; \
	  exit 1; \
	elif test "$$(id -u)" = 0; then sudo=; \
	elif command -v sudo >/dev/null; then sudo=sudo; \
	else echo "Ask an administrator for: apt-get install" $$packages; exit 1; fi; \
	{ $$sudo apt-get update && \
	  $$sudo env DEBIAN_FRONTEND=noninteractive \
	    apt-get install -y --no-install-recommends $$packages; } || \
	{ echo "Could not install; ask an administrator for: apt-get install" $$packages; exit 1; }

# PythonTeX highlights code with the Pygments of the Python that its first line names.
system:
	@missing=$$($(call lacking,$(COMMANDS) $(PYTHON),$(TEX_FILES)); \
	  $(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || echo python3-venv; \
	  python=$$(sed -n '1s/^#! *//p' "$$(command -v pythontex || echo /dev/null)"); \
	  $${python:-$(PYTHON)} -c 'import pygments' 2>/dev/null || echo python3-pygments); \
	$(call install,paper,$(comma) or a full TeX Live$(comma) Python 3.11 or newer$(comma) Pygments \
	  and poppler)

# One after the other, since one apt-get at a time may run.
system-tools: | system
	@missing=$$($(call lacking,$(TOOL_COMMANDS))); $(call install,tools)

system-test: | system-tools
	@missing=$$($(call lacking,$(TEST_COMMANDS),$(TEST_FILES))); $(call install,test)

.venv/paper: requirements.txt | system
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "$(PYTHON) is older than 3.11: run make PYTHON=..., naming a newer one"; exit 1; }
	test -x $(VENV) || $(PYTHON) -m venv --clear .venv
	$(VENV) -m pip install --quiet --requirement requirements.txt
	@touch $@

# The packages of the extra $(1) in pyproject.toml; the project itself stays where it is.
extra = $(VENV) -c "import tomllib; \
  print(*tomllib.load(open('pyproject.toml', 'rb'))['project']['optional-dependencies']['$(1)'])" \
  | xargs $(VENV) -m pip install --quiet --constraint requirements.txt

.venv/test: pyproject.toml .venv/paper
	$(call extra,test)
	@touch $@

help: ## say this
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST)
