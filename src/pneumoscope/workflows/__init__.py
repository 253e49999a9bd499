"""Whole jobs, each as a list of steps: train, tune, compare."""
