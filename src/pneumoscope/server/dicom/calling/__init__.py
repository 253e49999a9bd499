"""This server asks an archive.

`completion` finds complete studies, `outbound_queue` holds what waits, `outbound` sends it in an `association`, and
`commitment` keeps what archives promise. `prior_queue` holds the questions for earlier studies, `query_retrieve` asks.
"""
