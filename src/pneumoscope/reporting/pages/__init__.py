"""HTML pages: evaluation, run report, data checks."""
