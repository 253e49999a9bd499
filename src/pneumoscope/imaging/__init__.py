"""Read image files (PNG, JPEG, WebP, TIFF, DICOM) as radiographs."""
