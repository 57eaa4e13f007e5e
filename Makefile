# The paper's commands; those of the machine stand in literate/make.mk, and `make help` lists all.
include literate/make.mk
