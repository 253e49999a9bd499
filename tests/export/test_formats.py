"""Export formats: what is written computes what the bundle does, and says whose it is."""

from __future__ import annotations

import json
import re
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bundles import write_bundle
from pneumoscope.bundle.card import OUTPUTS
from pneumoscope.bundle.runtime import load
from pneumoscope.bundle.verify import verify
from pneumoscope.core.errors import BundleError, MissingBundleError, ParityError, UsageError
from pneumoscope.core.labels import DISCLAIMER
from pneumoscope.data.manifest import Manifest
from pneumoscope.export.fold import fold_constants
from pneumoscope.export.format import ExportReport, Format
from pneumoscope.export.formats import FORMATS, int8
from pneumoscope.workflows.export import export_bundle

onnx = pytest.importorskip("onnx")

SIZES = ((40, 60), (224, 224), (331, 1000))


def random_image(rows: int, columns: int) -> np.ndarray:
    return np.random.default_rng([rows, columns]).random((rows, columns), dtype=np.float32)


def test_the_registry_has_the_formats_and_names_them_where_one_is_unknown() -> None:
    assert {"int8", "coreml", "ort"} <= set(FORMATS)
    with pytest.raises(UsageError, match="Did you mean 'int8'"):
        export_bundle("covid", "int88")


def test_real_images_are_asked_for_where_they_are_needed_and_refused_where_not(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="drawn ones would set ranges that no patient has"):
        export_bundle("covid", "int8", tmp_path / "a")
    with pytest.raises(UsageError, match="is not used by the format ort"):
        export_bundle("covid", "ort", tmp_path / "b", data=tmp_path / "m.parquet")
    for option in ({"images": 20}, {"part": "all"}, {"seed": 1}, {"roots": {"nih": tmp_path}}):
        with pytest.raises(UsageError, match=f"`{next(iter(option))}=.* is not used by the format ort. Leave it out"):
            export_bundle("covid", "ort", tmp_path / "b", **option)
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine.txt").write_text("mine")
    with pytest.raises(UsageError, match="is not empty"):
        export_bundle("covid", "ort", tmp_path / "full")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["full"]


def test_the_part_test_is_never_looked_at(phantom_set: Manifest, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="kept for measuring"):
        export_bundle("covid", "int8", tmp_path / "a", data=phantom_set, part="test")


def test_folding_keeps_the_answers_and_one_copy_of_weights_that_run_twice() -> None:
    """The shipped networks see an image and its mirror image with the same weights."""
    import onnxruntime

    from pneumoscope.export.fold import fold_constants

    model = load("covid", gatekeeper=False)
    graph = onnx.load(model.folder / "model.onnx")
    before = Counter(node.op_type for node in graph.graph.node)
    fold_constants(graph)
    after = Counter(node.op_type for node in graph.graph.node)
    assert before["BatchNormalization"] == before["Conv"] + 1  # that of the head follows no convolution
    assert after["BatchNormalization"] == 1
    convolutions = [node for node in graph.graph.node if node.op_type == "Conv"]
    assert len({node.input[1] for node in convolutions}) == len(convolutions) // 2
    session = onnxruntime.InferenceSession(graph.SerializeToString(), providers=["CPUExecutionProvider"])
    for size in SIZES:
        pixels = random_image(*size)
        (p,) = session.run(["probabilities"], {"image": pixels[None, None]})
        np.testing.assert_allclose(p[0], model.run(pixels).probabilities, atol=1e-5)


def test_ort_is_the_format_of_onnx_runtime_and_answers_the_same(tmp_path: Path) -> None:
    import onnxruntime

    done = export_bundle("covid", "ort", tmp_path / "ort")
    raw = (done.folder / "model.ort").read_bytes()
    assert raw[4:8] == b"ORTM"  # the identifier of its flatbuffer (onnxruntime/core/flatbuffers/schema/ort.fbs)
    session = onnxruntime.InferenceSession(raw, providers=["CPUExecutionProvider"])
    model = load("covid", gatekeeper=False)
    pixels = random_image(400, 300)
    (p,) = session.run(["probabilities"], {"image": pixels[None, None]})
    np.testing.assert_allclose(p[0], model.run(pixels).probabilities, atol=1e-5)
    about = json.loads((done.folder / "export.json").read_text())
    assert (about["bundle"], about["disclaimer"]) == (model.identity, DISCLAIMER)
    assert sorted(done.files) == ["card.json", "export.json", "model.ort"]


@pytest.fixture(scope="module")
def quantised(phantom_set: Manifest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    import torch

    from pneumoscope.export import learned_ranges

    folder = tmp_path_factory.mktemp("int8") / "covid-int8"
    learn, threads, before = learned_ranges._difference, set(), torch.get_num_threads()

    def watch(*arguments: Any) -> Any:
        threads.add(torch.get_num_threads())
        return learn(*arguments)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(learned_ranges, "_difference", watch)
        torch.set_num_threads(2)
        try:
            export_bundle("covid", "int8", folder, data=phantom_set, part="all", images=10)
            after = torch.get_num_threads()
        finally:
            torch.set_num_threads(before)
    # Beside other programs two threads take five times the processor time of one; see `learned_ranges`.
    assert (threads, after) == ({1}, 2)
    return folder


def test_an_int8_bundle_is_a_bundle_of_its_own_that_names_its_parent(quantised: Path) -> None:
    parent, child = load("covid"), load(quantised)
    assert child.card.derived_from == parent.identity != child.identity
    # It learnt from what its parent learnt from; the drawn images set its ranges alone.
    assert child.card.synthetic is parent.card.synthetic is False
    assert re.search(
        r"learned from its answers to 10 images \(synthetic-.*\), all of them drawn \(phantoms\)", child.card.limits[0]
    )
    page = (quantised / "CARD.md").read_text("utf-8")
    assert "all of them drawn" in page
    assert "Trained on drawn images" not in page
    assert "not audited" in child.card.stamps
    assert parent.identity[:12] in child.card.limits[0]
    assert (quantised / "model.onnx").stat().st_size < (parent.folder / "model.onnx").stat().st_size
    verify(quantised)


def test_a_bundle_of_8_bits_is_not_quantised_again(quantised: Path, tmp_path: Path) -> None:
    """It is refused before radiographs are asked for, and before the manifest is read, which is not there."""
    problem = f"has 8-bit weights already.* its parent, {load('covid').identity[:12]}"
    for data in (None, tmp_path / "m.parquet"):
        with pytest.raises(UsageError, match=problem) as caught:
            export_bundle(quantised, "int8", tmp_path / "again", data=data)
        assert caught.value.exit_code == 2
    assert not (tmp_path / "again").exists()


@pytest.fixture(scope="module")
def rounded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("weights8") / "covid-weights8"
    export_bundle("covid", "weights8", folder)
    return folder


def test_weights_of_8_bits_are_the_parents_within_half_a_step(rounded: Path) -> None:
    """By ONNX's own reference evaluator, which multiplies each out."""
    from onnx.reference import ReferenceEvaluator

    parent, child = load("covid"), load(rounded)
    assert child.card.derived_from == parent.identity != child.identity
    assert "not audited" in child.card.stamps
    assert (rounded / "model.onnx").stat().st_size < 0.6 * (parent.folder / "model.onnx").stat().st_size
    whole = onnx.load(parent.folder / "model.onnx")
    fold_constants(whole)
    before = {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in whole.graph.initializer}
    graph = onnx.load(rounded / "model.onnx").graph
    after = {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in graph.initializer}
    # ONNX Runtime multiplies a cast out when it loads the graph, but a DequantizeLinear for each image.
    assert not any(node.op_type == "DequantizeLinear" for node in graph.node)
    casts = {node.output[0]: node for node in graph.node if node.op_type == "Cast" and node.input[0] in after}
    stored = [(casts[node.input[0]], node) for node in graph.node if node.op_type == "Mul" and node.input[0] in casts]
    assert sum(before[mul.output[0]].size for _, mul in stored) > 0.9 * sum(value.size for value in before.values())
    for cast, mul in stored:
        numbers, scale = after[cast.input[0]], after[mul.input[1]]
        assert numbers.dtype == np.int8
        (whole,) = ReferenceEvaluator(cast).run(None, {cast.input[0]: numbers})
        (weights,) = ReferenceEvaluator(mul).run(None, dict(zip(mul.input, (whole, scale), strict=True)))
        assert (np.abs(weights - before[mul.output[0]]) <= scale / 2 * (1 + 1e-5)).all()
    verify(rounded)


def test_weights_of_8_bits_change_a_score_less_than_8_bits_all_the_way(rounded: Path, quantised: Path) -> None:
    images = [random_image(*size) for size in SIZES]
    parent = load("covid")
    distances = {}
    for folder in (rounded, quantised):
        child = load(folder)
        distances[folder] = max(
            float(np.abs(child.probabilities(pixels) - parent.probabilities(pixels)).max()) for pixels in images
        )
    assert 0 < distances[rounded] < distances[quantised]


def test_weights_of_8_bits_are_not_rounded_again(rounded: Path, quantised: Path, tmp_path: Path) -> None:
    for folder in (rounded, quantised):
        with pytest.raises(UsageError, match="has 8-bit weights already"):
            export_bundle(folder, "weights8", tmp_path / "again")


def test_what_is_no_bundle_is_refused_alike(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    for folder, problem in ((tmp_path / "empty", "card.json is missing"), (tmp_path / "nosuch", "it is not there")):
        with pytest.raises(MissingBundleError, match=f"is not a bundle: {problem}") as caught:
            export_bundle(folder, "ort", tmp_path / "a")
        assert caught.value.exit_code == 2


def test_int8_quantises_what_lies_between_convolutions_and_nothing_else(quantised: Path) -> None:
    graph = onnx.load(quantised / "model.onnx").graph
    makers = {output: node for node in graph.node for output in node.output}
    kinds = Counter()
    for node in graph.node:
        before = [makers[name].op_type for name in node.input if name in makers]
        if "DequantizeLinear" in before and node.op_type != "QuantizeLinear":
            kinds[node.op_type] += 1
    # Two passes (image and mirror image) of 52 convolutions, of which the first nine stay float32.
    assert kinds["Conv"] == 2 * (52 - 9)
    assert set(kinds) <= {"Conv", "Add", "Clip"}
    assert sum(node.op_type == "Resize" for node in graph.node) == 1
    scales = {tensor.name: list(tensor.dims) for tensor in graph.initializer}
    weight = next(
        makers[node.input[1]] for node in graph.node
        if node.op_type == "Conv" and node.input[1] in makers and makers[node.input[1]].op_type == "DequantizeLinear"
    )  # fmt: skip
    assert scales[weight.input[1]][0] > 1  # a scale for each channel


def test_int8_weights_are_unsigned_and_the_parents_numbers(quantised: Path) -> None:
    """x86 processors without VNNI add products of signed weights wrongly; 128 is zero for every channel."""
    whole = onnx.load(load("covid").folder / "model.onnx")
    fold_constants(whole)
    before = {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in whole.graph.initializer}
    graph = onnx.load(quantised / "model.onnx").graph
    values = {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in graph.initializer}
    assert not [name for name, value in values.items() if value.dtype == np.int8]
    makers = {output: node for node in graph.node for output in node.output}
    compared = set()
    for node in graph.node:
        maker = makers.get(node.input[1]) if node.op_type == "Conv" else None
        if maker is None:
            continue
        number, scale, zero = (values[name] for name in maker.input)
        assert (zero == 128).all()
        step = scale.reshape(-1, 1, 1, 1)
        name = maker.input[0].removesuffix("_quantized")
        assert (np.abs((number.astype(float) - 128) * step - before[name]) <= step / 2 * (1 + 1e-5)).all()
        compared.add(name)
    assert len(compared) == 52 - 9


@pytest.mark.torch
def test_torch_rounds_as_onnx_does() -> None:
    """QuantizeLinear and DequantizeLinear by ONNX's own reference evaluator, past both ends of the range too."""
    torch = pytest.importorskip("torch")
    from onnx.reference import ReferenceEvaluator

    from pneumoscope.export.learned_ranges import _Rounded
    from pneumoscope.export.torch_graph import OPERATIONS

    value = np.linspace(-4, 9, 1000, dtype=np.float32)
    scale, zero = np.float32(0.03), np.uint8(40)
    numbers = ReferenceEvaluator(onnx.helper.make_node("QuantizeLinear", ["x", "s", "z"], ["y"])).run(
        None, {"x": value, "s": scale, "z": zero}
    )[0]
    assert (numbers.min(), numbers.max()) == (0, 255)
    given = [torch.from_numpy(value), torch.tensor(scale), torch.tensor(zero)]
    rounded = OPERATIONS["QuantizeLinear"](given, {})
    np.testing.assert_array_equal(rounded.numpy(), numbers)
    back = OPERATIONS["DequantizeLinear"]([rounded, *given[1:]], {})
    expected = (numbers.astype(np.float32) - 40) * scale
    np.testing.assert_allclose(back.numpy(), expected, atol=1e-6)
    np.testing.assert_allclose(_Rounded.apply(*given).numpy(), expected, atol=1e-6)


@pytest.mark.torch
def test_the_gradient_of_a_range_is_that_of_what_it_cuts_off_and_of_its_steps() -> None:
    """By hand: 1.26 is 13 steps of .1, so near - value is .04; 40 is cut off at 255 steps."""
    torch = pytest.importorskip("torch")
    from pneumoscope.export.learned_ranges import _Rounded

    value = torch.tensor([1.26, 40.0], requires_grad=True)
    scale = torch.tensor(0.1, requires_grad=True)
    near = _Rounded.apply(value, scale, torch.tensor(0, dtype=torch.uint8))
    np.testing.assert_allclose(near.detach().numpy(), [1.3, 25.5], rtol=1e-6)
    near.sum().backward()
    assert value.grad.tolist() == [1.0, 0.0]
    assert scale.grad.item() == pytest.approx((1.3 - 1.26) / 0.1 + 255, rel=1e-5)


@pytest.mark.torch
def test_ranges_are_learned_and_never_wider_than_what_was_seen(
    quantised: Path, phantom_set: Manifest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Beside an export of the same images whose ranges hold all that was seen: nothing but scales differs."""
    from pneumoscope.export import learned_ranges

    monkeypatch.setattr(learned_ranges, "learn_ranges", lambda *_, **__: None)
    export_bundle("covid", "int8", tmp_path / "seen", data=phantom_set, part="all", images=10)
    graphs = [onnx.load(folder / "model.onnx").graph for folder in (tmp_path / "seen", quantised)]
    seen, learned = [{t.name: onnx.numpy_helper.to_array(t) for t in graph.initializer} for graph in graphs]
    scales = {node.input[1] for node in graphs[1].node if node.op_type == "QuantizeLinear"}
    change = np.array([learned[name] / seen[name] for name in scales])
    assert (change <= 1 + 1e-6).all()
    assert (change < 0.99).sum() > len(scales) / 4
    makers = {output: node for node in graphs[1].node for output in node.output}
    rewritten = set()
    for node in graphs[1].node:
        parts = [makers.get(name) for name in node.input]
        if node.op_type == "Conv" and all(part is not None and part.op_type == "DequantizeLinear" for part in parts):
            data, weight, bias = (part.input for part in parts)
            step = learned[data[1]] * learned[weight[1]]
            np.testing.assert_allclose(learned[bias[1]], step, rtol=1e-6)  # the sum of products is whole in this step
            before = seen[bias[0]] * seen[bias[1]].astype(float)
            assert (np.abs(learned[bias[0]] * step.astype(float) - before) <= step / 2 * (1 + 1e-3)).all()
            rewritten.update([bias[0], bias[1]])
    assert rewritten
    for name in learned.keys() - scales - rewritten:
        np.testing.assert_array_equal(learned[name], seen[name], err_msg=name)


@pytest.mark.parametrize(("difference", "advised"), [(0.05, False), (0.07, True), (float("nan"), True)])
def test_a_certificate_is_advised_where_answers_differ_much(
    difference: float, advised: bool, phantom_set: Manifest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    report = ExportReport({"probabilities": difference, "logits": 3.0}, 32, ("first",))
    formats = {"int8": Format("int8", "", lambda _: report, "needed")}
    monkeypatch.setattr("pneumoscope.workflows.export.FORMATS", formats)
    out = tmp_path / "with space"
    notes = export_bundle("covid", "int8", out, data=phantom_set, part="all", images=10).report.notes
    assert notes[0] == "first"
    assert len(notes) == 1 + advised
    if advised:
        command = f"pneumoscope certify {load('covid').folder} --int8 '{out}' --data MANIFEST"
        said = (
            "A probability differs by 0.07 from the bundle's on the 32 images"
            if difference == 0.07
            else "A probability is no number in one of the two on"
        )
        assert notes[1].startswith(said)
        assert notes[1].endswith(f"Certify it: {command}")


def test_images_of_one_colour_are_counted_and_named() -> None:
    flat, drawn = np.zeros((60, 60), np.float32), random_image(60, 60)
    reader = int8._Reader(iter([flat, drawn, flat + 0.5]), load("covid", gatekeeper=False))
    while reader.get_next() is not None:
        pass
    assert (reader.flat, reader.images) == (2, 3)
    assert int8.describe_flat(2, 3).startswith("2 of 3 images have one colour alone.")
    assert int8.describe_flat(1, 3).startswith("1 of 3 images has one colour alone.")
    assert int8.describe_flat(3, 3).startswith("All images have one colour alone.")


def test_a_network_without_convolutions_cannot_be_quantised(phantom_set: Manifest, tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="no convolutions"):
        export_bundle(write_bundle(tmp_path / "tiny"), "int8", tmp_path / "a", data=phantom_set, part="all", images=10)
    assert not (tmp_path / "a").exists()


@pytest.mark.torch
@pytest.mark.parametrize(("size", "side"), [(224, 1024), (224, 224), (224, 100), (32, 331), (299, 3000)])
def test_the_resize_matrix_is_torchs_antialiased_resize(size: int, side: int) -> None:
    torch = pytest.importorskip("torch")
    from pneumoscope.export.matrix_resize import resize_matrix

    image = torch.from_numpy(np.random.default_rng(0).random((1, 1, side, 50)))
    expected = torch.nn.functional.interpolate(image, (size, 40), mode="bilinear", antialias=True)
    product = resize_matrix(size, side) @ image[0, 0].numpy() @ resize_matrix(40, 50).T
    np.testing.assert_allclose(product, expected[0, 0].numpy(), atol=1e-12)


@pytest.mark.torch
@pytest.mark.parametrize("name", ["opacity", "covid"])
def test_torch_runs_the_nodes_of_a_graph_as_onnx_runtime_does(name: str) -> None:
    torch = pytest.importorskip("torch")
    from pneumoscope.export.torch_graph import TorchGraph

    model = load(name, gatekeeper=False)
    graph = TorchGraph(onnx.load(model.folder / "model.onnx"), name, OUTPUTS)
    for size in SIZES:
        pixels = random_image(*size)
        with torch.inference_mode():
            values = graph(torch.from_numpy(pixels)[None, None])
        output = model.run(pixels)
        for key, value in zip(OUTPUTS, values, strict=True):
            np.testing.assert_allclose(value[0].numpy(), getattr(output, key), atol=1e-3 if key == "heatmap" else 1e-4)


@pytest.mark.torch
@pytest.mark.parametrize("labels", [("covid-19", "normal"), ("covid-19", "normal", "viral-pneumonia")])
def test_core_ml_has_the_resize_as_products_and_the_bundles_numbers(labels: tuple[str, ...], tmp_path: Path) -> None:
    pytest.importorskip("torch")
    coremltools = pytest.importorskip("coremltools", reason="no coremltools: pip install 'pneumoscope[coreml]'")
    bundle = write_bundle(tmp_path / "tiny", labels)
    done = export_bundle(bundle, "coreml", tmp_path / "out")
    assert done.report.differences["probabilities"] < 1e-5  # the finished program, run in torch
    spec = coremltools.utils.load_spec(str(tmp_path / "out" / "tiny.mlpackage"))
    picture = spec.description.input[0].type.imageType
    assert (picture.width, picture.height) == (1024, 1024)
    assert picture.colorSpace == picture.GRAYSCALE
    assert DISCLAIMER in spec.description.metadata.shortDescription
    operations = [
        op for block in spec.mlProgram.functions["main"].block_specializations.values() for op in block.operations
    ]
    kinds = Counter(op.type for op in operations)
    assert not [kind for kind in kinds if "resize" in kind or "upsample" in kind]
    assert kinds["matmul"] >= 2
    classes = next(op for op in operations if op.type == "classify")
    assert classes is not None
    assert {item.name for item in spec.description.output} == {"label", "probabilities", "heatmap", "ood"}


@pytest.mark.torch
@pytest.mark.filterwarnings("ignore")
def test_a_program_with_a_plain_resize_is_refused() -> None:
    torch = pytest.importorskip("torch")
    coremltools = pytest.importorskip("coremltools", reason="no coremltools: pip install 'pneumoscope[coreml]'")
    from pneumoscope.export.formats.coreml import check_program
    from pneumoscope.export.matrix_resize import resize_matrix

    class Plain(torch.nn.Module):
        def forward(self, image: object) -> object:
            return torch.nn.functional.interpolate(image, (32, 32), mode="bilinear", antialias=True)

    traced = torch.jit.trace(Plain(), torch.rand(1, 1, 64, 64))
    program = coremltools.convert(
        traced, inputs=[coremltools.TensorType(name="image", shape=(1, 1, 64, 64))], convert_to="milinternal"
    )
    with pytest.raises(ParityError, match="does not antialias"):
        check_program(program, resize_matrix(32, 64).astype(np.float32), "a program")
