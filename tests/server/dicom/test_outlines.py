"""Lungs and heart as segments and lines: where they are, what dciodvfy and dcmtk find, and what is never drawn."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest

from pneumoscope.bundle.lungs import builtin_lungs
from pneumoscope.server.dicom.objects.analysed import SERIES, load_header
from pneumoscope.server.dicom.objects.place import Place, finish
from pneumoscope.server.dicom.results.making import make_results, read_result
from pneumoscope.server.dicom.results.outlines import draw_mask, find_lungs, find_outlines, trace_lines
from pneumoscope.server.dicom.results.plans import kinds_of
from pneumoscope.server.dicom.results.sources import ImageAnswer, SourceImage
from pneumoscope.server.settings import DicomSettings, Settings
from pneumoscope.server.storage.tables import ResultObject, StoredPrediction
from pneumoscope.server.uploads.headers import read_header
from pneumoscope.stats.segmentation import measure_dice
from server.client import predict_all, serve_client
from server.dicom.result_tools import find_faults, node_of, receive
from server.dicom.test_results import FIRST
from server.sample_files import dicom

highdicom = pytest.importorskip("highdicom", reason="no highdicom: pip install 'pneumoscope[pacs]'")

HEIGHT, WIDTH = 32, 24
ROWS = [[], [], [1, 3, 5, 7], [1, 3, 5, 7], [1, 3, 5, 7], [1, 3], [], []]
LUNGS = {"side": 8, "rows": ROWS, "graph": "ab" * 32}
HEART = {"side": 8, "rows": [[], [], [], [3, 5], [3, 6], [3, 5], [], []], "graph": "ab" * 32}
PLACE = Place("1.2.3.4", "1.2.3.5", 9901, 1, None)


def answer_of(tags: dict[str, Any] | None = None, **result: Any) -> ImageAnswer:
    header = load_header(read_header(dicom(tags), "drawn", 2**20).json)
    return ImageAnswer(
        SourceImage("1", header, "00", "11", WIDTH, HEIGHT), {"refused": False, "lungs": LUNGS, **result}, 0.0
    )


def square_of(answer: ImageAnswer) -> Any:
    square = find_lungs(answer)
    assert square is not None
    return square


def cells_of(stored: dict[str, Any]) -> Any:
    square = np.zeros((8, 8), bool)
    for row, runs in enumerate(stored["rows"]):
        for start, end in zip(runs[::2], runs[1::2], strict=True):
            square[row, start:end] = True
    return square


def write(answer: ImageAnswer, kind: str) -> bytes:
    from pneumoscope.server.dicom.results.presentation import write_presentation
    from pneumoscope.server.dicom.results.segmentation import write_segmentation

    made = {"SEG": write_segmentation, "PR": write_presentation}[kind](answer, find_outlines(answer), PLACE)
    return finish(made, answer.source.header, "lungs", answer.finished)


def test_a_segmentation_has_the_lungs_on_the_images_pixels(tmp_path: Path) -> None:
    data = write(answer_of(), "SEG")
    assert find_faults(data, tmp_path) == []
    read = highdicom.seg.segread(BytesIO(data))
    mask = read.get_pixels_by_source_instance([FIRST_UID := answer_of().source.header.SOPInstanceUID])[0, :, :, 0]
    assert mask.shape == (HEIGHT, WIDTH)
    # A cell of the square is 4 rows x 3 columns: its centre is inside, and far from the lungs nothing is.
    assert np.array_equal(mask[2::4, 1::3].astype(bool), cells_of(LUNGS))
    (segment,) = read.SegmentSequence
    assert (segment.SegmentLabel, segment.SegmentAlgorithmType) == ("Lungs", "AUTOMATIC")
    assert segment.SegmentedPropertyTypeCodeSequence[0].CodeMeaning == "Lung"
    (algorithm,) = segment.SegmentationAlgorithmIdentificationSequence
    assert (algorithm.AlgorithmName, algorithm.AlgorithmVersion) == ("Pneumoscope lungs", "ab" * 6)
    assert read.SeriesDescription == SERIES
    assert FIRST_UID in str(read.SourceImageSequence)


def test_the_heart_is_a_segment_and_a_layer_of_its_own(tmp_path: Path) -> None:
    answer = answer_of(heart=HEART)
    data = write(answer, "SEG")
    assert find_faults(data, tmp_path) == []
    read = highdicom.seg.segread(BytesIO(data))
    masks = read.get_pixels_by_source_instance([answer.source.header.SOPInstanceUID], segment_numbers=[1, 2])[0]
    for number, stored in enumerate((LUNGS, HEART)):
        assert np.array_equal(masks[2::4, 1::3, number].astype(bool), cells_of(stored))
    codes = [
        (segment.SegmentLabel, segment.SegmentedPropertyTypeCodeSequence[0].CodeValue)
        for segment in read.SegmentSequence
    ]
    assert codes == [("Lungs", "39607008"), ("Heart", "80891009")]  # SNOMED CT: lung, heart (PS3.16 CID 7166)
    assert all("not checked" in segment.SegmentDescription for segment in read.SegmentSequence)
    data = write(answer, "PR")
    assert find_faults(data, tmp_path) == []
    state = pydicom.dcmread(BytesIO(data))
    lines = {item.GraphicLayer: len(item.GraphicObjectSequence) for item in state.GraphicAnnotationSequence}
    assert lines == {"AI LUNGS": 2, "AI HEART": 1}
    assert {layer.GraphicLayer for layer in state.GraphicLayerSequence} == set(lines)
    (outline,) = state.GraphicAnnotationSequence[1].GraphicObjectSequence
    columns, rows = np.array(outline.GraphicData).reshape(-1, 2).T
    # The middles of the first and the last cell: between them, and not far beyond, runs the line.
    assert 2.5 * 3 <= columns.min() <= 3.5 * 3 and 5 * 3 <= columns.max() <= 6 * 3
    assert 2.5 * 4 <= rows.min() <= 3.5 * 4 and 5 * 4 <= rows.max() <= 6 * 4


def test_another_heart_is_another_object_and_no_heart_changes_nothing_else(settings: Settings) -> None:
    with serve_client(node_of(settings)) as client:
        context = client.app.state.context
        study = receive(client, dicom(FIRST)).study
        predict_all(client)
        made = []
        for heart in (None, HEART, {**HEART, "rows": HEART["rows"][::-1]}):
            with context.store.write() as session:
                row = session.query(StoredPrediction).one()
                row.result = {**row.result, "refused": False, "lungs": LUNGS, "heart": heart}
            made += make_results(context.store, context.catalogue, study, ["segmentation"])
        assert len(set(made)) == 3
        read = [pydicom.dcmread(BytesIO(read_result(context.store, sop_uid))) for sop_uid in made]
        assert [len(one.SegmentSequence) for one in read] == [1, 2, 2]
        assert [one.ContentLabel for one in read] == ["LUNGS", "LUNGS_HEART", "LUNGS_HEART"]


@pytest.mark.parametrize("result", [{}, {"heart": None}, {"heart": {"side": 8, "rows": [[]] * 8}}])
def test_where_there_is_no_heart_there_are_the_lungs_alone(result: dict[str, Any]) -> None:
    assert [outline.structure for outline in find_outlines(answer_of(**result))] == ["lungs"]


def test_a_heart_without_lungs_is_not_drawn() -> None:
    assert find_outlines(answer_of(lungs=None, heart=HEART)) == ()


def test_lines_enclose_what_the_mask_covers() -> None:
    square = square_of(answer_of())
    lines = trace_lines(square, 800, 600)
    assert len(lines) == 2
    areas = []
    for line in lines:
        assert np.array_equal(line[0], line[-1])
        x, y = line[:, 0], line[:, 1]
        areas.append(abs(np.sum(x[:-1] * y[1:] - x[1:] * y[:-1])) / 2)  # the shoelace formula
    assert sum(areas) == pytest.approx(draw_mask(square, 800, 600).sum(), rel=0.02)


def test_lines_at_the_edge_of_the_picture_are_closed() -> None:
    lines = trace_lines(np.ones((8, 8), bool), 80, 80)
    assert len(lines) == 1
    assert lines[0].min() == 0
    assert lines[0].max() == 80


@pytest.mark.parametrize(("photometric", "shape"), [("MONOCHROME1", "INVERSE"), ("MONOCHROME2", "IDENTITY")])
def test_a_presentation_state_draws_the_outline(photometric: str, shape: str, tmp_path: Path) -> None:
    answer = answer_of({"PhotometricInterpretation": photometric})
    data = write(answer, "PR")
    assert find_faults(data, tmp_path) == []
    state = pydicom.dcmread(BytesIO(data))
    (annotation,) = state.GraphicAnnotationSequence
    assert [item.GraphicType for item in annotation.GraphicObjectSequence] == ["POLYLINE", "POLYLINE"]
    assert SERIES in annotation.TextObjectSequence[0].UnformattedTextValue
    assert state.PresentationLUTShape == shape
    (series,) = state.ReferencedSeriesSequence
    assert series.ReferencedImageSequence[0].ReferencedSOPInstanceUID == answer.source.header.SOPInstanceUID
    if shutil.which("dcmpschk") is None:
        pytest.skip("no dcmpschk: apt-get install dcmtk")
    judged = subprocess.run(["dcmpschk", str(tmp_path / "judged.dcm")], capture_output=True, text=True, timeout=60)
    assert "Test passed" in judged.stdout + judged.stderr, judged.stdout + judged.stderr


@pytest.mark.parametrize(
    "result", [{"refused": True}, {"error": "it failed"}, {"lungs": None}, {"lungs": {"side": 8, "rows": [[]] * 8}}]
)
def test_where_there_are_no_lungs_nothing_is_drawn(result: dict[str, Any]) -> None:
    assert find_lungs(answer_of(**result)) is None


def test_nothing_is_drawn_on_an_image_of_another_size() -> None:
    answer = answer_of()
    answer.source.header.Rows = 64
    assert find_lungs(answer) is None


@pytest.mark.parametrize(
    "tags",
    [
        {"WindowCenter": [2000, 1000], "WindowWidth": [100, 0]},
        {"WindowCenter": 2000},
        {"RescaleSlope": "2"},
        {"PixelSpacing": ["0.000", "0.000"]},
        {"PatientOrientation": ["L"]},
        {"FrameOfReferenceUID": "1.2.3"},
        {"LossyImageCompression": "01"},
    ],
)
@pytest.mark.parametrize("kind", ["SEG", "PR"])
@pytest.mark.filterwarnings("ignore")
def test_values_without_a_meaning_stop_no_object(tags: dict[str, Any], kind: str, tmp_path: Path) -> None:
    assert find_faults(write(answer_of(tags), kind), tmp_path) == []


def test_outlines_are_made_for_each_image(settings: Settings) -> None:
    with serve_client(node_of(settings)) as client:
        context = client.app.state.context
        study = receive(client, dicom(FIRST)).study
        predict_all(client)
        with context.store.write() as session:
            answer = session.query(StoredPrediction).one()
            answer.result = {**answer.result, "lungs": LUNGS}
        kinds = ["report", "segmentation", "presentation"]
        made = make_results(context.store, context.catalogue, study, kinds)
        assert make_results(context.store, context.catalogue, study, kinds) == made
        with context.store.read() as session:
            rows = [session.get_one(ResultObject, sop_uid) for sop_uid in made]
        assert [row.kind for row in rows] == kinds
        assert len({row.series_uid for row in rows}) == 3
        for row in rows:
            read = pydicom.dcmread(BytesIO(read_result(context.store, row.sop_uid)))
            assert (read.SOPInstanceUID, read.SOPClassUID, read.SeriesInstanceUID) == (
                row.sop_uid,
                row.sop_class,
                row.series_uid,
            )
            assert (read.StudyInstanceUID, str(read.PatientName)) == (FIRST["StudyInstanceUID"], "Doe^Jane")


def test_outlines_of_an_image_that_a_later_answer_refuses_are_set_aside(settings: Settings) -> None:
    with serve_client(node_of(settings)) as client:
        context = client.app.state.context
        study = receive(client, dicom(FIRST)).study
        predict_all(client)

        def answer(**values: Any) -> list[str]:
            with context.store.write() as session:
                row = session.query(StoredPrediction).one()
                row.result = {**row.result, "lungs": LUNGS, "refused": False, **values}
            return make_results(context.store, context.catalogue, study, ["segmentation"])

        def state_of(sop_uid: str) -> str:
            with context.store.read() as session:
                return str(session.get_one(ResultObject, sop_uid).state)

        (made,) = answer()
        assert answer(refused=True) == []
        assert state_of(made) == "superseded"
        assert answer() == [made]
        assert state_of(made) == "current"
        (other,) = answer(lungs={**LUNGS, "rows": ROWS[::-1]})
        assert (state_of(made), state_of(other)) == ("superseded", "current")


def compare_segments(data: bytes, file: Path) -> None:
    """The segments, read by highdicom, are the masks of lungs and heart in the size of the picture."""
    read = highdicom.seg.segread(BytesIO(data))
    image = pydicom.dcmread(file, stop_before_pixels=True)
    numbers = [segment.SegmentNumber for segment in read.SegmentSequence]
    masks = read.get_pixels_by_source_instance([image.SOPInstanceUID], segment_numbers=numbers)[0]
    outlines = builtin_lungs().outline(file)
    assert [segment.SegmentLabel for segment in read.SegmentSequence] == ["Lungs", "Heart"]
    for number, structure in enumerate(("lungs", "heart")):
        drawn = outlines.mask(structure)
        assert masks.shape[:2] == drawn.shape
        # The stored squares are of whole cells; the edge of the graph's own mask goes through them.
        assert measure_dice(masks[..., number].astype(bool), drawn) > 0.98


@pytest.mark.shared
def test_real_radiographs_become_objects_without_faults(settings: Settings, shared: Path, tmp_path: Path) -> None:
    asked = DicomSettings(port=0, models=("opacity",), capture=True)
    kinds = kinds_of(asked)
    with serve_client(replace(settings, dicom=asked)) as client:
        context = client.app.state.context
        for name in ("CR_konica_monochrome1_jpeg.dcm", "RG1_J2KI.dcm"):
            study = receive(client, (shared / "data" / "dicom" / name).read_bytes()).study
            predict_all(client)
            read = {"stage": "aided", "state": "final", "text": "No finding."}
            assert client("POST", f"/api/studies/{study}/reads", json=read).status_code == 201
            made = make_results(context.store, context.catalogue, study, kinds)
            assert len(made) == len(kinds)
            for sop_uid in made:
                assert find_faults(read_result(context.store, sop_uid), tmp_path) == [], name
            compare_segments(
                read_result(context.store, made[kinds.index("segmentation")]), shared / "data/dicom" / name
            )
