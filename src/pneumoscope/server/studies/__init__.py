"""Stored studies: `lookup` lists and shows them, `patients` knows who was examined, `erasure` erases them.

`retention` erases the old ones, and `backup` copies them all.
"""
