"""Secondary captures: only where asked for, with the words that it is research in the pixels themselves."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest

from pneumoscope.core.errors import UsageError
from pneumoscope.server.dicom.objects.analysed import SERIES, find_unsuitability
from pneumoscope.server.dicom.results.making import make_results, read_result
from pneumoscope.server.dicom.results.plans import kinds_of
from pneumoscope.server.settings import DicomSettings, Settings
from pneumoscope.server.storage.tables import StoredPrediction
from pneumoscope.server.uploads.headers import read_header
from server.client import Client, predict_all, serve_client
from server.dicom.result_tools import find_faults, node_of, receive
from server.dicom.test_outlines import HEIGHT, LUNGS, WIDTH
from server.dicom.test_results import FIRST
from server.sample_files import dicom

pytest.importorskip("highdicom", reason="no highdicom: pip install 'pneumoscope[pacs]'")


def capture(client: Client, tags: dict[str, Any], **result: Any) -> bytes:
    context = client.app.state.context
    study = receive(client, dicom({**FIRST, **tags})).study
    predict_all(client)
    with context.store.write() as session:
        answer = session.query(StoredPrediction).filter_by(study=study).one()
        answer.result = {**answer.result, **result}
    (made,) = make_results(context.store, context.catalogue, study, ["capture"])
    return read_result(context.store, made)


def test_a_capture_has_its_words_above_and_below_the_picture(settings: Settings, tmp_path: Path) -> None:
    with serve_client(node_of(settings, capture=True)) as client:
        data = capture(client, {"BodyPartExamined": "CHEST"}, lungs=LUNGS)
    assert find_faults(data, tmp_path) == []
    read = pydicom.dcmread(BytesIO(data))
    assert (read.SeriesDescription, read.Modality, read.ImageType[:2]) == (SERIES, "OT", ["DERIVED", "SECONDARY"])
    assert read.BurnedInAnnotation == "NO"  # the words name no patient, see PS3.3 C.7.6.1.1.3
    pixels = read.pixel_array
    top, bottom = pixels[: -HEIGHT - 52], pixels[-52:]
    assert pixels.shape[1] == 640
    for band in (top, bottom):
        assert 0.002 < (band > 128).mean() < 0.2  # letters on black
    (first_line,) = [top[:36]]
    assert np.array_equal(first_line[10:36, :300], bottom[10:36, :300])  # the same words


def test_a_capture_is_never_analysed(settings: Settings) -> None:
    with serve_client(node_of(settings, capture=True)) as client:
        data = capture(client, {})
    header = read_header(data, "capture", 2**24)
    assert find_unsuitability(header) is not None


def test_where_a_source_says_nothing_of_burnt_in_names_nothing_is_said(settings: Settings) -> None:
    with serve_client(node_of(settings, capture=True)) as client:
        data = capture(client, {"BurnedInAnnotation": ""})
    assert "BurnedInAnnotation" not in pydicom.dcmread(BytesIO(data))


def test_a_refusal_is_a_picture_with_its_reason(settings: Settings) -> None:
    with serve_client(node_of(settings, capture=True)) as client:
        plain = pydicom.dcmread(BytesIO(capture(client, {}))).pixel_array
        reason = "it is a lateral, and this model judges frontal chests alone; " * 6
        other = {"SOPInstanceUID": "1.2.9", "StudyInstanceUID": "1.2.8", "PatientID": "4712"}
        refused = capture(client, other, refused=True, reason=reason, codes=["lateral"])
    assert pydicom.dcmread(BytesIO(refused)).pixel_array.shape[0] > plain.shape[0] >= HEIGHT
    assert plain.shape[1] > WIDTH


def test_captures_are_made_only_where_asked_for(settings: Settings) -> None:
    assert "capture" not in kinds_of(DicomSettings())
    assert "capture" in kinds_of(DicomSettings(capture=True))
    with serve_client(node_of(settings)) as client:
        context = client.app.state.context
        study = receive(client, dicom(FIRST)).study
        predict_all(client)
        with pytest.raises(UsageError, match="not made on this server"):
            make_results(context.store, context.catalogue, study, ["capture"])
