"""Certificates, keys and authorities of TLS: whether they can be used is checked before anything starts."""

from __future__ import annotations

import ssl
from pathlib import Path

from pneumoscope.core.errors import UsageError

_PEM = "Give a file in PEM form: lines of text between BEGIN and END."
_OTHER_KEY = "KEY_VALUES_MISMATCH"
"""OpenSSL's word."""


def check_certificates(certificate: Path | None, key: Path | None, authorities: Path | None = None) -> None:
    """Check that TLS can use these files.

    Args:
        certificate: A certificate, with those of its authorities after it where there are any.
        key: Its key, without a password.
        authorities: Certificates of the authorities that another side's own must come from.

    Raises:
        UsageError: A file can't be read or is of another kind, or the key is of another certificate or has a password.
    """
    for file in (certificate, key, authorities):
        if file is not None:
            try:
                file.read_bytes()
            except OSError as error:
                raise UsageError(str(file), f"can't be read: {error.strerror}.", "Correct the path.") from error
    for file in (certificate, authorities):
        if file is not None:
            try:
                ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_verify_locations(file)
            except ssl.SSLError as error:
                raise UsageError(str(file), "holds no certificate.", _PEM) from error
    if certificate is None or key is None:
        return
    if b"ENCRYPTED" in key.read_bytes():  # OpenSSL would ask for it at the terminal
        raise UsageError(
            str(key), "has a password, which nobody types at each start.", "Save it without: openssl pkey."
        )
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(certificate, key)
    except ssl.SSLError as error:
        if error.reason == _OTHER_KEY:
            raise UsageError(
                str(key), f"is not the key of {certificate}.", "Give the key that it was made for."
            ) from error
        raise UsageError(str(key), "holds no key.", _PEM) from error
