"""BIMCV-COVID19+ and -: terms of reports, positive tests near a study, and files that must not come in."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from pneumoscope.core.errors import ManifestError
from pneumoscope.data.source import ImportOptions, Listing
from pneumoscope.data.sources import SOURCES

STUDIES = {  # session -> participant, view, terms of the report, date of the study
    "ses-E01": ("sub-S01", "ap", "['COVID 19', 'consolidation', 'pleural effusion']", "20200320"),
    "ses-E02": ("sub-S01", "pa", "['normal']", "20200201"),
    "ses-E03": ("sub-S02", "pa", "['normal']", "20200402.0"),
    "ses-E04": ("sub-S02", "ll", "['normal']", "20200402"),
    "ses-E05": ("sub-S03", "pa", '["viral pneumonia"\t"COVID 19 uncertain"]', "20200402"),
    "ses-E06": ("sub-S03", "pa", "['pneumonia', 'cons", "20200402"),
    "ses-E07": ("sub-S03", "pa", "['exclude']", "20200402"),
    "ses-E08": ("sub-S03", "pa", "['cardiomegaly']", "20200402"),
}


def _image(session: str, body_part: str = "chest") -> str:
    participant, view, *_ = STUDIES[session]
    return f"{participant}/{session}/mod-rx/{participant}_{session}_run-1_bp-{body_part}_vp-{view}_dx"


def _write(path: Path, text: str = "") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    root = tmp_path / "covid19_posi"
    labels = ["PatientID\tReportID\tReport\tLabels"]
    sessions: dict[str, list[str]] = {}
    for session, (participant, _, terms, day) in STUDIES.items():
        inverted = session == "ses-E08"
        tags = {"00280004": {"vr": "CS", "Value": ["MONOCHROME1" if inverted else "MONOCHROME2"]}}
        _write(root / f"{_image(session)}.png")
        _write(root / f"{_image(session)}.json", json.dumps(tags))
        cell = '"' + terms.replace('"', '""') + '"'
        labels.append(f"{participant}\t{session}\tun informe, breve\t{cell}")
        sessions.setdefault(participant, ["session_id\tstudy_date"]).append(f"{session}\t{day}")
    for participant, lines in sessions.items():
        _write(root / f"{participant}/{participant}_sessions.tsv", "\n".join(lines))
    _write(root / f"{_image('ses-E01', 'abdomen')}.png")
    _write(root / "sub-S01/ses-E01/mod-ct/sub-S01_ses-E01_run-2_bp-chest_ct.nii.gz")
    _write(root / "derivatives/labels/labels_covid_posi.tsv", "\n".join(labels))
    _write(
        root / "derivatives/EHR/sil_reg_covid_posi.tsv",
        "participant\tdate\ttest\tresult\n"
        "sub-S02\t21.03.2020\tPCR\tPOSITIVO\n"  # twelve days before the study
        "sub-S01\t21.03.2020\tPCR\tNEGATIVO\n"
        "sub-S01\t01.05.2020\tIGG\tPOSITIVO\n",
    )
    people = "participant\tmodality_dicom\tage\tgender\n"
    people += "sub-S01\t['CR']\t[64, 65]\tM\nsub-S02\t['CR']\t[40, 50]\tF\nsub-S03\t['CR']\t[]\tNone\n"
    _write(root / "participants.tsv", people)
    return root


def _scan(folder: Path, *views: str) -> Listing:
    return SOURCES.get("bimcv").list_images(folder, ImportOptions(views=views))


def _findings(listing: Listing, session: str) -> dict[str, bool]:
    (text,) = [row.findings for row in listing.rows if row.study_id == session]
    return dict(json.loads(text or "{}"))


def test_reports_and_tests_make_the_labels(folder: Path) -> None:
    listing = _scan(folder)
    assert [(row.study_id, row.label, row.patient_id, row.view, row.sex, row.age) for row in listing.rows] == [
        ("ses-E01", "covid-19", "sub-S01", "AP", "M", 64),
        ("ses-E02", "normal", "sub-S01", "PA", "M", 64),
        ("ses-E03", "covid-19", "sub-S02", "PA", "F", None),
        ("ses-E05", "viral-pneumonia", "sub-S03", "PA", None, None),
    ]
    assert {name for name, present in _findings(listing, "ses-E01").items() if present} == {
        "covid-19",
        "consolidation",
        "pleural-effusion",
    }
    assert "covid-19" not in _findings(listing, "ses-E02")  # tested seven weeks later
    assert _findings(listing, "ses-E03")["covid-19"] and not _findings(listing, "ses-E03")["consolidation"]
    assert listing.rows[2].label_provenance == (
        "terms of the report (de la Iglesia Vayá 2020); COVID-19 by a positive test within 14 days"
    )
    fifth = _findings(listing, "ses-E05")
    assert fifth["viral-pneumonia"] and not {"covid-19", "pneumonia"} & {*fifth}
    assert listing.notes == ["1 images: COVID-19 by a positive test within 14 days"]


def test_what_stays_out_has_a_reason(folder: Path) -> None:
    assert {Path(dropped.file).name: dropped.reason for dropped in _scan(folder).dropped} == {
        "sub-S01_ses-E01_run-1_bp-abdomen_vp-ap_dx.png": "body part 'abdomen'",
        "sub-S01_ses-E01_run-2_bp-chest_ct.nii.gz": "not an image by its name (*.gz)",
        "sub-S02_ses-E04_run-1_bp-chest_vp-ll_dx.png": "view 'll', not stated to be frontal",
        "sub-S03_ses-E06_run-1_bp-chest_vp-pa_dx.png": "the labels of its report are damaged",
        "sub-S03_ses-E07_run-1_bp-chest_vp-pa_dx.png": "the publishers exclude it",
        "sub-S03_ses-E08_run-1_bp-chest_vp-pa_dx.png": (
            "its tags say MONOCHROME1: the values of its PNG show white as black"
        ),
    }
    assert [row.study_id for row in _scan(folder, "L").rows] == ["ses-E04"]


def test_the_negative_set_has_no_covid_19(folder: Path) -> None:
    labels = folder / "derivatives/labels/labels_covid_posi.tsv"
    labels.rename(labels.with_name("Labels_covid_NEG_JAN21.tsv"))
    (folder / "derivatives/EHR/sil_reg_covid_posi.tsv").unlink()
    listing = _scan(folder)
    assert _findings(listing, "ses-E02")["covid-19"] is False
    assert [row.label for row in listing.rows] == ["covid-19", "normal", "normal", "viral-pneumonia"]


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("derivatives/EHR/sil_reg_covid_posi.tsv", ("NEGATIVO", "NEGATIV"), r"row 3, column 'result': has 'NEGATIV'"),
        ("derivatives/EHR/sil_reg_covid_posi.tsv", ("21.03.2020\tPCR\tP", "21/03/2020\tPCR\tP"), r"Write it as 21\.03"),
        ("sub-S01/sub-S01_sessions.tsv", ("20200320", "20201320"), r"row 2: has the date '20201320'"),
        (f"{_image('ses-E01')}.json", ("{", "["), r"holds no DICOM tags as JSON"),
        (f"{_image('ses-E01')}.json", ('["MONOCHROME2"]', "null"), r"holds no DICOM tags as JSON"),
        ("participants.tsv", ("[64, 65]", "-5"), r"participants\.tsv, sub-S01, age: has '-5'"),
    ],
)
def test_bad_files_are_named(folder: Path, name: str, change: tuple[str, str], message: str) -> None:
    (folder / name).write_text((folder / name).read_text().replace(*change))
    with pytest.raises(ManifestError, match=message):
        _scan(folder)


def test_a_folder_without_labels_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ManifestError, match=r"has no derivatives/labels/labels_covid\*\.tsv"):
        _scan(tmp_path)


def test_rows_that_differ_are_no_choice_of_the_last_one(folder: Path) -> None:
    labels, people = folder / "derivatives/labels/labels_covid_posi.tsv", folder / "participants.tsv"
    labels.write_text(labels.read_text() + "\nsub-S01\tses-E02\tx\t\"['COVID 19']\"\nsub-S01\tses-E01\tagain\t")
    people.write_text(people.read_text() + "sub-S02\t['CR']\t[40]\tM\nsub-S01\t['CR']\t[64, 65]\tM\n")
    listing = _scan(folder)
    assert {row.study_id for row in listing.rows} == {"ses-E03", "ses-E05"}
    assert [each.reason for each in listing.dropped].count("its report stands in two rows that differ") == 2
    assert {row.patient_id: (row.age, row.sex) for row in listing.rows}["sub-S02"] == (None, None)
    assert "participants.tsv, row 5 differs from another row of 'sub-S02': unknown" in listing.notes


def test_an_assumed_encoding_is_said(folder: Path) -> None:
    labels = folder / "derivatives/labels/labels_covid_posi.tsv"
    labels.write_bytes(labels.read_text().replace("breve", "corazón").encode("latin-1"))
    assert "is read as cp1252" in _scan(folder).notes[0]
