"""Prediction of many files: in order, with a row for each failure, and resumable after a kill."""

from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image

from bundles import write_bundle, write_findings_bundle
from pneumoscope.bundle.prediction import columns
from pneumoscope.bundle.runtime import Model, load
from pneumoscope.bundle.session import OPENVINO
from pneumoscope.core.errors import PneumoscopeError, UsageError
from pneumoscope.core.tables import write_table
from pneumoscope.imaging.files import find_images
from pneumoscope.inference.journal import Journal
from pneumoscope.inference.predict import page_items, predict_files

COMMAND = [sys.executable, "-c", "from pneumoscope.cli.main import run; run()", "predict"]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Model:
    return load(write_bundle(tmp_path_factory.mktemp("models") / "tiny"))


def studies(folder: Path, count: int, size: int = 24) -> list[str]:
    """Grey images, each of another brightness where there are at most 200."""
    folder.mkdir(parents=True, exist_ok=True)
    for k in range(count):
        Image.new("L", (size, size + k % 5), 30 + k % 200).save(folder / f"{k:05d}.png")
    return find_images([folder]).files


def rows_of(path: Path) -> list[dict[str, Any]]:
    """Return the rows without the seconds that each took."""
    table: list[dict[str, Any]] = pq.read_table(path).to_pylist()
    for row in table:
        assert row.pop("seconds") >= 0
    return table


@pytest.mark.parametrize("ending", ["parquet", "csv", "jsonl"])
def test_every_format_holds_the_same_rows(model: Model, tmp_path: Path, ending: str) -> None:
    files = [*studies(tmp_path / "in", 3), str(tmp_path / "none.png")]
    expected: list[dict[str, Any]] = []
    output = tmp_path / f"out.{ending}"
    predict_files(model, files, output=output, on_row=lambda row, _: expected.append(row))
    read: dict[str, Callable[[], list[dict[str, Any]]]] = {
        "parquet": lambda: pq.read_table(output).to_pylist(),
        "jsonl": lambda: [json.loads(line) for line in output.read_text().splitlines()],
        "csv": lambda: list(csv.DictReader(output.read_text().splitlines())),
    }
    rows = read[ending]()
    if ending == "csv":
        expected = [
            {k: "" if v is None else str(v).lower() if isinstance(v, bool) else str(v) for k, v in row.items()}
            for row in expected
        ]
    assert rows == expected
    assert list(rows[0]) == list(columns(model.labels))
    assert list(tmp_path.glob("*.partial")) == []


def test_what_nobody_foresaw_of_one_image_is_the_error_of_its_row_and_all_others_are_kept(
    model: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    files = studies(tmp_path / "in", 5)
    predict_files(model, files, output=tmp_path / "whole.parquet")
    find = Model.find_border

    def fail(self: Model, pixels: Any, screening: Any = None) -> Any:
        if len(pixels) == 27:  # the fourth
            raise IndexError("index 9 is out of bounds\nfor axis 0")
        return find(self, pixels, screening)

    monkeypatch.setattr(Model, "find_border", fail)
    with caplog.at_level("DEBUG", logger="pneumoscope"):
        summary = predict_files(model, files, output=tmp_path / "out.parquet")
    rows, whole = rows_of(tmp_path / "out.parquet"), rows_of(tmp_path / "whole.parquet")
    assert rows[3]["error"] == "unexpected IndexError: index 9 is out of bounds"
    assert (rows[3]["decision"], rows[3]["sha256"]) == (None, whole[3]["sha256"])
    assert rows[:3] + rows[4:] == whole[:3] + whole[4:]
    assert summary.failed == 1
    assert "find_border" in caplog.text and "for axis 0" in caplog.text  # the traceback


def test_text_stays_text_in_parquet(tmp_path: Path) -> None:
    texts = ["2024-01-01", "2024-01-01T00:00:00Z", "1.5", "true", "null", 'a "quoted"\nline', "Röntgen ☢", "", None]
    rows = [{"text": text, "number": None, "flag": True} for text in texts]
    write_table(rows, tmp_path / "t.parquet", {"text": "string", "number": "double", "flag": "bool"}, {"a": "b"})
    table = pq.read_table(tmp_path / "t.parquet")
    assert table.column("text").to_pylist() == texts
    assert table.schema.metadata == {b"a": b"b"}


def test_an_unknown_format_of_the_output_is_wrong_usage(model: Model, tmp_path: Path) -> None:
    files = studies(tmp_path / "in", 1)
    with pytest.raises(UsageError, match=r"Did you mean '\.parquet'"):
        predict_files(model, files, output=tmp_path / "out.parqet")


def test_an_output_that_cannot_be_written_is_an_error(model: Model, tmp_path: Path) -> None:
    files = studies(tmp_path / "in", 1)
    (tmp_path / "file").write_text("")
    with pytest.raises(PneumoscopeError, match="is a file, not a folder"):
        predict_files(model, files, output=tmp_path / "file" / "out.csv")


def test_a_killed_run_resumes_and_equals_an_uninterrupted_one(model: Model, tmp_path: Path) -> None:
    files = studies(tmp_path / "in", 400, size=300)
    output = tmp_path / "out.parquet"
    command = [*COMMAND, "--model", str(model.folder), str(tmp_path / "in"), "-o", str(output), "--workers", "1"]
    run = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    journal = tmp_path / "out.parquet.partial"
    while run.poll() is None and not (journal.is_file() and journal.read_bytes().count(b"\n") > 40):
        time.sleep(0.002)
    run.send_signal(signal.SIGKILL)
    assert run.wait() == -signal.SIGKILL
    assert not output.exists()
    predicted = journal.read_bytes().count(b"\n") - 1
    assert 40 <= predicted < len(files)

    resumed = subprocess.run(command, capture_output=True, text=True, check=True)
    assert f"{predicted} of {len(files)} files were done" in resumed.stderr
    assert not journal.exists()
    predict_files(model, files, output=tmp_path / "whole.parquet")
    assert rows_of(output) == rows_of(tmp_path / "whole.parquet")
    assert [row["path"] for row in rows_of(output)] == files


class StopError(Exception):
    """An exception that stops a run."""


def stop_after(model: Model, files: list[str], output: Path, count: int, **options: Any) -> None:
    """Leave a journal with ``count`` rows."""
    rows = 0

    def on_row(row: dict[str, Any], resumed: bool) -> None:
        nonlocal rows
        rows += 1
        if rows == count:
            raise StopError

    with pytest.raises(StopError):
        predict_files(model, files, output=output, on_row=on_row, **options)


def finish(model: Model, files: list[str], output: Path, **options: Any) -> tuple[int, str]:
    """Finish a run and return the number of rows from its journal and the notes."""
    notes: list[str] = []
    summary = predict_files(model, files, output=output, on_note=notes.append, **options)
    assert [row["path"] for row in rows_of(output)] == files
    return summary.resumed, " ".join(notes)


def test_a_line_that_was_cut_off_is_predicted_again(model: Model, tmp_path: Path) -> None:
    files, output = studies(tmp_path / "in", 10), tmp_path / "out.parquet"
    stop_after(model, files, output, 6)
    journal = tmp_path / "out.parquet.partial"
    journal.write_bytes(journal.read_bytes()[:-20])
    assert finish(model, files, output)[0] == 5


def test_files_that_changed_are_predicted_again(model: Model, tmp_path: Path) -> None:
    files, output = studies(tmp_path / "in", 10), tmp_path / "out.parquet"
    stop_after(model, files, output, 6)
    Image.new("L", (20, 20), 255).save(files[3])
    resumed, note = finish(model, files, output)
    assert resumed == 3
    assert "3 of 10 files were done; from" in note
    assert rows_of(output)[3]["refused"]


def test_other_files_are_predicted_again(model: Model, tmp_path: Path) -> None:
    files, output = studies(tmp_path / "in", 10), tmp_path / "out.parquet"
    stop_after(model, files, output, 6)
    assert finish(model, [*files[:2], *files[3:], files[0]], output)[0] == 2


def test_files_added_at_the_end_do_not_matter(model: Model, tmp_path: Path) -> None:
    files, output = studies(tmp_path / "in", 10), tmp_path / "out.parquet"
    stop_after(model, files[:8], output, 6)
    assert finish(model, files, output)[0] == 6


def test_another_model_starts_again(model: Model, tmp_path: Path) -> None:
    files, output = studies(tmp_path / "in", 10), tmp_path / "out.parquet"
    stop_after(model, files, output, 6)
    other = load(write_bundle(tmp_path / "other", summary="Another."))
    resumed, note = finish(other, files, output)
    assert resumed == 0
    assert f"was made by another model ({model.identity[:12]}): starting again" in note


def test_heatmaps_requested_later_start_again(model: Model, tmp_path: Path) -> None:
    files, output = studies(tmp_path / "in", 6), tmp_path / "out.parquet"
    stop_after(model, files, output, 3)
    assert finish(model, files, output, heatmaps=tmp_path / "maps")[0] == 0
    assert len(list((tmp_path / "maps").iterdir())) == 6


@pytest.mark.parametrize("setting", ["depth", "score_refused", "runtime", "finding"])
def test_a_journal_of_another_setting_starts_again(tmp_path: Path, setting: str) -> None:
    """Each of them can change a row."""
    whole = load(write_findings_bundle(tmp_path / "findings"))
    model, other = whole.about("nodule"), whole.about("nodule")
    changed: dict[str, Any] = {"depth": 12, "score_refused": True}
    options = {name: value for name, value in changed.items() if name == setting}
    if setting == "runtime":
        other.runtime = OPENVINO
    if setting == "finding":
        other = whole.about("pneumonia")
    with Journal(tmp_path / "out.csv", model, None) as journal:
        list(journal.resume([]))
        journal.append({"path": "0.png"}, None)
    for note in (f"was made with another `{setting}`: starting again", ""):
        with Journal(tmp_path / "out.csv", other, None, **options) as journal:
            assert list(journal.resume(["0.png"])) == []
            assert note in journal.note


def test_two_runs_cannot_write_one_output(model: Model, tmp_path: Path) -> None:
    files, output = studies(tmp_path / "in", 3), tmp_path / "out.parquet"

    def on_row(row: dict[str, Any], resumed: bool) -> None:
        predict_files(model, files, output=output)

    with pytest.raises(UsageError, match="being written by another run"):
        predict_files(model, files, output=output, on_row=on_row)


def test_heatmaps_are_drawn_on_the_radiograph_unless_the_model_refuses(model: Model, tmp_path: Path) -> None:
    pixels = np.full((64, 64), 51, np.uint8)
    pixels[48:, :16] = 255  # foot end, patient's right
    Image.fromarray(pixels).save(tmp_path / "spot.png")
    Image.new("L", (64, 64), 255).save(tmp_path / "white.png")
    summary = predict_files(model, find_images([tmp_path]).files, heatmaps=tmp_path / "maps")
    assert summary.refused == 1
    [picture] = (tmp_path / "maps").iterdir()
    assert picture.name.startswith("spot-")
    assert picture.name.endswith("-covid-19.png")
    with Image.open(picture) as overlay:
        colour = np.asarray(overlay).astype(int)
    assert np.ptp(colour[60, 4]) > 50  # coloured where the heat is
    assert np.ptp(colour[4, 60]) < np.ptp(colour[60, 4]) / 2


def test_a_model_without_heatmap_cannot_draw_one(tmp_path: Path) -> None:
    plain = load(write_bundle(tmp_path / "plain", heatmap_size=None))
    with pytest.raises(UsageError, match="has no heatmap"):
        predict_files(plain, studies(tmp_path / "in", 1), heatmaps=tmp_path / "maps")


def test_names_that_are_not_utf8_can_be_written(model: Model, tmp_path: Path) -> None:
    folder = os.fsencode(tmp_path / "in")
    studies(tmp_path / "in", 1)
    try:
        os.rename(folder + b"/00000.png", folder + b"/r\xf6ntgen.png")  # noqa: PTH104 (Path takes no bytes)
    except OSError:
        pytest.skip("this file system takes only UTF-8 names")
    files, output = find_images([tmp_path / "in"]).files, tmp_path / "out.parquet"
    predict_files(model, files, output=output)
    [row] = rows_of(output)
    assert row["path"].endswith("r\\xf6ntgen.png")
    assert row["error"] is None


def test_page_items_have_pictures_only_of_readable_files(model: Model, tmp_path: Path) -> None:
    files = [*studies(tmp_path / "in", 1, size=800), str(tmp_path / "none.png")]
    Image.new("L", (30, 30), 255).save(tmp_path / "white.png")
    answer, failure, refusal = page_items(model, [*files, str(tmp_path / "white.png")])
    assert answer[1] is not None
    assert answer[2] is not None
    assert failure[1:] == (None, None)
    assert refusal[1] is not None
    assert refusal[2] is None  # a heatmap would be an answer of a model that refused to answer


def test_memory_does_not_grow_with_the_number_of_files(model: Model, tmp_path: Path) -> None:
    files = studies(tmp_path / "in", 50, size=200)
    process, samples = (
        pytest.importorskip("psutil").Process(),
        list[int](),
    )  # resident memory at every 250th row, else 0

    def on_row(row: dict[str, Any], resumed: bool) -> None:
        if len(samples) % 250 == 0:
            samples.append(process.memory_info().rss)
        else:
            samples.append(0)

    predict_files(model, files * 60, output=tmp_path / "out.parquet", on_row=on_row)
    rss = [value for value in samples if value]
    assert len(samples) == 3000
    # 3,000 decoded images would be 480 MB; the first quarter fills the caches of the allocators.
    assert max(rss[3:]) - rss[3] < 30 * 2**20
