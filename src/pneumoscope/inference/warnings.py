"""What a reader must know beside the figures of an evaluation: which images they rest on, and what the model is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from pneumoscope.bundle.evidence import list_stamps
from pneumoscope.core.counts import format_count

if TYPE_CHECKING:
    from pneumoscope.bundle.runtime import Model
    from pneumoscope.data.ledger import KnownOpening
    from pneumoscope.data.manifest import Manifest


def describe_train_part(*, own: bool) -> str:
    """Return what images of the train part are, in words after "are".

    Args:
        own: Whether the manifest's parts are those that the model was trained with.
    """
    if own:
        return "training images: figures on them say nothing about new ones"
    return "in the train part of this manifest: whether they trained this model is not known"


def list_warnings(
    model: Model,
    chosen: Manifest,
    failures: int,
    ignored: Mapping[str, int],
    earlier: Sequence[KnownOpening],
    *,
    own_division: bool,
    copies: int | None,
) -> tuple[str, ...]:
    """Return the warnings that must stand beside the figures.

    Args:
        model: That was measured.
        chosen: The rows that were measured.
        failures: Images that could not be read or run.
        ignored: Label that the model does not know -> images.
        earlier: Openings before this one that saw any of these test images, oldest first.
        own_division: Whether the parts are those that the model was trained with.
        copies: Rows with the SHA-256 of a training image; None where that is not known.
    """
    card = model.card
    stamps = list(list_stamps(model.folder, card, model.identity))
    if not own_division and {item.source for item in card.licences} & set(chosen.table["source"]):
        stamps.append(
            "not the division of the data that the model was trained with: "
            "it may have been trained on some of these images"
        )
    parts = chosen.table["split"]
    train = int((parts == "train").sum())
    if train and own_division:
        stamps.append("measured on training images: this says nothing about new ones")
    elif train:
        stamps.append(f"of the images that were measured, {train:,} are {describe_train_part(own=False)}")
    if copies and not own_division:
        counted = format_count(copies, "image has", "images have")
        stamps.append(f"{counted} the SHA-256 of a training image: figures on them say nothing about new ones")
    if (parts == "calibration").any():
        stamps.append("measured on calibration images, on which thresholds and temperature were chosen: optimistic")
    if (parts == "validation").any():
        stamps.append("validation images chose the epoch and the settings: expect a little less on new ones")
    if earlier:
        times = "once" if len(earlier) == 1 else f"{len(earlier)} times"
        when = f"first {earlier[0]}, last {earlier[-1]}" if len(earlier) > 1 else f"{earlier[0]}"
        stamps.append(f"test images opened {times} before ({when}): what was chosen since then has seen them")
    if parts.isna().any() and copies is None:
        stamps.append(
            "images without a part: whether the model was trained on them is not known, since the manifest of its "
            "training is not beside the bundle"
        )
    elif parts.isna().any() and not copies:
        stamps.append("images without a part: none has the SHA-256 of a training image; changed copies are not counted")
    if card.synthetic or chosen.table["source"].str.startswith("synthetic").any():
        stamps.append("synthetic: drawn images, no patients; the figures say nothing about radiographs")
    if failures:
        stamps.append(f"could not be read and are in no figure: {format_count(failures, 'image')}")
    if ignored:
        stamps.append(
            f"left out, since the model does not know their labels: {format_count(sum(ignored.values()), 'image')}"
        )
    return tuple(stamps)
