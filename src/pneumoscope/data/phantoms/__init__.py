"""Phantoms: labelled synthetic chest radiographs, for demos and tests that need no patient's image."""
