"""The terms of PadChest's reports and what they mean; BIMCV's COVID-19 sets are written in the same terms.

Bustos et al., Medical Image Analysis 2020: a tree of 174 findings and 19 diagnoses, in cells such as ``['pleural
effusion', 'cardiomegaly']``. The table gives those a label that the vocabulary has; the others stay in ``raw_label``.
"""

from __future__ import annotations

import ast
import warnings
from collections.abc import Iterable, Mapping
from types import MappingProxyType

from pneumoscope.core.arguments import quote
from pneumoscope.core.errors import ManifestError
from pneumoscope.data.cells import cell_text
from pneumoscope.data.findings import list_findings

_DEVICES = (
    "pacemaker", "dual chamber device", "single chamber device", "dai", "electrical device", "endotracheal tube",
    "nsg tube", "tracheostomy tube", "chest drain tube", "catheter", "central venous catheter",
    "central venous catheter via jugular vein", "central venous catheter via subclavian vein",
    "central venous catheter via umbilical vein", "reservoir central venous catheter", "gastrostomy tube",
    "nephrostomy tube", "ventriculoperitoneal drain tube",
)  # fmt: skip
LABELS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        **dict.fromkeys(
            ("atelectasis", "atelectasis basal", "laminar atelectasis", "lobar atelectasis", "round atelectasis",
             "segmental atelectasis", "total atelectasis"),
            ("atelectasis",),
        ),
        "cardiomegaly": ("cardiomegaly",),
        "consolidation": ("consolidation",),
        "pulmonary edema": ("edema",),
        "emphysema": ("emphysema",),
        "hiatal hernia": ("hernia",),
        "infiltrates": ("infiltration",),
        "pulmonary mass": ("mass",),
        **dict.fromkeys(("nodule", "multiple nodules"), ("nodule",)),
        **dict.fromkeys(("pleural effusion", "loculated pleural effusion"), ("pleural-effusion",)),
        **dict.fromkeys(
            ("pleural thickening", "apical pleural thickening", "calcified pleural thickening"),
            ("pleural-thickening",),
        ),
        **dict.fromkeys(("pneumonia", "atypical pneumonia"), ("pneumonia",)),
        "pneumothorax": ("pneumothorax",),
        "hydropneumothorax": ("pneumothorax", "pleural-effusion"),
        "pulmonary fibrosis": ("pulmonary-fibrosis",),
        "tuberculosis": ("tuberculosis",),
        **dict.fromkeys(
            ("fracture", "rib fracture", "clavicle fracture", "humeral fracture", "vertebral fracture"), ("fracture",)
        ),
        **dict.fromkeys(_DEVICES, ("support-devices",)),
    }
)  # fmt: skip
"""Term in lower case -> labels."""

UNCLEAR: Mapping[str, str] = MappingProxyType(
    {"callus rib fracture": "fracture", "tuberculosis sequelae": "tuberculosis", "pseudonodule": "nodule"}
)
"""Term that makes a label neither present nor surely absent."""

NORMAL, EXCLUDED, UNCHANGED = "normal", "exclude", "unchanged"
"""Terms that are no finding: nothing was found; the publishers exclude the study; an earlier report holds on."""

_LOOKED_FOR = tuple(dict.fromkeys(label for labels in LABELS.values() for label in labels))


def read_terms(text: str, where: str) -> list[str]:
    """Return the terms of a cell of ``Labels`` in lower case; a blank cell has none."""
    if cell_text(text) is None:
        return []
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of a backslash in a term
            terms = ast.literal_eval(text)
    except (ValueError, TypeError, SyntaxError, RecursionError, MemoryError):
        terms = None
    if not isinstance(terms, list) or not all(isinstance(term, str) for term in terms):
        raise ManifestError(f"{where}, column 'Labels'", f"has {quote(text)}.", "Write a list: ['term', 'term'].")
    return [term.strip().lower() for term in terms if term.strip()]


def find_findings(terms: Iterable[str]) -> dict[str, bool]:
    """Return the findings that terms state.

    Who labelled a report looked for all terms, so that what is not named is absent. "Unchanged" refers to an earlier
    report, which may have named more.
    """
    terms = list(terms)
    present = [label for term in terms for label in LABELS.get(term, ())]
    if not terms or UNCHANGED in terms:
        return dict.fromkeys(present, True)
    unclear = {UNCLEAR[term] for term in terms if term in UNCLEAR}
    return list_findings(present, (label for label in _LOOKED_FOR if label not in unclear))
