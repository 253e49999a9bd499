"""Changes of the tables, one file each; Alembic applies those that a database has not had."""
