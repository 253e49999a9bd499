"""One file per layout of a public or private data set."""
