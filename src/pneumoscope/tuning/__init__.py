"""The search for settings: which values of a recipe are best, by Optuna, on everything but the test part."""
