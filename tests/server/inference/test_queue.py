"""The queue: nothing lost, nothing doubled, whichever process dies; bounded; the answers are the model's own."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import func, select, update

from pneumoscope.bundle.runtime import load
from pneumoscope.core.errors import ImageError
from pneumoscope.server.api.problems import as_problem
from pneumoscope.server.errors import BusyError, ConflictError
from pneumoscope.server.inference import queue
from pneumoscope.server.inference.models import Catalogue
from pneumoscope.server.inference.runner import Result
from pneumoscope.server.settings import Settings
from pneumoscope.server.storage import blobs
from pneumoscope.server.storage.database import Store, now, open_store
from pneumoscope.server.storage.tables import Identity, Image, StoredPrediction, Study, Switch
from pneumoscope.server.studies.erasure import erase, remove_leftovers
from pneumoscope.server.uploads.archive import UploadedFile
from pneumoscope.server.uploads.decoder_pool import Decoder
from pneumoscope.server.uploads.outcome import AddedImage
from pneumoscope.server.uploads.rows import UploadRows
from pneumoscope.server.uploads.staging import StagedUpload
from server.client import step
from server.sample_files import dicom, png


@pytest.fixture
def model(models: Path) -> str:
    return load(models / "tiny").identity


def grey(value: float, side: int = 40) -> bytes:
    return png(value, side)


def add(store: Store, files: list[bytes], models: list[str], who: str) -> list[AddedImage]:
    return [image for image in add_all(store, files, models, who) if isinstance(image, AddedImage)]


def add_all(
    store: Store, files: list[bytes], models: Sequence[str] = (), who: str = "x"
) -> list[AddedImage | ImageError]:
    decoder = Decoder(store.settings.files, 10_000, Catalogue(store.settings.models))
    with StagedUpload(store) as staged:
        for number, data in enumerate(files, 1):
            staged.add(decoder, UploadedFile(f"file {number}", lambda data=data: data))
        added = store.commit(lambda session: UploadRows(store, session, models, who).add(staged.files), exclusive=True)
        staged.named = {image.image for image in added if isinstance(image, AddedImage)}
    return added


def claim(store: Store, *names: str) -> list[queue.Claim]:
    return store.commit(lambda session: queue.claim(store, session, names))


def finish(store: Store, claimed: queue.Claim, result: dict[str, str]) -> bool:
    return store.commit(lambda session: queue.finish(session, queue.FinishedClaim(claimed, Result(result, None))))


def release(store: Store, claims: list[queue.Claim], *, counted: bool) -> int:
    return store.commit(lambda session: queue.release(session, claims, counted=counted))


def states(store: Store) -> list[str]:
    with store.read() as session:
        return sorted(session.scalars(select(StoredPrediction.state)))


def test_the_answer_is_the_models_own(store: Store, model: str, models: Path, tmp_path: Path) -> None:
    (added,) = add(store, [grey(0.8)], [model], "x")
    assert step(store, Catalogue(models))
    (tmp_path / "a.png").write_bytes(png(0.8))
    expected = load(models / "tiny").predict_file(tmp_path / "a.png")
    with store.read() as session:
        row = session.get_one(StoredPrediction, added.predictions[0].id)
    assert row.result is not None
    assert tuple(row.result["probabilities"].values()) == expected.probabilities
    assert row.result["decision"] == expected.decision == "covid-19"
    assert row.result["ood"] == expected.ood
    assert row.result["heatmap_shape"] == [3, 4, 4]
    assert row.heatmap is not None
    assert len(row.heatmap) == 3 * 4 * 4 * 4


def test_what_is_unlike_all_is_refused_with_its_reason(store: Store, model: str, models: Path) -> None:
    add(store, [grey(1.0)], [model], "x")  # ood 16 * .25 = 4 > 3.5
    step(store, Catalogue(models))
    with store.read() as session:
        result = session.scalars(select(StoredPrediction)).one().result
    assert result is not None
    assert result["decision"] is None
    assert "out-of-distribution" in result["reason"]


def test_claims_of_many_workers_never_meet(shared_store: Store, model: str) -> None:
    files = [grey(0.5, 20 + n) for n in range(12)]
    add(shared_store, files, [model], "x")
    claimed: list[str] = []
    barrier = threading.Barrier(4)

    def take(name: str) -> None:
        barrier.wait()
        with shared_store.write() as session:
            first = queue.claim(shared_store, session, [name])
        claimed.extend(each.prediction for each in first)
        while found := claim(shared_store, name, name):
            claimed.extend(each.prediction for each in found)

    threads = [threading.Thread(target=take, args=(f"w{n}",)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    # A worker may stop early where others held all rows that it saw; nobody may have got a row twice.
    while found := claim(shared_store, "last"):
        claimed.extend(each.prediction for each in found)
    assert len(claimed) == 12
    assert len(set(claimed)) == 12


def test_a_dead_workers_claim_passes_on_and_its_late_answer_is_void(shared_store: Store, model: str) -> None:
    add(shared_store, [grey(0.5)], [model], "x")
    (first,) = claim(shared_store, "dead")
    assert claim(shared_store, "alive") == []  # the lease still runs
    with shared_store.write() as session:
        session.execute(update(StoredPrediction).values(lease=now() - 1))
    (second,) = claim(shared_store, "alive")
    assert second == replace(first, worker="alive")
    assert not finish(shared_store, first, {"by": "dead"})
    assert finish(shared_store, second, {"by": "alive"})
    assert not finish(shared_store, second, {"by": "again"})
    with shared_store.read() as session:
        assert session.scalars(select(StoredPrediction)).one().result == {"by": "alive"}


def test_a_beat_keeps_the_lease(store: Store, model: str) -> None:
    add(store, [grey(0.5)], [model], "x")
    claim(store, "slow")
    with store.write() as session:
        session.execute(update(StoredPrediction).values(lease=now() - 1))
    store.commit(lambda session: queue.renew(store, session, ["slow"]))
    assert claim(store, "other") == []


def test_an_image_that_takes_workers_with_it_is_given_up(store: Store, model: str) -> None:
    add(store, [grey(0.5)], [model], "x")
    for number in range(store.settings.attempts):
        jobs = claim(store, f"w{number}")
        assert release(store, jobs, counted=True) == 1
    assert claim(store, "last") == []
    assert states(store) == ["failed"]


def test_what_a_worker_had_not_begun_is_not_held_against_the_image(store: Store, model: str) -> None:
    add(store, [grey(0.5)], [model], "x")
    for _ in range(store.settings.attempts + 1):
        assert release(store, claim(store, "w"), counted=False) == 1
    assert len(claim(store, "w")) == 1


def test_a_server_that_starts_again_need_not_wait_for_leases(store: Store, model: str) -> None:
    add(store, [grey(0.5)], [model], "x")
    (before,) = claim(store, "killed")
    queue.requeue_running(store)
    (again,) = claim(store, "new")
    assert again.prediction == before.prediction
    assert not finish(store, before, {"by": "killed"})


def test_a_server_that_is_killed_again_and_again_gives_nothing_up(store: Store, model: str) -> None:
    add(store, [grey(0.5)], [model], "x")
    for _ in range(store.settings.attempts + 1):
        assert len(claim(store, "killed")) == 1
        queue.requeue_running(store)
    assert len(claim(store, "alive")) == 1


def test_leases_that_run_out_are_no_attempts(shared_store: Store, model: str) -> None:
    add(shared_store, [grey(0.5)], [model], "x")
    for number in range(shared_store.settings.attempts + 2):
        assert len(claim(shared_store, f"server {number}")) == 1
        with shared_store.write() as session:
            session.execute(update(StoredPrediction).values(lease=now() - 1))


def test_the_queue_is_bounded_and_a_full_one_takes_nothing(settings: Settings, model: str) -> None:
    store = open_store(replace(settings, queue_limit=2))
    add(store, [grey(0.5)], [model], "x")
    with pytest.raises(BusyError) as caught:
        add(store, [grey(0.6), grey(0.7)], [model], "x")
    problem = as_problem(caught.value)
    assert problem is not None
    assert problem.status == 429
    assert int(problem.headers["Retry-After"]) > 0
    with store.read() as session:
        assert session.scalar(select(func.count()).select_from(Image)) == 1
    assert len(list(settings.files.glob("*/*.png"))) == 1  # of the one that was accepted
    store.close()


def test_the_same_file_again_is_the_same_image_and_is_asked_once(store: Store, model: str) -> None:
    (first,) = add(store, [grey(0.5)], [model], "x")
    (again,) = add(store, [grey(0.5)], [model], "x")
    assert (again.image, again.study, again.duplicate, again.predictions) == (first.image, first.study, True, ())
    both = add(store, [grey(0.6), grey(0.6)], [model], "x")
    assert both[0].image == both[1].image
    assert len(states(store)) == 2


def test_images_of_one_examination_are_one_study_of_one_patient(store: Store) -> None:
    files = [dicom({"InstanceNumber": n}, 1000 + n) for n in range(2)]
    other = dicom({"StudyInstanceUID": "2.25.99"})
    stranger = dicom({"StudyInstanceUID": "2.25.98", "IssuerOfPatientID": "Elsewhere"})
    added = add(store, [*files, other, stranger], [], "x")
    assert added[0].study == added[1].study != added[2].study
    with store.read() as session:
        patients = {each.study: session.get_one(Study, each.study).patient for each in added}
        assert patients[added[0].study] == patients[added[2].study] != patients[added[3].study]
        sealed = session.scalars(select(Identity)).all()
    assert len(sealed) == 2
    assert all(b"Doe" not in row.sealed for row in sealed)


@pytest.mark.parametrize("tags", [{"PatientID": "4712"}, {"IssuerOfPatientID": "Elsewhere"}, {"PatientID": ""}])
@pytest.mark.parametrize("together", [True, False])
def test_a_study_has_one_patient(store: Store, tags: dict[str, str], together: bool) -> None:
    """A file of one patient under the number of another's study is refused, not shown as that patient's."""
    files = [dicom(), dicom(tags)]
    upload, refusal = add_all(store, files) if together else [add_all(store, [file])[0] for file in files]
    assert isinstance(upload, AddedImage)
    assert isinstance(refusal, ImageError)
    assert "a study has one patient" in refusal.problem
    with store.read() as session:
        assert list(session.scalars(select(Image.id))) == [upload.image]
        assert len(session.scalars(select(Identity)).all()) == 1
    assert [path.name for path in store.settings.files.glob("*/*")] == [f"{upload.image}.png"]


def test_a_model_that_is_switched_off_answers_nothing_more(store: Store, model: str, models: Path) -> None:
    add(store, [grey(0.5)], [model], "x")
    (running,) = claim(store, "busy")
    add(store, [grey(0.6)], [model], "x")
    with store.write() as session:
        session.add(Switch(model=model, on=False, reason="recalled", by="x", at=now()))
    assert finish(store, running, {"decision": "covid-19"})
    step(store, Catalogue(models))
    assert states(store) == ["failed", "failed"]
    with pytest.raises(ConflictError, match="switched off"):
        add(store, [grey(0.7)], [model], "x")


def test_altered_pixels_are_not_answered(store: Store, model: str, models: Path) -> None:
    (added,) = add(store, [grey(0.5)], [model], "x")
    blobs.path_of(store.settings.files, added.image).write_bytes(png(0.9))
    step(store, Catalogue(models))
    assert states(store) == ["failed"]
    with store.read() as session:
        result = session.scalars(select(StoredPrediction.result)).one()
    assert result is not None
    assert result["codes"] == ["image-altered"]  # by which a page says it in its own language


def test_erasing_leaves_no_trace_of_the_patient(store: Store, model: str, models: Path) -> None:
    (added,) = add(store, [dicom()], [model], "x")
    step(store, Catalogue(models))
    erasure = erase(store, [added.study])
    assert (erasure.studies, erasure.images, erasure.predictions) == (1, 1, 1)
    with store.read() as session:
        for table in (Study, Image, StoredPrediction, Identity):
            assert session.scalar(select(func.count()).select_from(table)) == 0
    assert not list(store.settings.files.glob("*/*"))
    (second,) = add(store, [dicom()], [], "x")
    assert not second.duplicate


def test_files_that_a_crash_left_behind_are_swept(store: Store) -> None:
    (added,) = add(store, [grey(0.5)], [], "x")
    blobs.write_pixels(store.settings.files, "deadbeef", b"left over")
    with store.read() as session:
        images = set(session.scalars(select(Image.id)))
    assert blobs.remove_orphans(store.settings.files, images.__contains__, older_than=-1) == 1
    assert blobs.path_of(store.settings.files, added.image).is_file()
    assert remove_leftovers(store) == 0
