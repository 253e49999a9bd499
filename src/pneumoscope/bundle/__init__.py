"""The bundle: a model with its card and its evidence, loaded and verified without torch."""
