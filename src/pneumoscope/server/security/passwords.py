"""Passwords: their length, and argon2id (RFC 9106) with argon2-cffi's defaults."""

from __future__ import annotations

import secrets
import threading
from functools import cache

from argon2 import PasswordHasher
from argon2.exceptions import VerificationError

from pneumoscope.core.errors import UsageError

SHORTEST_PASSWORD = 12
"""NIST SP 800-63B asks for length and for nothing else; below 15 characters only with further protection (lock-out)."""
LONGEST_PASSWORD = 256
_HASHING_AT_ONCE = 2
"""Each takes 64 MiB."""


class Passwords:
    """Hashes and verifies passwords, a few at a time."""

    def __init__(self) -> None:
        self._hasher = PasswordHasher()
        self._turns = threading.BoundedSemaphore(_HASHING_AT_ONCE)
        self.nobody = _hash_of_nobody()
        """A hash that no password has; verifying against it takes as long as against an account's own."""

    def hash(self, password: str) -> str:
        """Return the hash of a password."""
        with self._turns:
            return self._hasher.hash(password)

    def verify(self, digest: str, password: str) -> bool:
        """Return whether a password has this hash."""
        if len(password) > LONGEST_PASSWORD:
            return False
        try:
            with self._turns:
                return self._hasher.verify(digest, password)
        except VerificationError:
            return False

    def needs_rehash(self, digest: str) -> bool:
        """Return whether a hash was made with older parameters than today's."""
        return self._hasher.check_needs_rehash(digest)


@cache
def _hash_of_nobody() -> str:
    """Return the hash of a password that was thrown away, the same in one process: each takes a tenth of a second."""
    return PasswordHasher().hash(secrets.token_hex())


def check_password(password: str) -> str:
    """Return a new password if its length is allowed.

    Raises:
        UsageError: It is too short or too long.
    """
    if not SHORTEST_PASSWORD <= len(password) <= LONGEST_PASSWORD:
        raise UsageError(
            "the password",
            f"has {len(password)} characters; {SHORTEST_PASSWORD} to {LONGEST_PASSWORD} are asked for.",
            "A few words will do.",
        )
    return password
