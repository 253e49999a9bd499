"""Objects that peers send.

`node` speaks the protocol, `receive` decides what becomes of an object. Objects pass the same upload service as files
over HTTP; nothing else stores an image. `returned` takes own results and rejection notes, `correction` other headers
of known images, `retraction` takes back what rested on them. `priors` fetches earlier studies, `prior_receive` takes
them.
"""
