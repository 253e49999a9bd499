"""This server asks an archive.

`completion` finds complete studies, `outbound_queue` holds what waits, `outbound` sends it in an `association`, and
`commitment` keeps what archives promise. `unsent` finds results that rules would send and that were never queued.
`prior_queue` holds the questions for earlier studies, `query_retrieve` asks.
"""
