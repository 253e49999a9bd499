"""Outlines of lungs and heart: a small U-Net, its training and how well its outlines agree with drawn ones."""
