"""The data gate: what must be known of a set of radiographs before a model is trained on it.

Most published chest X-ray results rest on leaks and confounding: the same patient on both sides of the split, every
positive from one archive and every negative from another, children against adults. The gate looks for them, says what
it found in sentences with numbers, and stops a training that would measure nothing. One module per check; ``checks.py``
is the table of them, ``run.py`` the way in.
"""
