"""DICOM files: tags, pixel data, and how they are displayed."""
