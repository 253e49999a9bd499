"""Answers of models: the queue, its workers, and what a reader may ask of a model."""
