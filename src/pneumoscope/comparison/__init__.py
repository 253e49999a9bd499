"""Which network is best on the same images, and is the difference real? From recipes to a ranked, tested table."""
