"""The server as a node of a hospital's network (DICOM): objects in by C-STORE.

`node` speaks the protocol, `receive` decides what becomes of an object, `objects` which one a model may see. Objects
pass the same upload service as files over HTTP; nothing else stores an image.
"""
