# How latexmk builds the paper stands in literate/latexmk.pl.  Settings of your own go below.
do './literate/latexmk.pl' or die $@ || $!;
