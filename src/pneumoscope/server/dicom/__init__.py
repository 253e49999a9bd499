"""The server as a node of a hospital's network (DICOM): objects in by C-STORE, results out.

The rooms in order, each imports only from those before it:

- `objects`: what an object is: its header, its UIDs and place, which one a model may see, its own bytes.
- `results`: answers and reads as DICOM objects: reports, segmentations, presentation states, captures, rejection notes.
- `routing`: which archive gets what, from a file of destinations and rules, and what a dry run says of it.
- `calling`: this server asks an archive: it sends results, asks for storage commitment, searches for earlier studies.
- `receiving`: an archive or a modality asks this server: what becomes of an object that comes.
- `web`: the same store by DICOMweb.
"""
