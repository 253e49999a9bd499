"""Results as DICOM objects: `plans` says which a study has, `making` makes and keeps them, the others write one each."""
