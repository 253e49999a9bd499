"""The server as a node of a hospital's network (DICOM): objects in by C-STORE, results out.

In: `node` speaks the protocol, `receive` decides what becomes of an object, `objects` which one a model may see.
Objects pass the same upload service as files over HTTP; nothing else stores an image. `returned` takes own results and
rejection notes, `correction` other headers of known images, `retraction` takes back what rested on them.

Out: `completion` finds complete studies, `results` makes their objects, `routing` says where they go, `outbound_queue`
holds what waits, `outbound` sends it in an `association`, and `commitment` keeps what archives promise.
"""
