"""A bundle applied to images: predictions as a table, and figures with intervals."""
