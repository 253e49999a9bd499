"""Where an upload lies while it arrives: in memory, or encrypted in the data folder; never in the system's own folder.

A file as it is sent holds a patient's name. Starlette would write what is larger than 1 MiB to ``TMPDIR`` as it is.
Here it is encrypted with a key that exists in memory alone, and the file has no name in its folder, so that nothing of
it can be read after a crash either.
"""

from __future__ import annotations

import io
import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CTR

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

IN_MEMORY = 2**20
"""Bytes of a file that stay in memory; larger ones go to the disk whole."""
_BLOCK = 16
"""Bytes of a block of AES."""


class SealedSpool(io.RawIOBase):
    """A file for writing once and reading from any place, in memory or encrypted on the disk (AES-256-CTR).

    Args:
        folder: Where it goes when it is larger than `IN_MEMORY`.
        limit: Bytes that stay in memory.
    """

    def __init__(self, folder: Path, limit: int = IN_MEMORY) -> None:
        self._folder = folder
        self._limit = self._max_size = limit
        self._file: Any = io.BytesIO()
        self._key: bytes | None = None
        """None: in memory."""

    @property
    def _rolled(self) -> bool:
        """Whether the file lies on the disk; `starlette.datastructures.UploadFile` then writes on a thread."""
        return self._key is not None

    def readable(self) -> bool:
        """Return whether it can be read."""
        return True

    def writable(self) -> bool:
        """Return whether it can be written."""
        return True

    def seekable(self) -> bool:
        """Return whether it can be read from any place."""
        return True

    def write(self, data: ReadableBuffer, /) -> int:
        """Write bytes at the current place."""
        content = bytes(data)
        if self._key is None and self.tell() + len(content) > self._limit:
            self._roll()
        self._file.write(self._crypt(self.tell(), content))
        return len(content)

    def read(self, size: int = -1, /) -> bytes:
        """Return at most ``size`` bytes from the current place; all that are left where it is negative."""
        place = self.tell()
        return self._crypt(place, self._file.read(size))

    def readall(self) -> bytes:
        """Return all bytes that are left."""
        return self.read()

    def readinto(self, buffer: Any, /) -> int:
        """Fill a buffer as far as there are bytes; return how many."""
        content = self.read(len(buffer))
        buffer[: len(content)] = content
        return len(content)

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        """Go to a place and return it."""
        return int(self._file.seek(offset, whence))

    def tell(self) -> int:
        """Return the current place."""
        return int(self._file.tell())

    def close(self) -> None:
        """Close the file, which is then gone."""
        self._file.close()
        super().close()

    def _roll(self) -> None:
        """Move what is in memory to the disk."""
        content, place = self._file.getvalue(), self.tell()
        self._key = os.urandom(32)
        self._file = tempfile.TemporaryFile(dir=self._folder)  # noqa: SIM115  # closed by `close`
        self._file.write(self._crypt(0, content))
        self._file.seek(place)

    def _crypt(self, place: int, content: bytes) -> bytes:
        """Return bytes encrypted or decrypted, which is the same, as they lie from a place on."""
        if self._key is None or not content:
            return content
        block, skipped = divmod(place, _BLOCK)
        cipher = Cipher(AES(self._key), CTR(block.to_bytes(_BLOCK, "big"))).encryptor()
        cipher.update(bytes(skipped))
        return cipher.update(content)
