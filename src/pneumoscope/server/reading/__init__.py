"""Reads of radiologists: reports, agreement, figures of a site, exports."""
