"""Reads of radiologists: what they said, how they agree, what a site's figures are."""
