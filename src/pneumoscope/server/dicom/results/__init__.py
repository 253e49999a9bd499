"""Results as DICOM objects.

`plans` says which objects a study has, `making` makes and keeps them; the other modules write one kind each.
"""
