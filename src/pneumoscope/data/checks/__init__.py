"""The data checks: what must be known of a set of radiographs before a model is trained on it.

Most published chest X-ray results rest on leaks and confounding: the same patient on both sides of the split, every
positive from one archive and every negative from another, children against adults. The checks look for them, report
them in sentences with numbers, and stop a training that would measure nothing. ``catalogue.py`` lists all checks,
``runner.py`` runs them.
"""
