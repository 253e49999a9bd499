"""Inference: the models, the queue of predictions, the workers, and readers' questions about an answer."""
