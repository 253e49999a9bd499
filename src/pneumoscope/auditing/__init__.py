"""Audits: whether a model looks at the lungs, knows its source, and can be expected to hold at another site."""
