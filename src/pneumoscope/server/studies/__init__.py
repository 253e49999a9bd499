"""Studies once they are stored: listing and showing (`lookup`), who was examined (`patients`), `erasure`."""
