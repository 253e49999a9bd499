"""The server as a node of a hospital's network (DICOM): objects in by C-STORE.

`node` speaks the protocol, `receive` decides what becomes of an object, `objects` reads and seals its header. Objects
pass the same upload service as files over HTTP; nothing else stores an image.
"""
