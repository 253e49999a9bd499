"""Signatures of evidence: an Ed25519 key of the site, which lies in the user's data folder.

A hash shows that a file is as somebody wrote it, not who did: after a change the hash can be computed again. Only who
has the key can sign. A signature carries its public key, so that another site can check that a fact is as its signer
wrote it, and can see that two facts have one signer. The key is made at the first signature and never replaced.
"""

from __future__ import annotations

import base64
import hashlib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pneumoscope.core.files import data_folder

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

UNSIGNED = "unsigned"
THIS_SITE = "signed by this site"


def key_file() -> Path:
    """Return the file of the site's key: 32 random bytes, readable by its owner only."""
    return data_folder() / "evidence.key"


def sign(message: bytes) -> dict[str, str] | None:
    """Return the signature of a message by the site's key; None where no key can be stored."""
    try:
        key = _site_key()
    except OSError:
        return None
    public = key.public_key().public_bytes_raw()
    return {"public_key": _text(public), "ed25519": _text(key.sign(message))}


def check_signature(message: bytes, signature: Any) -> str | None:
    """Return who signed a message, in words; None where the signature is not one of this message.

    Args:
        message: What was signed.
        signature: ``public_key`` and ``ed25519``, as `sign` returns them.
    """
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    if not isinstance(signature, Mapping):
        return None
    try:
        public = base64.b64decode(str(signature["public_key"]), validate=True)
        Ed25519PublicKey.from_public_bytes(public).verify(
            base64.b64decode(str(signature["ed25519"]), validate=True), message
        )
    except (KeyError, ValueError, InvalidSignature):
        return None
    if key_file().is_file() and public == _site_key().public_key().public_bytes_raw():
        return THIS_SITE
    return f"signed by another site (key {hashlib.sha256(public).hexdigest()[:12]})"


def _site_key() -> Ed25519PrivateKey:
    """Return the site's key, made at its first use.

    Raises:
        OSError: It cannot be read or stored.
    """
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    path = key_file()
    if not path.is_file():
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
        handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        try:
            os.write(handle, os.urandom(32))
            os.fsync(handle)
        finally:
            os.close(handle)
        try:
            os.link(temporary, path)  # fails where another process was first: its key counts
        except FileExistsError:
            pass
        except OSError:  # a file system without hard links
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)
    return Ed25519PrivateKey.from_private_bytes(path.read_bytes())


def _text(value: bytes) -> str:
    return base64.b64encode(value).decode("ascii")
