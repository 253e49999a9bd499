"""Tables of images: manifest, sources, splits, leakage, phantoms."""
