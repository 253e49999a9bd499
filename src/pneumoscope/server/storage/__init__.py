"""What the server keeps: database, pixel files, secrets, backups."""
