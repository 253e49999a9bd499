"""BIMCV-COVID19+ and -: patients of the Valencian region with a positive test, or none, and coded reports.

de la Iglesia Vayá et al., BIMCV COVID-19+: a large annotated dataset of RX and CT images from COVID-19 patients,
arXiv:2006.01174, 2020. Layout (MIDS): ``covid19_posi/sub-S*/ses-E*/mod-rx/sub-S*_ses-E*_..._bp-chest_vp-ap_dx.png``
with a ``.json`` of DICOM tags beside each image; ``derivatives/labels/labels_covid_posi.tsv`` (``PatientID``,
``ReportID``: the session, ``Labels``: terms of PadChest, COVID 19 and COVID 19 uncertain);
``derivatives/EHR/sil_reg_covid_posi.tsv`` (``participant``, ``date`` as 21.03.2020, ``test``, ``result``);
``participants.tsv`` (``participant``, ``age``, ``gender``); ``sub-S*/sub-S*_sessions.tsv`` (``session_id``,
``study_date``). ``covid19_neg`` is laid out in the same way, without tests. One folder holds one of both sets or both.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from pathlib import Path

from pneumoscope.core.arguments import quote
from pneumoscope.core.errors import ManifestError
from pneumoscope.core.labels import LabelSet
from pneumoscope.core.registry import suggestion
from pneumoscope.data.cells import CellReader, cell_text
from pneumoscope.data.finding_rows import NOTHING_STATED, stated_label, without_contradictions
from pneumoscope.data.findings import write_findings
from pneumoscope.data.padchest_terms import EXCLUDED, NORMAL, UNCLEAR, find_findings
from pneumoscope.data.source import ImportOptions, Listing, Row, Source, files_under, relative_name
from pneumoscope.data.source_table import SourceTable, read_table
from pneumoscope.imaging.files import why_not_image

LICENSE = "BIMCV-COVID19 Research Use Agreement; cite de la Iglesia Vayá 2020"
PROVENANCE = "terms of the report (de la Iglesia Vayá 2020)"
WINDOW = 14
"""Days between a positive test and a study, before or after, within which the study counts as one of COVID-19."""

VIEWS = {"pa": "PA", "ap": "AP", "ll": "L", "lateral": "L", "lat": "L"}
"""``vp-`` in a file's name -> view."""
_IMAGE = re.compile(r"(sub-[^_]+)_(ses-[^_]+)_(?:.*_)?bp-([a-z]+)(?:_vp-([a-z]+))?_(?:cr|dx|rx)", re.IGNORECASE)
_LABELS = re.compile(r"labels_covid\w*\.tsv", re.IGNORECASE)
_TESTS = re.compile(r"sil_reg_covid\w*\.(?:tsv|txt)", re.IGNORECASE)
_TERM = re.compile(r"'([^']*)'|\"([^\"]*)\"")
_LIST = re.compile(r"\[\s*(?:(?:'[^']*'|\"[^\"]*\")[\s,]*)*\]")
_AGES = re.compile(r"\[?(?:\s*(?:\d+(?:\.\d+)?|nan|None)\s*(?:,|$|(?=\])))*\]?", re.IGNORECASE)
_RESULTS = {"POSITIVO": True, "NEGATIVO": False, "INDETERMINADO": None}
_COVID, _UNCERTAIN, _VIRAL = "covid 19", "covid 19 uncertain", "viral pneumonia"
_PHOTOMETRIC = "00280004"  # PhotometricInterpretation (PS3.3 C.7.6.3.1.2), as DICOM's JSON names tags


@dataclass
class BimcvTables:
    """The tables of a folder.

    Args:
        reports: Session -> terms of its report in lower case; None where the cell is damaged.
        negative: Sessions of the set of patients without a positive test.
        positive_days: Participant -> dates of positive tests.
        dates: Session -> date of the study.
        people: Participant -> age and sex, as cells.
        contradicted: Sessions whose report stands in two rows that differ.
        files: All files that were read.
        notes: What had to be decided to read them.
    """

    reports: dict[str, tuple[str, ...] | None] = field(default_factory=dict)
    negative: set[str] = field(default_factory=set)
    positive_days: dict[str, list[date]] = field(default_factory=dict)
    dates: dict[str, date] = field(default_factory=dict)
    people: dict[str, tuple[str, str]] = field(default_factory=dict)
    contradicted: set[str] = field(default_factory=set)
    files: set[Path] = field(default_factory=set)
    notes: list[str] = field(default_factory=list)

    def read(self, path: Path) -> SourceTable:
        """Read a table, and keep what had to be decided to read it."""
        table = read_table(path)
        self.notes += table.notes
        return table


def scan(folder: Path, options: ImportOptions) -> Listing:
    """List the frontal radiographs of the chest; laterals come in with the view ``L``."""
    listing, reader = Listing(root=folder), CellReader(options.lenient_columns)
    files = list(files_under(folder, listing))
    tables = _read_tables(folder, files)
    counts: Counter[str] = Counter()
    for path in files:
        name, match = relative_name(path, folder), _IMAGE.fullmatch(path.stem)
        if path in tables.files or (match is not None and path.suffix.lower() == ".json"):
            continue  # a table, or the tags of an image
        if (reason := why_not_image(path)) is not None or match is None:
            listing.drop(name, reason or "its name is not that of a radiograph of the set")
            continue
        participant, session, body_part, projection = match.groups()
        view = VIEWS.get((projection or "").lower())
        terms = tables.reports.get(session, ())
        findings, how = _find_findings(participant, session, tables, listing.labels)
        if body_part.lower() != "chest":
            reason = f"body part {quote(body_part)}"
        elif view is None or (view == "L" and "L" not in options.views):
            reason = f"view {quote(projection or '')}, not stated to be frontal"
        elif _is_inverted(path):
            reason = "its tags say MONOCHROME1: the values of its PNG show white as black"
        elif session in tables.contradicted:
            reason = "its report stands in two rows that differ"
        elif terms is None:
            reason = "the labels of its report are damaged"
        elif EXCLUDED in terms or not findings:
            reason = "the publishers exclude it" if EXCLUDED in terms else NOTHING_STATED
        if reason is not None:
            listing.drop(name, reason)
            continue
        counts[how] += 1
        covid = findings.get("covid-19", False)
        age, sex = tables.people.get(participant, ("", ""))
        listing.rows.append(
            Row(
                image=name,
                # The question of the set: an image of COVID-19 with a consolidation is no "other".
                label="covid-19" if covid else stated_label(findings, listing.labels, normal=NORMAL in (terms or ())),
                raw_label="|".join(terms or ()),
                patient_id=participant,
                study_id=session,
                view=view,
                sex=reader.sex(sex, f"participants.tsv, {participant}"),
                age=reader.age(age, f"participants.tsv, {participant}"),
                findings=write_findings(findings),
                license=options.license or LICENSE,
                label_provenance=options.provenance or (f"{PROVENANCE}; {how}" if how else PROVENANCE),
            )
        )
    listing.notes += [*tables.notes, *reader.finish()]
    listing.notes += [f"{count:,} images: {how}" for how, count in counts.items() if how]
    return listing


def _find_findings(
    participant: str, session: str, tables: BimcvTables, labels: LabelSet
) -> tuple[dict[str, bool], str]:
    """Return the findings of a session, and how its COVID-19 is known beside the report."""
    terms = tables.reports.get(session) or ()
    findings = find_findings(terms)
    unclear = {UNCLEAR[term] for term in terms if term in UNCLEAR}
    if _VIRAL in terms:
        findings["viral-pneumonia"] = True
    day = tables.dates.get(session)
    near = day is not None and any(
        abs((day - test).days) <= WINDOW for test in tables.positive_days.get(participant, ())
    )
    how = f"COVID-19 by a positive test within {WINDOW} days" if near and _COVID not in terms else ""
    if near or _COVID in terms:
        findings["covid-19"] = True
    elif session in tables.negative and terms and _UNCERTAIN not in terms:
        findings["covid-19"] = False
    return without_contradictions(findings, unclear, labels), how


def _read_tables(folder: Path, files: Sequence[Path]) -> BimcvTables:
    tables = BimcvTables()
    labels = [path for path in files if path.parent.name == "labels" and _LABELS.fullmatch(path.name)]
    if not labels:
        raise ManifestError(
            str(folder), "has no derivatives/labels/labels_covid*.tsv.", "Name the folder covid19_posi or covid19_neg."
        )
    for path in labels:
        table = tables.read(path)
        columns = (table.cells(name, f"column {name!r}") for name in ("ReportID", "Labels"))
        for session, cell in zip(*columns, strict=True):
            terms = _split_terms(cell)
            if tables.reports.setdefault(session.strip(), terms) != terms:
                tables.contradicted.add(session.strip())
            if "neg" in path.name.lower():
                tables.negative.add(session.strip())
    tests = [path for path in files if path.parent.name == "EHR" and _TESTS.fullmatch(path.name)]
    for path in tests:
        _read_tests(tables.read(path), tables)
    people = [path for path in files if path.name == "participants.tsv"]
    for path in people:
        table = tables.read(path)
        columns = (table.cells(name, f"column {name!r}") for name in ("participant", "age", "gender"))
        for place, (participant, age, sex) in enumerate(zip(*columns, strict=True)):
            known = _one_age(age), "" if sex.strip() == "None" else sex.strip()
            if tables.people.setdefault(participant.strip(), known) != known:
                tables.people[participant.strip()] = "", ""
                tables.notes.append(f"{table.where(place)} differs from another row of {quote(participant)}: unknown")
    sessions = [path for path in files if path.name.endswith("_sessions.tsv")]
    for path in sessions:
        table = tables.read(path)
        columns = (table.cells(name, f"column {name!r}") for name in ("session_id", "study_date"))
        for place, (session, cell) in enumerate(zip(*columns, strict=True)):
            if (text := cell_text(cell.removesuffix(".0"))) is not None:
                tables.dates[session.strip()] = _read_date(text, "%Y%m%d", table.where(place))
    scans = [path for path in files if path.name.endswith("_scans.tsv")]
    tables.files.update(labels, tests, people, sessions, scans)
    return tables


def _read_tests(table: SourceTable, tables: BimcvTables) -> None:
    columns = (table.cells(name, f"column {name!r}") for name in ("participant", "date", "result"))
    for place, (participant, day, result) in enumerate(zip(*columns, strict=True)):
        where, result = table.where(place), result.strip()
        if result not in _RESULTS:
            raise ManifestError(
                f"{where}, column 'result'",
                f"has {quote(result)}.{suggestion(result, _RESULTS)}",
                f"Results: {', '.join(_RESULTS)}.",
            )
        if _RESULTS[result]:
            test = _read_date(day.strip(), "%d.%m.%Y", where)
            tables.positive_days.setdefault(participant.strip(), []).append(test)


def _read_date(text: str, form: str, where: str) -> date:
    try:
        return datetime.strptime(text, form).date()
    except ValueError as error:
        example = datetime(2020, 3, 21).strftime(form)
        raise ManifestError(where, f"has the date {quote(text)}.", f"Write it as {example}.") from error


def _split_terms(cell: str) -> tuple[str, ...] | None:
    """Return the terms of a cell of ``Labels``; a blank has none, and None is a list that is cut off.

    Terms lie between quotation marks with commas or tabs between them; Python would join two with a tab.
    """
    if (text := cell_text(cell)) is None:
        return ()
    if _LIST.fullmatch(text) is None:
        return None
    terms = (" ".join((first or second).split()).lower() for first, second in _TERM.findall(text))
    return tuple(term for term in terms if term)


def _one_age(cell: str) -> str:
    """Return the age of a participant as a cell; the list has one for each study, and may differ by one year.

    A cell that is no list of numbers is returned as it is.
    """
    if cell_text(cell) is not None and _AGES.fullmatch(cell.strip()) is None:
        return cell
    ages = [float(number) for number in re.findall(r"\d+(?:\.\d+)?", cell)]
    return f"{min(ages):g}" if ages and max(ages) - min(ages) <= 1 else ""


def _is_inverted(path: Path) -> bool:
    """Return whether the DICOM tags beside an image say that its lowest value is white."""
    tags = path.with_suffix(".json")
    if not tags.is_file():
        return False
    try:
        content = json.loads(tags.read_text(encoding="utf-8"))
        return "MONOCHROME1" in content.get(_PHOTOMETRIC, {}).get("Value", ())
    except (OSError, ValueError, AttributeError, TypeError) as error:
        raise ManifestError(str(tags), "holds no DICOM tags as JSON.", "Download it again.") from error


SOURCE = Source("bimcv", "BIMCV-COVID19+ and -: findings of reports, and tests", scan)
