"""What DICOMweb shows of the store: the objects that came from peers, by their kept headers, and the results made here.

Of an image the pixels are kept without a patient and the header is kept sealed; the object as it came is kept only by
a server that is set to that. Without it an image has metadata and can't be retrieved: its archive has it. A result is
kept as the file that it is, and can.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from io import BytesIO
from typing import Any

from sqlalchemy import select, tuple_

from pneumoscope.server.dicom.calling.association import PLAIN_SYNTAXES
from pneumoscope.server.dicom.objects.kept import read_copy
from pneumoscope.server.dicom.objects.sop_classes import WRITTEN
from pneumoscope.server.dicom.results.making import export_result, read_result
from pneumoscope.server.dicom.web.frames import MEDIA_TYPES
from pneumoscope.server.dicom.web.matching import ATTRIBUTES, Tags, WebQuery, list_values, split_uids
from pneumoscope.server.errors import ForbiddenError, NotFoundError
from pneumoscope.server.reading import shown
from pneumoscope.server.reading.reads import withheld_reason
from pneumoscope.server.storage.database import Store
from pneumoscope.server.storage.tables import ArchivedObject, Identity, KeptFile, ResultObject, Study
from pneumoscope.server.studies import lookup
from pneumoscope.server.studies.search_text import MOST_SEARCHED

MOST_EXAMINED = 20_000
"""Studies that one search opens; each is sealed, and has to be opened to be matched."""
_BATCH = 200
"""Studies that are opened at once."""


@dataclass(frozen=True, slots=True)
class WebObject:
    """An object that DICOMweb shows."""

    study: str
    """Number of its study."""
    tags: Tags
    result: bool
    """It was made here."""
    blob: str = ""
    """Number of the sealed file that an image came as; empty: it is not kept, or this is a result."""
    syntax: str = ""
    """UID of the transfer syntax in which it can be retrieved; empty: it can't."""

    def value(self, keyword: str) -> str:
        """Return the first value of an attribute of `ATTRIBUTES` as a text; empty where there is none."""
        return next(iter(list_values(self.tags, ATTRIBUTES[keyword].tag)), "")


@dataclass(frozen=True, slots=True)
class WebMatches:
    """What a search has found."""

    found: Sequence[dict[str, Any]]
    """As DICOM JSON."""
    complete: bool
    """False: the search ended at `MOST_EXAMINED`."""


def search(store: Store, query: WebQuery, base: str, reader: str) -> WebMatches:
    """Return what a query asks for, from the study that came last to the first.

    Results that the reader may not see yet are left out. Of the others no sequence is returned, since what a model said
    is in one, and this is not recorded as shown.

    Args:
        store: The store.
        query: What is asked for.
        base: Address of the service, for what can be retrieved.
        reader: Id of the account, which may see names.
    """
    of_study = {
        keyword: value
        for keyword, value in query.wanted.items()
        if ATTRIBUTES[keyword].level == "study" and keyword != "ModalitiesInStudy"
    }
    coarse, found = replace(query, wanted=of_study), list[dict[str, Any]]()
    left_out = examined = 0
    for batch in _list_studies(store, query):
        examined += len(batch)
        images, rows = _load_images(store, batch), _load_visible_rows(store, batch, reader)
        for study in batch:
            if not images[study] or not coarse.matches(images[study][0].tags):
                continue
            for tags in _list_level(store, query, images[study], rows[study], base):
                if not query.matches(tags):
                    continue
                if left_out < query.offset:
                    left_out += 1
                elif len(found) < query.limit:
                    found.append(query.pick(tags))
            if len(found) >= query.limit:
                return WebMatches(found, complete=True)
        if examined >= MOST_EXAMINED:
            return WebMatches(found, complete=False)
    return WebMatches(found, complete=True)


def find_objects(store: Store, study_uid: str, series_uid: str = "", sop_uid: str = "") -> list[WebObject]:
    """Return the objects of a study, a series, or one object; results that others supersede only by their own UID.

    Args:
        store: The store.
        study_uid: StudyInstanceUID.
        series_uid: SeriesInstanceUID; empty: all.
        sop_uid: SOPInstanceUID; empty: all.

    Raises:
        NotFoundError: There is none.
    """
    with store.read() as session:
        study = session.scalar(select(Study.id).where(Study.key == _study_key(store, study_uid)))
    if study is None:
        raise NotFoundError("object")
    rows = _load_result_rows(store, [study], superseded=bool(sop_uid))[study]
    objects = _load_images(store, [study])[study]
    objects += [_open_result(store, row) for row in rows if sop_uid in ("", row.sop_uid)]
    wanted = {"SeriesInstanceUID": series_uid, "SOPInstanceUID": sop_uid}
    kept = [one for one in objects if all(text in ("", one.value(keyword)) for keyword, text in wanted.items())]
    if not kept:
        raise NotFoundError("object")
    return kept


def read_metadata(store: Store, objects: Sequence[WebObject], reader: str, base: str) -> list[Tags]:
    """Return the metadata of objects of one study; results only to a reader who may see the answers by now.

    Args:
        store: The store.
        objects: Of one study.
        reader: Id of the account, which may see names.
        base: Address of the service, for pixels that can be retrieved.

    Raises:
        ForbiddenError: All of them are results that the reader may not see yet.
    """
    results = [one for one in objects if one.result]
    if results and (why := _show(store, results[0].study, reader)) is not None:
        if len(results) == len(objects):
            raise ForbiddenError("the result", f"is withheld: {why}.", code="withheld")
        objects = [one for one in objects if not one.result]
    return [{**one.tags, **_where_pixels_are(one, base)} for one in objects]


def list_files(store: Store, objects: Sequence[WebObject], reader: str) -> list[WebObject]:
    """Return those objects of one study that can be retrieved: results, and images whose files are kept.

    Args:
        store: The store.
        objects: Of one study.
        reader: Id of the account, which may see names; results are left out while it may not see the answers yet.

    Raises:
        NotFoundError: There is none among them.
        ForbiddenError: There are only results that the reader may not see yet.
    """
    files = [one for one in objects if one.syntax]
    if not files:
        raise NotFoundError("object", "is an image, and its file is not kept here.", "Ask the archive that sent it.")
    if not any(one.result for one in files):
        return files
    with store.read() as session:
        why = withheld_reason(session, store.settings, files[0].study, reader)
    seen = [one for one in files if why is None or not one.result]
    if not seen:
        raise ForbiddenError("the result", f"is withheld: {why}.", code="withheld")
    return seen


def read_file(store: Store, one: WebObject, reader: str) -> bytes:
    """Return an object of `list_files` as a DICOM file; of a result, record that the answers are shown.

    Raises:
        NotFoundError: It was erased meanwhile.
        ForbiddenError: The reader may not see the answers yet.
        DamagedError: It is gone or altered.
    """
    if one.result:
        return export_result(store, one.study, one.value("SOPInstanceUID"), reader)
    return read_copy(store, one.blob)


def find_addresses(store: Store, sop_uids: Sequence[str], base: str) -> dict[str, str]:
    """Return where images can be retrieved, by SOPInstanceUID; those whose files are not kept are left out.

    Args:
        store: The store.
        sop_uids: Of images that are here.
        base: Address of the service.
    """
    keys = {store.secret.lookup_key("object", sop_uid): sop_uid for sop_uid in sop_uids}
    query = select(ArchivedObject.study, ArchivedObject.sealed, ArchivedObject.key).join(
        KeptFile, KeptFile.key == ArchivedObject.key
    )
    with store.read() as session:
        rows = session.execute(query.where(ArchivedObject.key.in_(keys))).all()
    addresses = {}
    for row in rows:
        if tags := json.loads(store.secret.unseal_bytes(row.sealed, row.key)):
            addresses[keys[row.key]] = address_of(WebObject(row.study, tags, False), base)
    return addresses


def _show(store: Store, study: str, reader: str) -> str | None:
    """Record that a study's answers are shown; return why they are withheld, or None."""
    with store.write() as session:
        why = withheld_reason(session, store.settings, study, reader)
        if why is None:
            rows = [row for row in lookup.predictions_of(session, [study])[study] if row.result is not None]
            shown.record_display(session, rows, reader, "result")
    return why


def _list_studies(store: Store, query: WebQuery) -> Iterator[list[str]]:
    """Yield the numbers of the studies that may be asked for, those that came last first."""
    place = (Study.received, Study.id)
    candidates = select(*place).where(Study.id.in_(select(ArchivedObject.study)), Study.prior.is_(False))
    if "StudyInstanceUID" in query.wanted:
        uids = split_uids(query.wanted["StudyInstanceUID"])
        candidates = candidates.where(Study.key.in_([_study_key(store, uid) for uid in uids]))
    patient_id = query.wanted.get("PatientID", "*")
    if not set(patient_id) & set("*?"):
        candidates = candidates.where(Study.patient.in_(_find_patients(store, patient_id)))
    last: Any = None
    while True:
        batch = candidates if last is None else candidates.where(tuple_(*place) < last)
        with store.read() as session:
            rows = session.execute(batch.order_by(*(column.desc() for column in place)).limit(_BATCH)).all()
        if rows:
            yield [row.id for row in rows]
        if len(rows) < _BATCH:
            return
        last = tuple(rows[-1])


def _find_patients(store: Store, patient_id: str) -> list[str]:
    """Return the pseudonyms of the patients who have a number, of any issuer."""
    with store.read() as session:
        rows = session.execute(select(Identity.patient, Identity.sealed, Identity.key).limit(MOST_SEARCHED)).all()
    unseal = store.secret.unseal
    return [row.patient for row in rows if unseal(row.sealed, row.key)["patient_id"].strip() == patient_id.strip()]


def _load_images(store: Store, studies: Sequence[str]) -> dict[str, list[WebObject]]:
    """Return the objects that came from peers, by study; one whose header was too long to keep is left out."""
    images: dict[str, list[WebObject]] = {study: [] for study in studies}
    query = select(
        ArchivedObject.study, ArchivedObject.sealed, ArchivedObject.key, KeptFile.blob, KeptFile.syntax
    ).outerjoin(KeptFile, KeptFile.key == ArchivedObject.key)
    order = (ArchivedObject.received, ArchivedObject.key)
    with store.read() as session:
        rows = session.execute(query.where(ArchivedObject.study.in_(studies)).order_by(*order)).all()
    for row in rows:
        tags = json.loads(store.secret.unseal_bytes(row.sealed, row.key))
        if tags:
            # The kept header is in UTF-8, whatever the sender's character set was.
            tags |= _element("00080005", "CS", "ISO_IR 192")
            images[row.study].append(WebObject(row.study, tags, False, row.blob or "", row.syntax or ""))
    return images


def _load_result_rows(
    store: Store, studies: Sequence[str], *, superseded: bool = False
) -> dict[str, list[ResultObject]]:
    """Return the results of studies, the oldest first; those that were retracted never."""
    rows: dict[str, list[ResultObject]] = {study: [] for study in studies}
    states = ("current", "superseded") if superseded else ("current",)
    query = select(ResultObject).where(ResultObject.study.in_(studies), ResultObject.state.in_(states))
    with store.read() as session:
        for row in session.scalars(query.order_by(ResultObject.made, ResultObject.sop_uid)):
            rows[row.study].append(row)
    return rows


def _load_visible_rows(store: Store, studies: Sequence[str], reader: str) -> dict[str, list[ResultObject]]:
    """Return the results of studies that a reader may see by now."""
    rows = _load_result_rows(store, studies)
    with store.read() as session:
        for study, found in rows.items():
            if found and withheld_reason(session, store.settings, study, reader) is not None:
                found.clear()
    return rows


def _open_result(store: Store, row: ResultObject) -> WebObject:
    """Return a result with its tags, less its pixels."""
    from pydicom import dcmread

    data = dcmread(BytesIO(read_result(store, row.sop_uid)), stop_before_pixels=True)
    data.pop("EncapsulatedDocument", None)
    return WebObject(row.study, data.to_json_dict(), True, syntax=str(data.file_meta.TransferSyntaxUID))


def _without_sequences(one: WebObject) -> WebObject:
    return replace(one, tags={tag: element for tag, element in one.tags.items() if element["vr"] != "SQ"})


def _list_level(
    store: Store, query: WebQuery, images: Sequence[WebObject], rows: Sequence[ResultObject], base: str
) -> Iterator[dict[str, Any]]:
    """Yield the data sets of a study at the level of a query: the study itself, its series, or its objects."""
    study_uid = images[0].value("StudyInstanceUID")
    address = f"{base}/studies/{study_uid}"
    modalities = [one.value("Modality") for one in images]
    modalities += [WRITTEN[row.sop_class].modality for row in rows if row.sop_class in WRITTEN]
    shared = _element("00080061", "CS", *sorted({modality for modality in modalities if modality}))
    if query.level == "study":
        series = {one.value("SeriesInstanceUID") for one in images} | {row.series_uid for row in rows}
        shared |= _element("00201206", "IS", len(series)) | _element("00201208", "IS", len(images) + len(rows))
        if rows or any(one.syntax for one in images):
            shared |= _element("00081190", "UR", address)
        yield {**images[0].tags, **shared}
        return
    objects = [*images, *(_without_sequences(_open_result(store, row)) for row in rows)]
    if query.level == "instance":
        for one in objects:
            here = _element("00080056", "CS", "ONLINE") | _element("00081190", "UR", address_of(one, base))
            here |= _element("00083002", "UI", one.syntax)
            yield {**one.tags, **shared, **(here if one.syntax else _element("00080056", "CS", "UNAVAILABLE"))}
        return
    by_series: dict[str, list[WebObject]] = {}
    for one in objects:
        by_series.setdefault(one.value("SeriesInstanceUID"), []).append(one)
    for series_uid, members in by_series.items():
        kept = any(one.syntax for one in members)
        here = _element("00081190", "UR", f"{address}/series/{series_uid}") if kept else {}
        yield {**members[0].tags, **shared, **here, **_element("00201209", "IS", len(members))}


def _where_pixels_are(one: WebObject, base: str) -> Tags:
    """Return the element of an image's pixels, with the address at which they can be had; of other objects nothing."""
    if not one.blob or one.syntax not in MEDIA_TYPES:
        return {}
    # OB where the pixels are compressed, else OW, which 8 bits may have too (PS3.5 A.2 and 8.2).
    vr = "OW" if one.syntax in PLAIN_SYNTAXES else "OB"
    return {"7FE00010": {"vr": vr, "BulkDataURI": f"{address_of(one, base)}/frames/1"}}


def address_of(one: WebObject, base: str) -> str:
    """Return the address of an object.

    Args:
        one: The object.
        base: Address of the service.
    """
    study, series, sop = (one.value(f"{level}InstanceUID") for level in ("Study", "Series", "SOP"))
    return f"{base}/studies/{study}/series/{series}/instances/{sop}"


def _element(tag: str, vr: str, *values: object) -> dict[str, Any]:
    return {tag: {"vr": vr, "Value": list(values)}}


def _study_key(store: Store, study_uid: str) -> str:
    return store.secret.lookup_key("study", study_uid.encode())
