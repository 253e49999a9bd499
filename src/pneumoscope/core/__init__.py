"""What every room stands on: errors, labels, registries, files and tables."""
