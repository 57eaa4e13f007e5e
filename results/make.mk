# The networks, which nothing else needs.
.PHONY: deep
deep: .venv/deep ## compute results/deep.json anew, with PyTorch, or with CHECK=1 only compare it
	$(VENV) -m results.deep $(if $(CHECK),--check)

# Another build of PyTorch than its own, for the CPU say, is kept if it is there already.
.venv/deep: pyproject.toml .venv/paper
	$(call extra,deep)
	@touch $@
