"""HTTP: routes, schemas, and how errors become answers."""
