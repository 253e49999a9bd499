"""A bundle's identity covers every byte that its graph reads: graphs and folders that read others are refused."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bundles import card, graph, write_bundle
from pneumoscope.bundle.gatekeeper import BUILTIN_GATEKEEPER, load_gatekeeper
from pneumoscope.bundle.graph_check import check_graph
from pneumoscope.bundle.runtime import load
from pneumoscope.core.errors import BundleError
from pneumoscope.core.files import write_text

onnx = pytest.importorskip("onnx", reason="no onnx: pip install 'pneumoscope[dev]'")


def put_outside(tensor: Any) -> None:
    """Make a tensor one whose values lie in another file, as ``onnx.save(..., save_as_external_data=True)`` does."""
    onnx.external_data_helper.set_external_data(tensor, "weights.bin")
    tensor.data_location = onnx.TensorProto.EXTERNAL


def initializer(model: Any) -> None:
    put_outside(model.graph.initializer[0])


def constant(model: Any) -> None:
    node = onnx.helper.make_node("Constant", [], ["c"], value=onnx.numpy_helper.from_array(np.ones(3, np.float32)))
    put_outside(node.attribute[0].t)
    model.graph.node.insert(0, node)


def sparse(model: Any) -> None:
    tensor = onnx.TensorProto(dims=[1], data_type=1, raw_data=b"\0\0\0\0", name="s")
    put_outside(tensor)
    model.graph.sparse_initializer.add(dims=[4]).values.CopyFrom(tensor)


def place_alone(model: Any) -> None:
    model.graph.initializer[0].data_location = onnx.TensorProto.EXTERNAL


def own_domain(model: Any) -> None:
    model.graph.node[0].domain = "com.example"
    model.opset_import.add(domain="com.example", version=1)


def own_import(model: Any) -> None:
    model.opset_import.add(domain="com.microsoft", version=1)


def own_function(model: Any) -> None:
    model.functions.add(name="f", domain="")


def choice(model: Any) -> None:
    branch = onnx.helper.make_graph([], "branch", [], [])
    model.graph.node.append(onnx.helper.make_node("If", ["ood"], ["x"], then_branch=branch, else_branch=branch))


def loop(model: Any) -> None:
    model.graph.node.append(
        onnx.helper.make_node("Loop", ["", ""], ["x"], body=onnx.helper.make_graph([], "b", [], []))
    )


def scan(model: Any) -> None:
    model.graph.node.append(onnx.helper.make_node("Scan", ["ood"], ["x"], num_scan_inputs=1))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (initializer, "external data"),
        (constant, "external data"),
        (sparse, "external data"),
        (place_alone, "external data"),
        (own_domain, "domain com.example"),
        (own_import, "domain com.microsoft"),
        (own_function, "functions of its own"),
        (choice, "control flow"),
        (loop, "control flow"),
        (scan, "control flow"),
    ],
)
def test_a_graph_that_reads_more_than_its_own_bytes_is_refused_with_hashes_that_match(
    change: Callable[[Any], None], words: str, tmp_path: Path
) -> None:
    model = graph(3)
    change(model)
    (tmp_path / "model.onnx").write_bytes(model.SerializeToString())
    (tmp_path / "weights.bin").write_bytes(bytes(4096))
    write_text(tmp_path / "card.json", card(tmp_path / "model.onnx", ("covid-19", "normal", "lung-opacity")).to_json())
    with pytest.raises(BundleError, match=words):
        load(tmp_path)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"no model at all",
        b"\x3a",  # a graph without its length
        b"\x3a\x05ab",  # a length beyond the file
        b"\x3a\xff\xff\xff\xff\xff\x01",  # a length of more than 32 bits
        b"\x3b\x3c",  # a group, which ONNX does not have
        b"\x08\x07",  # a version and no graph
        b"\x00\x00",  # field 0
    ],
)
def test_bytes_that_two_parsers_may_read_in_two_ways_are_refused(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "model.onnx").write_bytes(content)
    with pytest.raises(BundleError, match=r"no ONNX model|is empty"):
        check_graph(tmp_path / "model.onnx")


def test_fields_in_any_order_and_twice_are_all_seen() -> None:
    """Protocol buffers merge a message that comes twice; the second half must not pass unseen."""
    clean, second = graph(3), onnx.ModelProto()
    second.graph.initializer.add(name="w", dims=[1], data_type=1, raw_data=bytes(4))
    put_outside(second.graph.initializer[0])
    check_graph(clean.SerializeToString())
    with pytest.raises(BundleError, match="external data"):
        check_graph(clean.SerializeToString() + second.SerializeToString())


@pytest.mark.parametrize("name", ["CARD.md", "figures/heat.png", "deep/er/model.bin", "evidence"])
def test_a_link_anywhere_in_the_folder_is_refused(name: str, tmp_path: Path) -> None:
    bundle = write_bundle(tmp_path / "bundle")
    (tmp_path / "secret.txt").write_text("of another person")
    (bundle / name).parent.mkdir(parents=True, exist_ok=True)
    (bundle / name).symlink_to(tmp_path / "secret.txt")
    with pytest.raises(BundleError, match="symbolic link"):
        load(bundle)


def test_companions_are_checked_like_models(tmp_path: Path) -> None:
    folder = tmp_path / "gatekeeper"
    folder.mkdir()
    for name in ("card.json", "model.onnx"):
        (folder / name).symlink_to(BUILTIN_GATEKEEPER / name)
    with pytest.raises(BundleError, match="symbolic link"):
        load_gatekeeper(folder)
