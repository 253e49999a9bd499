"""Golden files: small drawn files of every format, with the exact pixels that any decoder must make of them."""
