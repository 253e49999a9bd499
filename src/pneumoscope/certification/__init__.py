"""Certificates: one bundle on the same real images in several engines and formats, with limits stated before."""
