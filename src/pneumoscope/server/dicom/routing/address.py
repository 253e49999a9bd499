"""Where an archive is in the network, and how a connection to it is encrypted: what each entry of the file says."""

from __future__ import annotations

import ssl
import unicodedata
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, Field, field_validator

from pneumoscope.core.errors import UsageError
from pneumoscope.core.frozen import Frozen
from pneumoscope.server.certificates import check_certificates
from pneumoscope.server.settings import LONGEST_TITLE, is_loopback, is_title


def _printable(text: str) -> str:
    # Not `isprintable`: it refuses the no-break space too.
    if any(unicodedata.category(letter)[0] == "C" for letter in text):
        raise ValueError("there should be no control character")
    return text


Printable = Annotated[str, AfterValidator(_printable)]
"""A text that a terminal and a log show as it is."""


class DestinationTls(Frozen):
    """How a connection is encrypted; paths are PEM files."""

    authorities: Path = Field(description="certificates of the authorities that the archive's own must come from")
    certificate: Path | None = Field(default=None, description="this server's own, where the archive asks for it")
    key: Path | None = None
    check_name: bool = Field(default=True, description="the archive's certificate must name its host")


class ArchiveAddress(Frozen):
    """An archive that this server calls."""

    title: str = Field(description="AE title of the archive")
    host: Printable
    port: int = Field(ge=1, le=65535, strict=True)
    calling: str | None = Field(default=None, description="AE title that this server gives; its node's without one")
    tls: DestinationTls | None = None
    in_the_clear: bool = Field(default=False, description="the way there is the hospital's own network")

    @field_validator("title", "calling")
    @classmethod
    def _is_title(cls, title: str | None) -> str | None:
        if title is not None and not is_title(title):
            raise ValueError(f"an AE title has 1 to {LONGEST_TITLE} ASCII characters and no backslash")
        return title and title.strip()

    def encryption(self) -> tuple[ssl.SSLContext, str] | None:
        """Return what pynetdicom needs to encrypt a connection; None: it is in the clear."""
        if self.tls is None:
            return None
        context = ssl.create_default_context(cafile=str(self.tls.authorities))
        context.check_hostname = self.tls.check_name
        if self.tls.certificate is not None:
            context.load_cert_chain(self.tls.certificate, self.tls.key)
        return context, self.host


def check_address(where: str, address: ArchiveAddress) -> None:
    """Check that the files of an address are there, and that no name of a patient travels in the clear unsaid.

    Args:
        where: What an error calls it.
        address: Of an archive.

    Raises:
        UsageError: It is not so.
    """
    if address.tls is not None:
        tls = address.tls
        if (tls.certificate is None) != (tls.key is None):
            raise UsageError(f"{where}.tls", "has a certificate or a key alone.", "Give both or neither.")
        for file in (tls.authorities, tls.certificate, tls.key):
            if file is not None and not file.is_file():
                raise UsageError(f"{where}.tls", f"names {file}, which is no file.", "Correct the path.")
        try:
            check_certificates(tls.certificate, tls.key, tls.authorities)
        except UsageError as error:
            raise UsageError(f"{where}.tls: {error.thing}", error.problem, error.way_out) from error
    elif not is_loopback(address.host) and not address.in_the_clear:
        raise UsageError(
            where,
            f"is on another machine ({address.host}), and names of patients would travel in the clear.",
            "Give it tls, or in_the_clear: true where the way there is the hospital's own network.",
        )
