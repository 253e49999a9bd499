"""The store by DICOMweb: `stow` takes objects, `matching` reads queries, `retrieval` finds and gives objects."""
