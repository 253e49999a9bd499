"""Tables of images: manifest, sources, grouping, splits, checks, phantoms."""
