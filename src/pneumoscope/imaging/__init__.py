"""Files into radiographs."""
