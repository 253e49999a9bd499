"""The training loop: fit, step, optimizers, callbacks."""
