"""Words in routing rules that no result can ever have: such a rule would match nothing, and nobody would be told."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from pneumoscope.bundle.body_parts import UNLISTED, known_part
from pneumoscope.core.errors import UsageError
from pneumoscope.core.registry import suggestion
from pneumoscope.imaging.dicom.decode import RADIOGRAPHS
from pneumoscope.server.dicom.routing.dry_run import OF_MODELS
from pneumoscope.server.dicom.routing.routes import FAILED_ANSWER, REFUSED, Routes, RoutingRule
from pneumoscope.server.inference.models import Catalogue
from pneumoscope.server.uploads.deidentify import MODALITIES

_NEVER_ANALYSED = "OT"


def check_terms(where: str, routes: Routes) -> None:
    """Check that an image or a result can have the words of each condition.

    Args:
        where: What an error calls the file.
        routes: The rules.

    Raises:
        UsageError: One never can.
    """
    modalities = sorted((MODALITIES & RADIOGRAPHS) - {_NEVER_ANALYSED})
    for rule in routes.rules:
        place = f"{where}: rule {rule.name!r}"
        for modality in rule.when.modality:
            if modality.upper() not in modalities:
                raise UsageError(
                    f"{place}: modality {modality!r}",
                    f"never matches: no image that is analysed has it.{suggestion(modality.upper(), modalities)}",
                    f"There are: {', '.join(modalities)}.",
                )
        for part in rule.when.body_part:
            if (stored := known_part(part)).casefold() != part.casefold():
                listed = "one of no table, stored as UNLISTED" if stored == UNLISTED else f"stored as {stored!r}"
                raise UsageError(
                    f"{place}: body_part {part!r}",
                    f"never matches: of what devices write, known terms are stored, and this is {listed}.",
                    f"Write {stored or 'CHEST'}.",
                )
        _check_kinds(place, rule)


def _check_kinds(place: str, rule: RoutingRule) -> None:
    if rule.when.model and not set(rule.kinds) & set(OF_MODELS):
        raise UsageError(
            f"{place}: kinds",
            f"{', '.join(rule.kinds)}: a reader makes these, and a condition on the model never matches.",
            f"Leave model out, or add one of {', '.join(OF_MODELS)}.",
        )


def note_unknown_decisions(routes: Routes, catalogue: Catalogue) -> Iterable[str]:
    """Yield a sentence for each decision that no model of this server makes; a model may be added later.

    Args:
        routes: The rules.
        catalogue: The models.
    """
    labels = {label for model in catalogue.list_models().values() for label in model.card.label_names}
    known = sorted({*labels, "normal", REFUSED, FAILED_ANSWER})
    folded = {each.casefold() for each in known}
    for rule in routes.rules:
        for decision in rule.when.decision:
            if decision.casefold() not in folded:
                more = suggestion(decision, known)
                yield (
                    f"rule {rule.name!r}: no model of this server decides {decision!r}.{more} "
                    f"They decide {', '.join(known)}."
                )


def note_unknown_senders(routes: Routes, peers: Sequence[tuple[str, str]]) -> Iterable[str]:
    """Yield a sentence for each sender that is no peer; studies that it sent before may be here.

    Args:
        routes: The rules.
        peers: AE title and address of each peer that may send; none: any program of this machine, with any title.
    """
    titles = sorted({title.strip() for title, _ in peers})
    folded = {title.casefold() for title in titles}
    for rule in routes.rules if titles else ():
        for sender in rule.when.sender:
            if sender.casefold() not in folded:
                more = suggestion(sender, titles)
                yield f"rule {rule.name!r}: sender {sender!r} is no peer.{more} Peers: {', '.join(titles)}."
