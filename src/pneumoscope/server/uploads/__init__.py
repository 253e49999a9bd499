"""Uploads: from the bytes of a file to rows and stored pixels without a name."""
