"""Comparing models on the same images: paired tests, seeds, a recommendation."""
