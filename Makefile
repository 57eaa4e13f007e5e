# The commands of the machine stand in literate/make.mk; `make help` lists all.
include literate/make.mk
# Those of the networks, which nothing else needs.
-include results/make.mk
