"""Recipes: one YAML file for each system that can be trained, and the schema that they follow."""
