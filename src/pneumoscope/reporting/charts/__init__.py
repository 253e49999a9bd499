"""The charts of pages and reports."""
