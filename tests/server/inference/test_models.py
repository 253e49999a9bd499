"""The models of a server: a bundle that is exchanged or gets a link after it was checked serves nothing of others."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from bundles import write_bundle
from pneumoscope.core.errors import LabelError
from pneumoscope.core.files import sha256_of
from pneumoscope.server.inference.models import Catalogue, list_files


def tiny(catalogue: Catalogue) -> str:
    return next(model.identity for model in catalogue.list_models().values() if not model.builtin)


def test_reads_may_name_the_classes_of_every_model(tmp_path: Path) -> None:
    write_bundle(tmp_path / "models" / "tiny", labels=("Плеврит", "normal"))
    write_bundle(tmp_path / "models" / "odd", labels=("Foo", "Normal"))  # no name of a class stands in the way
    catalogue = Catalogue(tmp_path / "models")
    for label in ("Плеврит", "Normal", "covid-19", "normal"):
        catalogue.check_label(label, "the read")
    with pytest.raises(LabelError, match="Did you mean 'Плеврит'"):
        catalogue.check_label("Плевриты", "the read")


def test_a_link_made_after_the_check_serves_no_file(tmp_path: Path) -> None:
    bundle = write_bundle(tmp_path / "models" / "tiny")
    (tmp_path / "passwd").write_text("of the machine")
    catalogue = Catalogue(tmp_path / "models")
    model = catalogue.get(tiny(catalogue))
    assert "model.onnx" in list_files(model)
    (bundle / "CARD.md").symlink_to(tmp_path / "passwd")
    assert list_files(model) == {}
    (bundle / "CARD.md").unlink()
    (tmp_path / "pictures").mkdir()
    (tmp_path / "pictures" / "a.png").write_bytes(b"of another folder")
    (bundle / "figures").symlink_to(tmp_path / "pictures")
    assert list_files(model) == {}


def test_a_graph_of_the_same_size_and_time_is_noticed(tmp_path: Path) -> None:
    bundle = write_bundle(tmp_path / "models" / "tiny")
    catalogue = Catalogue(tmp_path / "models")
    identity = tiny(catalogue)
    graph = bundle / "model.onnx"
    status, content = graph.stat(), bytearray(graph.read_bytes())
    content[-1] ^= 1
    graph.write_bytes(content)
    os.utime(graph, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert identity not in catalogue.list_models()
    card = json.loads((bundle / "card.json").read_text())
    (bundle / "card.json").write_text(json.dumps(card | {"model_sha256": sha256_of(graph)}))
    assert tiny(catalogue) != identity
