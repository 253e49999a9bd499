"""HTML pages, CARD.md and figures."""
