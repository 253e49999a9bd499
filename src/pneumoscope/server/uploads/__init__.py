"""Uploads, from bytes to rows; `service` is where to start.

`archive` unpacks what was sent, `decoder_pool` decodes each file with `deidentify` and writes its pixels
(`server.storage.blobs`), `staging` removes them again if no row comes to name them, `rows` adds the rows.
"""
