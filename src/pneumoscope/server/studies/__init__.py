"""Studies: added, listed, shown and erased."""
