"""Files of an upload between disk and database: their pixels are written, and no row names them yet."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from typing import NamedTuple

from sqlalchemy import select, update
from sqlalchemy.exc import SQLAlchemyError

from pneumoscope.server.storage import blobs
from pneumoscope.server.storage.crypto import Secret, new_id
from pneumoscope.server.storage.database import Store
from pneumoscope.server.storage.tables import Image
from pneumoscope.server.uploads.archive import UploadedFile
from pneumoscope.server.uploads.decoder_pool import DecoderProtocol
from pneumoscope.server.uploads.deidentify import DecodedUpload
from pneumoscope.server.uploads.headers import HeaderCheck


class StagedFile(NamedTuple):
    """A file whose pixels are on the disk."""

    decoded: DecodedUpload
    image: str
    """Number under which its pixels lie."""
    source: str
    """HMAC of the file as it came."""
    sent_name: str = ""
    """Of the file, see `UploadedFile.sent_name`."""


def source_key(secret: Secret, sha256: bytes, depth: int | None = None) -> str:
    """Return the key under which a file is known, see `tables.Image.source`.

    Args:
        secret: Of the server.
        sha256: Of the file as it came.
        depth: Bits in use that its sender declared, where they decided about the pixels: the same file at another depth
            is another image.
    """
    return secret.lookup_key("source", sha256 + (bytes([depth]) if depth else b""))


class StagedUpload:
    """Files on the disk that no row names yet. Used in a ``with``: at its end it deletes those that no row names."""

    def __init__(self, store: Store) -> None:
        self.files: list[StagedFile] = []
        self.named: set[str] | None = None
        """Images that committed rows name; None: nothing was committed, or the outcome is not known."""
        self._store = store
        self._numbers: list[str] = []

    def add(
        self,
        decoder: DecoderProtocol,
        file: UploadedFile,
        models: Sequence[str] = (),
        depth: int | None = None,
        check: HeaderCheck | None = None,
    ) -> None:
        """Decode a file and write its pixels, which are durable when this returns; see `Decoder.decode`.

        Where the same file was here before and its stored pixels are lost or damaged, it gives them back.

        Raises:
            UnavailableError: The folder of the pixels is away.
        """
        image = new_id()
        self._numbers.append(image)
        try:
            decoded = decoder.decode(file.read(), file.name, image, models, depth, check)
        except OSError:
            self._store.check_files()
            raise
        self._store.check_files()
        source = source_key(self._store.secret, bytes.fromhex(decoded.data_sha256), decoded.depth)
        self.files.append(StagedFile(decoded, image, source, file.sent_name))
        self._repair(self.files[-1])

    def _repair(self, staged: StagedFile) -> None:
        """Give the pixels of a file to the image that it is already, if that has lost its own."""
        folder, query = self._store.settings.files, select(Image.id, Image.sha256).where(Image.source == staged.source)
        with self._store.read() as session:
            row = session.execute(query).one_or_none()
        if row is None or blobs.is_whole(folder, row.id, row.sha256):
            return
        sha256, known = staged.decoded.png_sha256, update(Image).where(Image.id == row.id)
        self._store.commit(lambda session: session.execute(known.values(sha256=sha256)) and None)
        blobs.replace_pixels(folder, row.id, staged.image)
        with self._store.read() as session:
            erased = session.get(Image, row.id) is None
        if erased:  # in between: no pixels may outlive that
            blobs.delete(folder, row.id)

    def __enter__(self) -> StagedUpload:
        return self

    def __exit__(self, *_: object) -> None:
        """Delete what no row names.

        Where the commit was cut short, only the database knows that; where it does not answer, the server's next start
        removes them (`server.studies.erasure.remove_leftovers`).
        """
        named = self.named
        with suppress(SQLAlchemyError):
            if named is None:
                with self._store.read() as session:
                    named = set(session.scalars(select(Image.id).where(Image.id.in_(self._numbers))))
            for image in set(self._numbers) - named:
                blobs.delete(self._store.settings.files, image)
