# `make help` lists all commands; those of your own go below.
include literate/make.mk
-include results/make.mk
