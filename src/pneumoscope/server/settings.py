"""What may be set about a server, and which settings are safe together.

One frozen value is created at the start and passed down. The rule that matters most: a server that other machines can
reach never runs without accounts and encryption.
"""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from pathlib import Path

from pneumoscope.core.arguments import argument, quote
from pneumoscope.core.errors import UsageError
from pneumoscope.core.files import data_folder
from pneumoscope.server.certificates import check_certificates

LOOPBACK_NAMES = ("localhost", "127.0.0.1", "[::1]")


@dataclass(frozen=True, slots=True)
class DicomSettings:
    """The server as a node of a DICOM network."""

    title: str = "PNEUMOSCOPE"
    """Its AE title, by which peers call it."""
    host: str = "127.0.0.1"
    port: int = 11112
    """The registered port of DICOM; 0 takes any free one."""
    peers: tuple[tuple[str, str], ...] = ()
    """AE title and address (IP) of each peer that may send; empty: any program of this machine."""
    models: tuple[str, ...] = ()
    """Names of the models that are asked about each image."""
    tls_certificate: Path | None = None
    tls_key: Path | None = None
    tls_peers: Path | None = None
    """Certificates (PEM) of the authorities that the peers' certificates must come from; None: peers show none."""
    in_the_clear: bool = False
    """Other machines may send without encryption: the network is the hospital's own."""
    routes: Path | None = None
    """File of destinations and rules (YAML); None: results are sent nowhere."""
    quiet_seconds: float = 60.0
    """A study is complete when no object of it came for so long, as Orthanc's StableAge has it."""
    capture: bool = False
    """Make each answer a picture too (secondary capture), for viewers that show nothing else."""
    keep_files: bool = False
    """Keep each image's object as it came, encrypted, so that WADO-RS gives its pixels too. It takes the disk that the
    objects have: 8 to 30 MB for an uncompressed radiograph, beside the 1 to 20 MB of the stored pixels."""

    def validate(self) -> None:
        """Check that these settings are safe together.

        Raises:
            UsageError: An AE title, an address or the quiet time is none, or other machines could send unnamed or,
                unsaid, in the clear.
        """
        for title in (self.title, *(title for title, _ in self.peers)):
            if title != title.strip() or not is_title(title):
                raise UsageError(
                    f"AE title {quote(title)}",
                    "is none.",
                    f"Give 1 to {LONGEST_TITLE} ASCII characters, none of them a control character or a backslash, "
                    "without blanks at the ends (PS3.5 6.2).",
                )
        for title, address in self.peers:
            try:
                read_address(address)
            except ValueError as error:
                raise UsageError(
                    f"peer `{title}@{address}`", "has no IP address.", f"Give it as {title}@192.0.2.7."
                ) from error
        if (self.tls_certificate is None) != (self.tls_key is None):
            raise UsageError("the certificate of the DICOM node", "and its key belong together.", "Give both.")
        if self.tls_peers is not None and self.tls_certificate is None:
            raise UsageError("the peers' certificates", "are checked only with TLS.", "Give a certificate and its key.")
        check_certificates(self.tls_certificate, self.tls_key, self.tls_peers)
        if not 0 <= self.quiet_seconds <= _LONGEST_QUIET:
            raise UsageError(
                argument("dicom_quiet_seconds", self.quiet_seconds),
                "is no time that a study could wait for.",
                f"Give 0 to {_LONGEST_QUIET:.0f} seconds.",
            )
        if is_loopback(self.host):
            return
        where = argument("dicom_host", self.host)
        if not self.peers:
            raise UsageError(
                where, "can be reached by other machines, and no peer is named.", "Name those that may send."
            )
        if self.tls_certificate is None and not self.in_the_clear:
            raise UsageError(
                where,
                "can be reached by other machines, and names of patients would travel in the clear.",
                "Give a certificate and its key, or say that the network is the hospital's own.",
            )


_LONGEST_QUIET = 24 * 3600.0
LONGEST_TITLE = 16
"""Characters of an AE title (PS3.5 6.2)."""


def is_title(title: str) -> bool:
    """Return whether a text is an AE title, whose blanks at the ends mean nothing."""
    return title.isascii() and title.isprintable() and 1 <= len(title.strip()) <= LONGEST_TITLE and "\\" not in title


def read_address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    """Return an IP address; one of IPv4 that stands in one of IPv6 as itself, as a socket of both kinds shows it.

    Raises:
        ValueError: It is none.
    """
    address = ipaddress.ip_address(text)
    return getattr(address, "ipv4_mapped", None) or address


@dataclass(frozen=True, slots=True)
class Settings:
    """All settings of a server. Sizes in bytes, times in seconds, unless the name says otherwise."""

    home: Path
    """Folder of the pixels, the secret and, unless ``database`` names another, the database."""
    database: str | None = None
    """SQLAlchemy URL; None: SQLite in ``home``."""
    models: Path | None = None
    """Folder of bundles, beside the built-in one."""
    secret: Path | None = None
    """File with the key that seals identities; None: ``secret.key`` in ``home``, which the first start creates."""
    host: str = "127.0.0.1"
    port: int = 8000
    hosts: tuple[str, ...] = ()
    """Names under which the server may be addressed; empty: its own loopback names, or any with accounts."""
    tls_certificate: Path | None = None
    tls_key: Path | None = None
    proxy: str | None = None
    """Address of the proxy that encrypts, whose X-Forwarded-* headers are believed."""
    accounts: bool = False
    """Ask for a login. Always on where other machines can reach the server."""
    read_first: bool | None = None
    """Whether results are withheld from readers until their own read is locked; None: where there are accounts."""
    workers: int = 1
    queue_limit: int = 1000
    """Predictions that may wait or run; above it, uploads are answered 429."""
    lease: float = 30.0
    """A worker that gives no sign of life for so long loses its prediction to the next worker."""
    attempts: int = 3
    """A prediction during which so many workers ended is given up."""
    retention: float | None = None
    """Days after which a study is erased; None: never."""
    retention_confirm: bool = False
    """The clock is right, although it is more than a day ahead of the newest row; erase what is old by it."""
    max_request_bytes: int = 512 * 2**20
    max_file_bytes: int = 128 * 2**20
    max_files: int = 500
    max_pixels: int = 50_000_000
    decoder_memory: int = 800 * 2**20
    """Bytes that decoding one file may take; the largest image that is taken needs less."""
    decoder_quick_seconds: float = 5.0
    """Seconds for which a file may keep a processor busy; a radiograph takes less than one, the largest a few."""
    decoder_seconds: float = 30.0
    """The same for a slow file, which is decoded by itself."""
    session_idle: float = 15 * 60
    session_longest: float = 12 * 3600
    lockout_after: int = 5
    lockout: float = 15 * 60
    requests_per_minute: int = 6000
    """Of each account, or of each address without one."""
    logins_per_minute: int = 20
    """Of each address."""
    streams: int = 100
    """Event streams open at once."""
    dicom: DicomSettings | None = None
    """None: the server is no DICOM node."""

    @property
    def files(self) -> Path:
        """Folder of the stored pixels."""
        return self.home / "files"

    @property
    def incoming(self) -> Path:
        """Folder in which uploads lie, encrypted, while they arrive."""
        return self.home / "incoming"

    @property
    def database_url(self) -> str:
        """URL of the database, with the driver that this package installs."""
        url = self.database or f"sqlite:///{(self.home / 'pneumoscope.sqlite').absolute()}"
        for plain in ("postgresql://", "postgres://"):
            if url.startswith(plain):
                return "postgresql+psycopg://" + url.removeprefix(plain)
        return url

    @property
    def secret_file(self) -> Path:
        """File with the key that seals identities."""
        return self.secret or self.home / "secret.key"

    @property
    def needs_login(self) -> bool:
        """Whether nothing but health and login answers without a session."""
        return self.accounts or not is_loopback(self.host)

    @property
    def encrypted(self) -> bool:
        """Whether browsers reach the server through TLS, its own or a proxy's."""
        return self.tls_certificate is not None or self.proxy is not None

    @property
    def reads_come_first(self) -> bool:
        """Whether a reader's own read must be locked before a model's answer is shown."""
        return self.needs_login if self.read_first is None else self.read_first

    @property
    def allowed_hosts(self) -> tuple[str, ...]:
        """Host names that requests may carry; empty: any. Without accounts it stops DNS rebinding."""
        if self.hosts:
            return self.hosts
        return () if self.needs_login else LOOPBACK_NAMES

    def validate(self) -> Settings:
        """Return these settings if they are safe together.

        Returns:
            The settings.

        Raises:
            UsageError: Other machines could reach the server in the clear, or a limit is not positive.
        """
        if not is_loopback(self.host) and not self.encrypted:
            raise UsageError(
                argument("host", self.host),
                "other machines can reach it, and names and passwords would travel in the clear.",
                "Give `tls_certificate` and `tls_key`, or as `proxy` the address of the proxy that encrypts.",
            )
        if (self.tls_certificate is None) != (self.tls_key is None):
            raise UsageError("`tls_certificate`", "and `tls_key` belong together.", "Give both or neither.")
        check_certificates(self.tls_certificate, self.tls_key)
        if self.proxy == "*":
            raise UsageError(
                argument("proxy", "*"),
                "would believe any client about its address.",
                "Give the proxy's address, or several.",
            )
        for name in ("workers", "queue_limit", "max_files", "max_pixels", "max_file_bytes", "max_request_bytes"):
            if getattr(self, name) < (0 if name == "workers" else 1):
                raise UsageError(f"`{name}`", f"is {getattr(self, name)}.", "Give a positive number.")
        if self.dicom is not None:
            self.dicom.validate()
        if self.retention is not None and not self.retention > 0:
            raise UsageError("`retention`", f"is {self.retention:g} days.", "Give a positive number, or nothing.")
        return self


def default_home() -> Path:
    """Return where a server keeps its data by default.

    Returns:
        The folder ``serve`` in the user's data folder.
    """
    return data_folder() / "serve"


def is_loopback(host: str) -> bool:
    """Return whether an address is reachable from this machine alone."""
    if host == "localhost":
        return True
    try:
        return read_address(host.strip("[]")).is_loopback
    except ValueError:
        return False
