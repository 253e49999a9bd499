"""Inference against answers worked out by hand: on an image of one grey value the tiny graph's logits are known."""

from __future__ import annotations

import hashlib
import math
import subprocess
import sys
import threading
from collections.abc import Iterator
from html import escape
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from bundles import THRESHOLD, card, write_bundle
from pneumoscope.bundle.card import Refusal
from pneumoscope.bundle.prediction import band_of, columns, decide, result_words
from pneumoscope.bundle.runtime import Model, bundle_folder, load
from pneumoscope.core.errors import BundleError, PneumoscopeError, UsageError
from pneumoscope.core.labels import DISCLAIMER, NO_PATTERN
from pneumoscope.imaging.read import read


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_bundle(tmp_path_factory.mktemp("models") / "tiny")


@pytest.fixture(scope="module")
def model(bundle: Path) -> Model:
    return load(bundle)


def grey(path: Path, value: int, size: tuple[int, int] = (40, 30)) -> Path:
    Image.new("L", size, value).save(path)
    return path


def softmax(*logits: float) -> list[float]:
    total = sum(math.exp(logit) for logit in logits)
    return [math.exp(logit) / total for logit in logits]


@pytest.mark.parametrize("shape", [(32, 32), (500, 300), (7, 900), (1, 1)])
def test_run_returns_the_outputs_of_the_graph_for_any_size(model: Model, shape: tuple[int, int]) -> None:
    v = 0.75
    output = model.run(np.full(shape, v, np.float32))
    assert output.logits == pytest.approx([10 * (v - 0.5), 5 * (0.5 - v), 0], abs=1e-5)
    assert output.probabilities == pytest.approx(softmax(2.5, -1.25, 0), abs=1e-6)
    assert output.embedding == pytest.approx([v] * 16, abs=1e-6)
    assert output.ood == pytest.approx(16 * 0.25**2, abs=1e-5)
    assert output.heatmap is not None
    assert output.heatmap.shape == (3, 4, 4)


def test_the_heatmap_has_the_orientation_of_the_image(model: Model) -> None:
    image = np.zeros((64, 64), np.float32)
    image[:16, 48:] = 1  # head end, patient's left
    heatmap = model.run(image).heatmap
    assert heatmap is not None
    assert np.unravel_index(heatmap[0].argmax(), (4, 4)) == (0, 3)


def test_a_prediction_of_a_file_has_every_column(model: Model, tmp_path: Path) -> None:
    path = grey(tmp_path / "a.png", 153)  # 153 / 255 = 0.6
    prediction = model.predict_file(path)
    assert prediction.probabilities == pytest.approx(softmax(1, -0.5, 0), abs=1e-6)
    assert prediction.decision == "covid-19"
    assert (prediction.refused, prediction.reason, prediction.error) == (False, "", None)
    assert prediction.ood == pytest.approx(16 * 0.1**2, abs=1e-5)
    assert prediction.model == model.identity[:12]
    assert prediction.sha256 == subprocess.check_output(["sha256sum", path], text=True).split()[0]
    assert list(prediction.row(model.labels)) == list(columns(model.labels))


def test_the_table_has_the_columns_of_the_contract(model: Model, tmp_path: Path) -> None:
    table = model.predict([grey(tmp_path / "a.png", 153), tmp_path / "none.png"])
    assert list(table.columns) == [
        "path", "p_covid-19", "p_normal", "p_viral-pneumonia", "decision", "refused", "reason", "code", "warnings",
        "outside_lungs", "screened", "audit", "ood", "model", "sha256", "seconds", "error",
    ]  # fmt: skip
    assert table["decision"][0] == "covid-19"
    assert "No such file" in table["error"][1]
    assert math.isnan(table["p_normal"][1])


@pytest.mark.parametrize(
    ("probabilities", "decision"),
    [
        ((THRESHOLD, 0.35, 0.25), "covid-19"),
        ((THRESHOLD, 0.6, 0.0), "covid-19"),  # the operating point decides, not the maximum
        ((THRESHOLD - 0.01, 0.3, 0.31), "viral-pneumonia"),  # under it, the largest of the rest, not of all
        ((0.1, 0.6, 0.3), "normal"),
    ],
)
def test_the_operating_point_determines_the_decision(
    model: Model, probabilities: tuple[float, ...], decision: str
) -> None:
    assert decide(model.card, probabilities, 0.0) == (decision, "")


@pytest.mark.parametrize("ood", [3.51, math.inf, math.nan])
def test_an_image_out_of_distribution_is_refused_with_the_reason(model: Model, ood: float) -> None:
    decision, reason = decide(model.card, (0.9, 0.05, 0.05), ood)
    assert decision is None
    assert reason.endswith("exceeds the limit 3.5")  # the card does not count the images that chose it


def test_a_refused_file_keeps_its_probabilities_and_gets_no_decision(model: Model, tmp_path: Path) -> None:
    prediction = model.predict_file(grey(tmp_path / "white.png", 255))
    assert (prediction.refused, prediction.decision) == (True, None)
    assert prediction.probabilities == pytest.approx(softmax(5, -2.5, 0), abs=1e-6)
    assert result_words(prediction.decision, prediction.error) == "No answer"


def test_normal_is_shown_as_no_pattern(model: Model, tmp_path: Path) -> None:
    prediction = model.predict_file(grey(tmp_path / "dark.png", 51))
    assert prediction.decision == "normal"
    assert result_words(prediction.decision, prediction.error) == "No pattern that this model looks for"


def test_a_band_includes_its_lower_end_and_the_last_band_its_upper_end(model: Model) -> None:
    rates = [band["rate"] for p in (0.0, 0.49, 0.5, 1.0) if (band := band_of(model.card, p))]
    assert rates == [0.1, 0.1, 0.9, 0.9]


def test_a_binary_bundle_predicts(tmp_path: Path) -> None:
    model = load(write_bundle(tmp_path / "binary", ("covid-19", "normal")))
    prediction = model.predict_file(grey(tmp_path / "a.png", 102))
    assert prediction.probabilities == pytest.approx(softmax(-1, 0.5), abs=1e-6)
    assert prediction.decision == "normal"


def test_results_are_in_the_order_of_the_files(model: Model, tmp_path: Path) -> None:
    big = grey(tmp_path / "big.png", 120, (2500, 2500))
    small = [grey(tmp_path / f"{k}.png", 100 + k) for k in range(30)]
    paths = [small[0], big, *small[1:15], big, *small[15:]]
    assert [prediction.path for prediction in model.stream(paths, workers=4)] == [str(path) for path in paths]


def test_streaming_reads_at_most_a_window_of_files_ahead(model: Model, tmp_path: Path) -> None:
    path = grey(tmp_path / "a.png", 100)
    requested = 0

    def endless() -> Iterator[Path]:
        nonlocal requested
        while True:
            requested += 1
            yield path

    stream = model.stream(endless(), workers=2)
    for _ in range(5):
        next(stream)
    assert requested <= 5 + 2 * 4
    stream.close()
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("predict")]


def test_the_observer_gets_the_pixels_and_the_whole_output(model: Model, tmp_path: Path) -> None:
    observations: list[Any] = []
    paths = [grey(tmp_path / "a.png", 153), tmp_path / "none.png"]
    predictions = list(model.stream(paths, observe=lambda *observation: observations.append(observation)))
    [(prediction, radiograph, output)] = observations  # there is none of the file that failed
    assert prediction is predictions[0]
    assert radiograph.pixels.mean() == pytest.approx(0.6, abs=1e-6)
    assert output.heatmap[0] == pytest.approx(np.full((4, 4), 0.6), abs=1e-5)


def test_an_exception_of_the_observer_ends_the_stream(model: Model, tmp_path: Path) -> None:
    def raise_disk_full(*_: object) -> None:
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        list(model.stream([grey(tmp_path / "a.png", 153)], observe=raise_disk_full))


def test_an_altered_graph_is_refused(tmp_path: Path) -> None:
    folder = write_bundle(tmp_path / "b")
    with (folder / "model.onnx").open("ab") as file:
        file.write(b"\0")
    with pytest.raises(BundleError, match="altered or exchanged"):
        load(folder)


def test_a_model_file_that_is_not_a_graph_is_refused(tmp_path: Path) -> None:
    folder = write_bundle(tmp_path / "b")
    model = folder / "model.onnx"
    model.write_bytes(b"not a graph")
    (folder / "card.json").write_text(card(model, ("covid-19", "normal")).to_json())
    with pytest.raises(BundleError, match="cannot be loaded"):
        load(folder)


def test_a_card_with_other_labels_than_the_graph_is_refused(tmp_path: Path) -> None:
    folder = write_bundle(tmp_path / "b")
    (folder / "card.json").write_text(card(folder / "model.onnx", ("covid-19", "normal")).to_json())
    with pytest.raises(BundleError, match="gives 3 probabilities; the card names 2"):
        load(folder)


def test_a_run_folder_loads_its_bundle(tmp_path: Path) -> None:
    write_bundle(tmp_path / "run" / "bundle")
    assert bundle_folder(tmp_path / "run") == tmp_path / "run" / "bundle"
    assert load(tmp_path / "run").card.name == "tiny"


def test_a_folder_that_is_not_a_bundle_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match=r"card\.json is missing"):
        load(tmp_path)


def test_outputs_that_are_not_numbers_are_errors(model: Model) -> None:
    with pytest.raises(PneumoscopeError, match="not numbers"):
        model.run(np.full((8, 8), np.nan, np.float32))


def test_the_predict_command_imports_neither_torch_nor_pandas(bundle: Path, tmp_path: Path) -> None:
    grey(tmp_path / "a.png", 120)
    code = (
        "import sys; from pneumoscope.cli.main import app\n"
        f"app(['predict', '--model', {str(bundle)!r}, {str(tmp_path)!r}, '-o', {str(tmp_path / 'o.parquet')!r}],"
        " standalone_mode=False)\n"
        "print([name for name in ('torch', 'pandas', 'pandera', 'scipy', 'matplotlib') if name in sys.modules])"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.splitlines()[-1] == "[]"


def test_predict_accepts_every_kind_of_input(model: Model, tmp_path: Path) -> None:
    """Check that paths, folders, bytes, arrays and radiographs of one picture get one answer."""
    (tmp_path / "in").mkdir()
    path = grey(tmp_path / "in" / "a.png", 153)
    array = np.full((30, 40), 0.6, np.float32)
    table = model.predict([path, tmp_path / "in", path.read_bytes(), array, read(path)])
    assert table["path"].tolist() == [str(path), str(path), "bytes 2", "array 3", "radiograph 4"]
    assert table["p_covid-19"].nunique() == 1
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    assert table["sha256"].fillna("none: no file").tolist() == [digest, digest, digest, "none: no file", digest]
    assert model.predict(array)["decision"].tolist() == table["decision"].tolist()[:1]


@pytest.mark.parametrize(
    ("array", "problem"),
    [
        (np.zeros((2, 4, 4), np.float32), r"shape \(2, 4, 4\)"),
        (np.zeros((4, 4), np.uint8), "holds uint8"),
        (np.full((4, 4), 2.0), "values from 2 to 2"),
        (np.full((4, 4), np.nan), "values from nan"),
    ],
)
def test_an_array_that_is_not_a_radiograph_is_refused(model: Model, array: Any, problem: str) -> None:
    with pytest.raises(UsageError, match=problem):
        model.predict(array)


def test_an_unknown_input_is_refused(model: Model) -> None:
    with pytest.raises(UsageError, match=r"`inputs\[1\]`: is 3, which is not a text, a path, bytes"):
        model.predict([np.zeros((4, 4), np.float32), 3])  # type: ignore[list-item]


def test_the_html_table_words_results_as_the_screens_do(model: Model, tmp_path: Path) -> None:
    grey(tmp_path / "dark.png", 51)
    grey(tmp_path / "white.png", 255)
    (tmp_path / "broken.png").write_bytes(b"<script>")
    html = model.predict(tmp_path)._repr_html_()
    assert NO_PATTERN in html and ">normal<" not in html.lower()
    assert "No answer" in html and "Failed" in html
    assert "<script>" not in html
    assert escape(DISCLAIMER) in html
    assert "Failed" not in (model.predict(tmp_path)[["path"]]._repr_html_() or "")


def test_the_html_of_a_card_shows_its_limits(model: Model) -> None:
    html = model.card._repr_html_()
    assert model.card.limits[0] in html
    assert escape(DISCLAIMER) in html


def test_a_refusal_names_the_images_that_chose_its_limit(model: Model) -> None:
    def reason(images: int, kept: int) -> str:
        refusal = Refusal(ood_threshold=3.5, ood_quantile=0.995, images=images, kept=kept)
        return decide(model.card.model_copy(update={"refusal": refusal}), (0.9, 0.05, 0.05), 9.0)[1]

    assert reason(6, 6).endswith("the limit 3.5, which 6 of 6, too few for a share, keep")
    assert "which 294 of 295 (99.7% [98." in reason(295, 294)


def test_a_finding_of_a_model_without_findings_suggests_no_name(model: Model) -> None:
    """The name may be that of its own class: "Did you mean 'covid-19'?" is then no help."""
    with pytest.raises(UsageError) as caught:
        model.card.view("covid-19")
    assert str(caught.value) == (
        "`finding='covid-19'`: is no finding of tiny: it gives one answer about an image. Leave this out."
    )
