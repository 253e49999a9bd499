"""A bundle against a reference on the images of an evaluation: non-inferiority with margins that are stated first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from pneumoscope.bundle import evidence
from pneumoscope.bundle.prediction import Prediction
from pneumoscope.bundle.runtime import Model
from pneumoscope.core.arguments import argument
from pneumoscope.core.errors import ManifestError, UsageError
from pneumoscope.data.ledger import openings_without
from pneumoscope.data.manifest import Manifest
from pneumoscope.data.opened_images import read_opened_images
from pneumoscope.inference.evaluate import rows_of
from pneumoscope.inference.opening import known_openings
from pneumoscope.stats.comparison.noninferiority import NonInferiority, compare_margins
from pneumoscope.stats.comparison.paired import Scores
from pneumoscope.stats.design import Design

NO_LEDGER = "None of these images is a test image, so that no ledger says when the margins were chosen."
STATED_FIRST = "The ledger knows no opening of these test images before the margins were stated."


def check_reference(model: Model, reference: Model) -> None:
    """Check that two models answer the same question.

    Raises:
        UsageError: They are the same bundle, their classes differ, or they share no operating point.
    """
    given = argument("reference", str(reference.folder))
    if model.identity == reference.identity:
        raise UsageError(given, "is the bundle itself.", "Name another bundle.")
    mine, other = ({label.name: sorted(label.members) for label in each.card.labels} for each in (model, reference))
    if mine != other or model.card.primary != reference.card.primary:
        raise UsageError(
            given,
            f"answers another question: its classes are {', '.join(other)}, not {', '.join(mine)}.",
            "Compare bundles of the same classes, the first one alike.",
        )
    if model.card.default_operating_point not in {point.name for point in reference.card.operating_points}:
        raise UsageError(given, f"has no threshold of the name {model.card.default_operating_point}.")


def describe_statement(
    model: Model, reference: Model, manifest: Manifest, path: Path | None, part: str, claim: str
) -> tuple[bool | None, str]:
    """Return whether the margins were stated before these test images were ever opened, and a sentence; see `before`.

    It must be asked before this opening is recorded.
    """
    rows = rows_of(manifest, part, model.card)
    test = rows.table["split"] == "test"
    if path is None or not test.any():
        return None, NO_LEDGER
    # An opening stands in the evidence of the bundle that was measured, and in the ledger: it counts once.
    facts = [each for one in (model, reference) for each in evidence.openings(evidence.read(one.folder, one.identity))]
    named = {fact.opening or fact.time: fact for fact in facts}
    count = openings_without(path, read_opened_images(rows.where(test)), claim, known_openings(named.values()))
    if not count:
        return True, STATED_FIRST
    times = "once" if count == 1 else f"{count} times"
    return False, (
        f"These test images had been opened {times} before without this claim: the margins may have been chosen after "
        "their figures were seen, and the verdict is then no test."
    )


def compare_with_reference(
    model: Model,
    reference: Model,
    rows: Manifest,
    answers: Sequence[Prediction],
    reference_answers: Sequence[Prediction],
    margins: Mapping[str, float],
    *,
    claim: str,
    statement: tuple[bool | None, str],
    design: Design | None,
    seed: int,
    resamples: int,
) -> NonInferiority:
    """Return the comparison of two models' answers to the same rows.

    Args:
        model: The new one.
        reference: The other.
        rows: The images that were measured.
        answers: Of the new one, in the rows' order.
        reference_answers: Of the other.
        margins: Figure -> margin.
        claim: As ledger and evidence hold it.
        statement: What `describe_statement` said.
        design: Of the study; None: as the manifest states.
        seed: Of the resampling.
        resamples: Of the tests.

    Raises:
        ManifestError: No image could be read.
    """
    readable = np.array(
        [a.error is None and b.error is None for a, b in zip(answers, reference_answers, strict=True)], np.bool_
    )
    if not readable.any():
        raise ManifestError("the images", "none could be read by both models.")
    names = model.card.label_names
    order = [reference.card.label_names.index(name) for name in names]
    point = model.card.default_operating_point

    def scores(one: Model, given: Sequence[Prediction], columns: Sequence[int]) -> Scores:
        rows_read = [p.probabilities for p, good in zip(given, readable, strict=True) if good]
        threshold = next(each.threshold for each in one.card.operating_points if each.name == point)
        return Scores(np.array(rows_read, dtype=np.float64)[:, list(columns)], threshold)

    read = rows.where(readable)
    index = {member: k for k, label in enumerate(model.card.labels) for member in label.members}
    groups = read.table["group"].to_numpy(dtype=str)
    return NonInferiority(
        reference=f"{reference.card.name} {reference.card.version}",
        reference_identity=reference.identity,
        operating_point=point,
        images=len(read),
        groups=len(set(groups)),
        results=compare_margins(
            scores(model, answers, range(len(names))),
            scores(reference, reference_answers, order),
            read.table["label"].map(index).to_numpy(dtype=np.intp),
            groups,
            margins,
            rng=np.random.default_rng(seed),
            resamples=resamples,
            design=design or read.design,
        ),
        claim=claim,
        stated=statement[1],
        before=statement[0],
    )
