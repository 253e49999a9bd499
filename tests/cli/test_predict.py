"""`pneumoscope predict` as a user meets it: what is printed, what is kept, which exit code."""

from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from typer.testing import CliRunner

from bundles import FINDING_THRESHOLDS, FINDINGS, write_bundle, write_findings_bundle
from malformed import malformed_files
from pneumoscope.bundle.prediction import columns
from pneumoscope.cli.main import app
from pneumoscope.core.labels import DISCLAIMER
from pneumoscope.inference.journal import JOURNAL_VERSION

# A process that was started in the background may have Ctrl-C ignored, and its children inherit that.
LISTENING = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler); "
COMMAND = [sys.executable, "-c", LISTENING + "from pneumoscope.cli.main import run; run()", "predict"]


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_bundle(tmp_path_factory.mktemp("models") / "tiny")


@pytest.fixture
def studies(tmp_path: Path) -> Path:
    """A folder with one study of each kind of answer: primary, rest, none."""
    folder = tmp_path / "studies"
    folder.mkdir()
    for name, value in {"a-positive": 153, "b-negative": 51, "c-strange": 255}.items():
        Image.new("L", (40, 30), value).save(folder / f"{name}.png")
    return folder


def predict(*arguments: object) -> Any:
    return CliRunner().invoke(app, ["predict", *(str(argument) for argument in arguments)])


def test_the_screen_says_what_a_score_meant_and_never_a_bare_normal(bundle: Path, studies: Path) -> None:
    done = predict("--model", bundle, studies)
    assert done.exit_code == 0
    lines = {name: line for line in done.stdout.splitlines() for name in "abc" if f"{name}-" in line and ".png" in line}
    assert "COVID-19" in lines["a"]
    assert "18 of 20 were COVID-19" in lines["a"]  # the card's band from 0.5: rate 0.9 of 20
    assert "4 of 40 were COVID-19" in lines["b"]
    assert "No pattern that this model" in lines["b"]
    assert "no answer" in lines["c"]
    text = " ".join(done.stdout.split())
    assert "3 files: 1 COVID-19, 1 No pattern that this model looks for, 1 no answer." in text
    assert "It does not look for: tuberculosis, pneumothorax." in text
    assert "%" not in lines["a"]
    assert DISCLAIMER in text


def test_one_band_of_all_scores_is_no_meaning_of_a_score(studies: Path, tmp_path: Path) -> None:
    """Its rate is how common the class was among the calibration images."""
    band = {"low": 0.0, "high": 1.0, "rate": 0.53, "rate_low": 0.37, "rate_high": 0.69, "n": 34}
    done = predict("--model", write_bundle(tmp_path / "few", score_bands=(band,), class_prior=(0.53, 0.47)), studies)
    text = " ".join(done.stdout.split())
    assert "calibration images too few, or too alike in score, to say what a score means" in text
    assert "The model has calibration images too few, or too alike in score, to say what a score means." in text
    assert "Of all, 53% were COVID-19." in text
    assert "34 were" not in text
    assert "What a score meant" not in text


def test_an_answer_without_gatekeeper_says_so(bundle: Path, studies: Path, tmp_path: Path) -> None:
    screened = " ".join(predict("--model", write_bundle(tmp_path / "b", companions={}), studies).stdout.split())
    assert "Not screened" not in screened and "Audit: not audited." in screened
    table = tmp_path / "t.csv"
    text = predict("--model", bundle, studies, "--no-gatekeeper", "-o", table).stdout
    assert "Not screened: no gatekeeper looked at the images" in " ".join(text.split())
    with table.open() as file:
        assert {row["screened"] for row in csv.DictReader(file)} == {"false"}
    document = json.loads(predict("--model", bundle, studies, "--no-gatekeeper", "--json").stdout)
    assert document["model"]["screened"] is False and document["model"]["audit"] == "not audited"
    assert {row["screened"] for row in document["predictions"]} == {False}


def test_json_is_one_document_on_stdout_with_the_disclaimer_on_stderr(bundle: Path, studies: Path) -> None:
    done = predict("--model", bundle, studies, studies / "none.png", "--json")
    document = json.loads(done.stdout)
    assert [row["decision"] for row in document["predictions"]] == ["covid-19", "normal", None, None]
    assert list(document["predictions"][0]) == list(columns(document["model"]["labels"]))
    assert document["summary"] == {
        "files": 4, "resumed": 0, "failed": 1, "refused": 1, "decisions": {"covid-19": 1, "normal": 1},
        "passed_over": {},
    }  # fmt: skip
    assert document["disclaimer"] == DISCLAIMER
    assert DISCLAIMER in done.stderr
    assert done.exit_code == 1  # one file failed


def test_json_of_a_multi_label_model_has_the_threshold_of_each_finding(studies: Path, tmp_path: Path) -> None:
    bundle = write_findings_bundle(tmp_path / "findings")
    document = json.loads(predict("--model", bundle, studies, "--json").stdout)
    points = document["model"]["operating_points"]
    assert [points[name]["threshold"] for name in FINDINGS] == list(FINDING_THRESHOLDS)
    assert "operating_point" not in document["model"]
    decisions = [row["decision"] for row in document["predictions"]]
    assert decisions == ["pneumonia", "pleural-effusion", None]


def test_json_is_valid_when_rows_come_from_a_journal(bundle: Path, studies: Path, tmp_path: Path) -> None:
    output = tmp_path / "out.jsonl"
    whole = json.loads(predict("--model", bundle, studies, "-o", output, "--json").stdout)
    identity = whole["model"]["identity"]
    path = studies / "a-positive.png"
    entry = {"row": whole["predictions"][0], "stamp": [path.stat().st_size, path.stat().st_mtime_ns]}
    header = {"journal": JOURNAL_VERSION, "model": identity, "heatmaps": None}
    (tmp_path / "out.jsonl.partial").write_text(f"{json.dumps(header)}\n{json.dumps(entry)}\n")
    done = predict("--model", bundle, studies, "-o", output, "--json")
    assert "1 of 3 files were done" in done.stderr
    again = json.loads(done.stdout)
    assert again["summary"]["resumed"] == 1
    assert [row["path"] for row in again["predictions"]] == [row["path"] for row in whole["predictions"]]
    assert again["written"] == {"output": str(output)}


def test_many_rows_are_all_printed_without_an_output_and_shortened_with_one(bundle: Path, tmp_path: Path) -> None:
    for k in range(45):
        Image.new("L", (20, 20), 50 + k).save(tmp_path / f"s{k:02d}.png")
    assert predict("--model", bundle, tmp_path).stdout.count(".png") == 45
    short = predict("--model", bundle, tmp_path, "-o", tmp_path / "o.csv").stdout
    assert short.count(".png") == 20
    assert "and 25 more rows in" in short


def test_the_page_is_written(bundle: Path, studies: Path, tmp_path: Path) -> None:
    done = predict("--model", bundle, studies, "--html", tmp_path / "page.html", "--heatmaps", tmp_path / "maps")
    assert done.exit_code == 0
    page = (tmp_path / "page.html").read_text()
    assert DISCLAIMER in page
    assert page.count("a-positive.png") >= 1
    assert len(list((tmp_path / "maps").iterdir())) == 2  # none where the model keeps silent


def test_an_image_of_too_many_pixels_names_a_way_out_that_a_shell_has(bundle: Path, tmp_path: Path) -> None:
    """20,000 pixels a side, of one bit each: 50 MB before compression, and never decoded."""
    Image.new("1", (20_000, 20_000)).save(tmp_path / "huge.png")
    done = predict("--model", bundle, tmp_path)
    told = " ".join(done.output.split())
    assert done.exit_code == 1
    assert "its header declares 20000 x 20000 pixels; at most 100,000,000 are decoded." in told
    assert "save a smaller copy and name that" in told


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("empty",), 2, "holds no radiograph"),
        (("studies", "-o", "out.xlsx"), 2, "is no table format"),
        (("studies", "--workers", "0"), 2, "--workers"),
        (("studies", "--model", "nowhere"), 2, "is not a bundle"),
        (("none.png",), 1, "No such file"),
        (("studies/a-positive.png",), 0, "COVID-19"),
    ],
)
def test_exit_codes(
    bundle: Path, studies: Path, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...], code: int, words: str
) -> None:
    monkeypatch.chdir(studies.parent)
    Path("empty").mkdir()
    model = () if "--model" in arguments else ("--model", bundle)
    done = predict(*model, *arguments)
    assert done.exit_code == code
    assert words in " ".join(done.output.split())


def test_malformed_files_are_one_error_each_and_the_others_are_kept(
    bundle: Path, studies: Path, tmp_path: Path
) -> None:
    bad = malformed_files(tmp_path / "bad", 200, seed=0)
    output = tmp_path / "out.csv"
    # Not ru_maxrss where it can be helped: a process inherits it from the one that started it, here pytest with torch.
    measure = (
        "import pathlib, resource, sys\n"
        "from pneumoscope.cli.main import app\n"
        "code = app(sys.argv[1:], standalone_mode=False)\n"
        "status = pathlib.Path('/proc/self/status')\n"
        "lines = status.read_text().splitlines() if status.exists() else []\n"
        "peaks = [int(line.split()[1]) // 1024 for line in lines if line.startswith('VmHWM:')]\n"
        "peaks += [resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024]\n"
        "print(code, peaks[0], file=sys.stderr)"
    )
    names = [*(str(path) for path in bad), str(studies / "a-positive.png")]
    done = subprocess.run(
        [sys.executable, "-c", measure, "predict", "--model", str(bundle), *names, "-o", str(output)],
        capture_output=True,
        text=True,
    )
    code, megabytes = done.stderr.splitlines()[-1].split()
    assert code == "1"
    assert int(megabytes) < 1000
    rows = list(csv.DictReader(output.read_text().splitlines()))
    assert [row["path"] for row in rows] == names
    for row in rows[:-1]:
        assert row["error"].startswith(f"{row['path']}: ")
        assert "\n" not in row["error"]
        assert "Traceback" not in row["error"]
    assert rows[-1]["decision"] == "covid-19"
    # The first 20 rows stand in the table; every other error is one line on stderr.
    assert len(done.stderr.splitlines()) == 200 - 20 + 1


def test_ctrl_c_leaves_a_journal_and_says_how_to_go_on(bundle: Path, tmp_path: Path) -> None:
    folder, output = tmp_path / "in", tmp_path / "out.parquet"
    folder.mkdir()
    for k in range(150):
        Image.new("L", (600, 600), 40 + k % 150).save(folder / f"{k:03d}.png")
    command = [*COMMAND, "--model", str(bundle), str(folder), "-o", str(output), "--workers", "1"]
    run = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    journal = tmp_path / "out.parquet.partial"
    while run.poll() is None and not (journal.is_file() and journal.read_bytes().count(b"\n") > 20):
        time.sleep(0.002)
    os.kill(run.pid, signal.SIGINT)
    _, said = run.communicate(timeout=120)
    assert run.returncode == 130
    assert said.count("\n") == 1
    assert "of 150 files were done" in said
    assert f"{output}.partial keeps them: do the same again to go on." in said
    assert not output.exists()
    assert subprocess.run(command, capture_output=True).returncode == 0
    assert output.exists()
