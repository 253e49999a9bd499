"""The reporting checklists: their items, and the answers that the program knows."""
