"""Backups: a copy of a server's data, taken while the server runs, in a folder that a server can be started on.

First the database is copied as it is at one moment, then the files that its rows name, each checked against its hash.
What is stored later is not in the copy, and what is erased during the backup is removed from it. The secret is not in
it either: a backup and the key to the names in it belong in two places. Sessions and tokens are not in it: one that was
ended after the backup would live again.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path

from sqlalchemy import select

from pneumoscope.core.errors import ImageError, RunError, UsageError
from pneumoscope.core.files import write_text
from pneumoscope.server.storage import blobs
from pneumoscope.server.storage.database import Store, open_store
from pneumoscope.server.storage.png_codec import sha256_of
from pneumoscope.server.storage.tables import Image, Login, StoreSetting, Study, Token
from pneumoscope.server.studies.erasure import erase

DATABASE = "pneumoscope.sqlite"


def back_up(store: Store, folder: Path) -> int:
    """Copy a store into a new folder; return how many images it holds.

    Args:
        store: A store on SQLite; PostgreSQL has pg_dump.
        folder: A folder that is empty or not there.

    Raises:
        UsageError: The folder holds something, or the database is not SQLite.
        RunError: A stored file is missing or altered.
    """
    if store.is_postgres:
        raise UsageError("the database", "is PostgreSQL.", "Use pg_dump first, then copy the folder files/.")
    if folder.exists() and any(folder.iterdir()):
        raise UsageError(str(folder), "is not empty.", "Name a new folder: a backup never replaces another.")
    (folder / "files").mkdir(parents=True, exist_ok=True, mode=0o700)
    folder.chmod(0o700)
    with store.read() as session:
        number = session.get_one(StoreSetting, "store").value
        source = session.connection().connection.driver_connection
        assert isinstance(source, sqlite3.Connection)
        with closing(sqlite3.connect(folder / DATABASE)) as target:
            source.backup(target)
    with closing(sqlite3.connect(folder / DATABASE, isolation_level=None)) as copy:
        copy.execute("PRAGMA secure_delete=ON")
        for table in (Login, Token):
            copy.execute(f"DELETE FROM {table.__tablename__}")
        copy.execute("VACUUM")
        images = copy.execute("SELECT id, study, sha256 FROM images").fetchall()
        sealed = copy.execute("SELECT id, study FROM quarantined_objects").fetchall()
        sealed += copy.execute("SELECT blob, study FROM result_objects").fetchall()
        sealed += copy.execute("SELECT blob, study FROM kept_files").fetchall()
    erased = {study for image, study, sha256 in images if not _copy_pixels(store, folder / "files", image, sha256)}
    erased |= {study for number, study in sealed if not _copy_sealed(store, folder / "files", number, study)}
    write_text(folder / "files" / "store", number)
    if erased:
        _erase_in_copy(store, folder, sorted(erased))
    return sum(study not in erased for _, study, _ in images)


def _copy_pixels(store: Store, folder: Path, image: str, sha256: str) -> bool:
    """Copy the pixels of an image, not its thumbnail; return False where it was erased during the backup."""
    try:
        content = blobs.path_of(store.settings.files, image).read_bytes()
    except FileNotFoundError as error:
        with store.read() as session:
            if session.scalar(select(Image.id).where(Image.id == image)) is None:
                return False
        raise RunError(f"the image {image}", "has lost its file.", "Restore it from an earlier backup.") from error
    if sha256_of(content) != sha256:
        raise RunError(f"the image {image}", "was altered on the disk.", "Restore it from an earlier backup.")
    blobs.write_pixels(folder, image, content)
    return True


def _copy_sealed(store: Store, folder: Path, number: str, study: str) -> bool:
    """Copy a sealed file; return False where its study was erased during the backup."""
    try:
        blobs.read_sealed(store.settings.files, store.secret, number)  # it opens, so that it is whole
        content = blobs.path_of(store.settings.files, number, blobs.SEALED).read_bytes()
    except (ImageError, FileNotFoundError) as error:
        with store.read() as session:
            if session.get(Study, study) is None:
                return False
        raise RunError(f"the object {number}", "is gone or altered.", "Restore it from an earlier backup.") from error
    blobs.write_pixels(folder, number, content, kind=blobs.SEALED)
    return True


def _erase_in_copy(store: Store, folder: Path, erased: list[str]) -> None:
    """Erase studies in the copy that were erased in the store while the copy was taken."""
    settings = replace(store.settings, home=folder, database=None, secret=store.settings.secret_file)
    copy = open_store(settings)
    try:
        erase(copy, erased)
    finally:
        copy.close()
