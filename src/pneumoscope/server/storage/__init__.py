"""What the server stores: the database, files of pixels (`blobs`), the secret (`crypto`), backups."""
