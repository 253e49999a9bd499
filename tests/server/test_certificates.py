"""Files of TLS are checked before a server starts, each fault by its file."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization

from pneumoscope.core.errors import UsageError
from pneumoscope.server.certificates import check_certificates
from pneumoscope.server.dicom.routing.routes import read_routes
from pneumoscope.server.settings import DicomSettings, Settings
from server.dicom.test_association import write_certificate

Files = dict[str, Path]


@pytest.fixture
def files(tmp_path: Path) -> Files:
    certificate, key = write_certificate(tmp_path, "127.0.0.1")
    other = write_certificate(tmp_path, "127.0.0.2")[1]
    text, locked = tmp_path / "text.pem", tmp_path / "locked.key"
    text.write_text("no PEM\n")
    loaded = serialization.load_pem_private_key(key.read_bytes(), None)
    kind = serialization.PrivateFormat.PKCS8, serialization.BestAvailableEncryption(b"secret")
    locked.write_bytes(loaded.private_bytes(serialization.Encoding.PEM, *kind))
    return {
        "certificate": certificate,
        "key": key,
        "other": other,
        "text": text,
        "locked": locked,
        "none": tmp_path / "n",
    }


def test_files_that_fit_are_taken(files: Files) -> None:
    check_certificates(files["certificate"], files["key"], files["certificate"])
    check_certificates(None, None)


@pytest.mark.parametrize(
    ("certificate", "key", "authorities", "words"),
    [
        ("certificate", "other", None, r"127\.0\.0\.2\.key: is not the key of .*127\.0\.0\.1\.pem"),
        ("certificate", "text", None, r"text\.pem: holds no key"),
        ("certificate", "locked", None, r"locked\.key: has a password"),
        ("key", "key", None, r"127\.0\.0\.1\.key: holds no certificate"),
        ("none", "key", None, "n: can't be read: No such file"),
        ("certificate", "key", "text", r"text\.pem: holds no certificate"),
    ],
)
def test_what_does_not_fit_is_named_before_the_start(
    files: Files, tmp_path: Path, certificate: str, key: str, authorities: str | None, words: str
) -> None:
    given = files[certificate], files[key], None if authorities is None else files[authorities]
    dicom = DicomSettings(tls_certificate=given[0], tls_key=given[1], tls_peers=given[2])
    with pytest.raises(UsageError, match=words):
        Settings(home=tmp_path, dicom=dicom).validate()
    if given[2] is None:
        with pytest.raises(UsageError, match=words):
            replace(Settings(home=tmp_path), tls_certificate=given[0], tls_key=given[1]).validate()


def test_a_destination_names_its_place_in_the_file(files: Files, tmp_path: Path) -> None:
    routes = tmp_path / "routes.yaml"
    tls = f"{{authorities: {files['certificate']}, certificate: {files['certificate']}, key: {files['other']}}}"
    routes.write_text(f"destinations: {{a: {{title: A, host: 127.0.0.1, port: 104, tls: {tls}}}}}\nrules: []\n")
    with pytest.raises(UsageError, match=r"destinations\.a\.tls: .*127\.0\.0\.2\.key: is not the key of"):
        read_routes(routes)
