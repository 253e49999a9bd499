"""Passwords without the slow hash, for tests of what stands on them."""

from __future__ import annotations


class StubPasswords:
    """It is used like `pneumoscope.server.security.passwords.Passwords`."""

    nobody = "nobody"

    def hash(self, password: str) -> str:
        """Return a text that is another for another password."""
        return f"hash of {password}"

    def verify(self, digest: str, password: str) -> bool:
        """Return whether a digest is that of a password."""
        return digest == self.hash(password)

    def needs_rehash(self, digest: str) -> bool:
        """Return that no digest is out of date."""
        return False
