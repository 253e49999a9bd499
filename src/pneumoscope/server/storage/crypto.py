"""The server's one secret, and what is made with it: sealed identities, keys that find them, tokens.

Three keys are derived from the secret (HKDF, RFC 5869), one a purpose. Identities are sealed with AES-256-GCM, bound to
the row they belong to, so that one patient's name can't be moved to another's row. A patient is found by an HMAC, so
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
"""How often, and after how many seconds, a secret is read again that is being written."""


class Secret:
    """Keys derived from one secret."""

    def __init__(self, value: bytes) -> None:
        self._sealing = AESGCM(_derived(value, b"seal"))
        self._finding = _derived(value, b"find")
        self.fingerprint = _derived(value, b"fingerprint").hex()[:32]
        """Tells whether two servers have the same secret, without telling it."""

    def seal(self, value: dict[str, Any], row: str) -> bytes:
        """Return ``value`` encrypted and bound to ``row``."""
        nonce = os.urandom(_NONCE)
        return nonce + self._sealing.encrypt(nonce, json.dumps(value).encode(), row.encode())

    def unseal(self, sealed: bytes, row: str) -> dict[str, Any]:
        """Return what `seal` was given.

        Raises:
            RunError: It was sealed with another secret, or for another row, or was altered.
        """
        try:
            plain = self._sealing.decrypt(sealed[:_NONCE], sealed[_NONCE:], row.encode())
        except InvalidTag as error:
            raise RunError("a sealed identity", "does not open with this server's secret.") from error
        value: dict[str, Any] = json.loads(plain)
        return value

    def lookup_key(self, purpose: str, *parts: str | bytes) -> str:
        """Return the key under which something is found: an HMAC of its parts, each with its length before it."""
        mac = hmac.new(self._finding, purpose.encode() + b"\0", hashlib.sha256)
        for part in parts:
            raw = part.encode() if isinstance(part, str) else part
            mac.update(len(raw).to_bytes(8, "big") + raw)
        return mac.hexdigest()


def load_or_create_secret(path: Path) -> Secret:
    """Read the secret of a file; make the file, for its owner's eyes only, where there is none.

    Raises:
        UsageError: The file holds fewer than 32 bytes.
    """
    try:
        # O_EXCL: of two servers that start together one makes the file, the other reads it.
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        pass
    else:
        with os.fdopen(handle, "w", encoding="ascii") as file:
            file.write(secrets.token_hex(_BYTES) + "\n")
            file.flush()
            os.fsync(file.fileno())
    value = path.read_bytes().strip()
    for _ in range(_TRIES):  # the other may not have written it yet
        if len(value) < _BYTES:
            time.sleep(_PAUSE)
            value = path.read_bytes().strip()
    if len(value) < _BYTES:
        raise UsageError(
            str(path), f"has {len(value)} bytes; a secret needs {_BYTES}.", f"Make one: openssl rand -hex 32 > {path}"
        )
    return Secret(value)


def new_id() -> str:
    """Return an identifier that says nothing: 80 random bits."""
    return secrets.token_hex(10)


def hash_token(token: str) -> str:
    """Return what is kept of a random token. It has 256 bits of its own, so that no slow hash is needed."""
    return hashlib.sha256(token.encode()).hexdigest()


def _derived(value: bytes, purpose: bytes) -> bytes:
    return HKDF(hashes.SHA256(), _BYTES, salt=None, info=b"pneumoscope/" + purpose).derive(value)
