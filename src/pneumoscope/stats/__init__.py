"""Metrics, intervals, calibration: pure functions on arrays, no torch."""
