"""The server's one secret and what it protects: sealed identities, keys to find them; and random identifiers.

Three keys are derived from the secret (HKDF, RFC 5869), one for each purpose. Identities are sealed with AES-256-GCM
and bound to their row, so that one patient's name can't be moved to another's row. A patient is found by an HMAC, so
that the database alone does not tell whether a known number is in it.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import secrets
import time
from pathlib import Path
from typing import Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from pneumoscope.core.errors import RunError, UsageError

_BYTES = 32
_NONCE = 12
_TRIES, _PAUSE = 10, 0.05
"""How often, and after how many seconds, a secret is read again while another server writes it."""


class Secret:
    """Keys derived from one secret."""

    def __init__(self, value: bytes) -> None:
        self._sealing = AESGCM(_derived(value, b"seal"))
        self._finding = _derived(value, b"find")
        self.fingerprint = _derived(value, b"fingerprint").hex()[:32]
        """The same for two servers that have the same secret; it does not reveal the secret."""

    def seal(self, value: dict[str, Any], row: str) -> bytes:
        """Return ``value`` encrypted and bound to ``row``, the key of the row that it belongs to."""
        return self.seal_bytes(json.dumps(value).encode(), row)

    def unseal(self, sealed: bytes, row: str) -> dict[str, Any]:
        """Return the value that `seal` encrypted.

        Raises:
            RunError: The value was sealed with another secret, or for another row, or was altered.
        """
        value: dict[str, Any] = json.loads(self.unseal_bytes(sealed, row))
        return value

    def seal_bytes(self, value: bytes, row: str) -> bytes:
        """Return ``value`` encrypted and bound to ``row``, see `seal`."""
        nonce = os.urandom(_NONCE)
        return nonce + self._sealing.encrypt(nonce, value, row.encode())

    def unseal_bytes(self, sealed: bytes, row: str) -> bytes:
        """Return the bytes that `seal_bytes` encrypted.

        Raises:
            RunError: They were sealed with another secret, or for another row, or were altered.
        """
        try:
            return self._sealing.decrypt(sealed[:_NONCE], sealed[_NONCE:], row.encode())
        except InvalidTag as error:
            raise RunError("a sealed value", "does not open with this server's secret.") from error

    def lookup_key(self, purpose: str, *parts: str | bytes) -> str:
        """Return the key of a row: an HMAC of what identifies it, each part with its length before it.

        Args:
            purpose: What kind of thing it identifies.
            parts: Texts or bytes; the same parts give the same key.
        """
        mac = hmac.new(self._finding, purpose.encode() + b"\0", hashlib.sha256)
        for part in parts:
            raw = part.encode() if isinstance(part, str) else part
            mac.update(len(raw).to_bytes(8, "big"))
            mac.update(raw)  # apart: their sum would be a copy of a part of 100 MiB
        return mac.hexdigest()


def load_or_create_secret(path: Path, *, create: bool = True) -> Secret:
    """Return the secret of a file; create the file, readable by its owner alone, where there is none.

    Args:
        path: The file.
        create: False: the database has rows that another secret sealed, so that a new one would open none of them.

    Raises:
        UsageError: The file holds fewer than 32 bytes, or is missing and must not be created.
    """
    if not create and not path.exists():
        raise UsageError(
            str(path),
            "is missing, and a new key is not the secret that this database was made with: it would open no name.",
            "Restore the file from where it is kept (`secret`).",
        )
    try:
        # O_EXCL: of two servers that start together one creates the file, the other reads it.
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        pass
    else:
        with os.fdopen(handle, "w", encoding="ascii") as file:
            file.write(secrets.token_hex(_BYTES) + "\n")
            file.flush()
            os.fsync(file.fileno())
    value = path.read_bytes().strip()
    for _ in range(_TRIES):  # the other server may not have written it yet
        if len(value) < _BYTES:
            time.sleep(_PAUSE)
            value = path.read_bytes().strip()
    if len(value) < _BYTES:
        raise UsageError(
            str(path), f"has {len(value)} bytes; a secret needs {_BYTES}.", f"Make one: openssl rand -hex 32 > {path}"
        )
    return Secret(value)


def new_id() -> str:
    """Return an opaque identifier: 80 random bits, as 20 hexadecimal digits."""
    return secrets.token_hex(10)


def hash_token(token: str) -> str:
    """Return the hash that is stored of a random token. The token has 256 random bits, so no slow hash is needed."""
    return hashlib.sha256(token.encode()).hexdigest()


def _derived(value: bytes, purpose: bytes) -> bytes:
    return HKDF(hashes.SHA256(), _BYTES, salt=None, info=b"pneumoscope/" + purpose).derive(value)
