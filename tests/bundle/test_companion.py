"""Gatekeeper and lungs graph are read in one way, and a card that is not of this program's schema is refused."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from pneumoscope.bundle.gatekeeper import BUILTIN_GATEKEEPER, load_gatekeeper
from pneumoscope.bundle.lungs import BUILTIN_LUNGS, load_lungs
from pneumoscope.core.errors import BundleError


@pytest.mark.parametrize(
    ("load", "source", "name"),
    [(load_gatekeeper, BUILTIN_GATEKEEPER, "gatekeeper"), (load_lungs, BUILTIN_LUNGS, "lungs graph")],
)
def test_a_card_of_another_schema_or_none_is_refused(
    load: Callable[[Path], object], source: Path, name: str, tmp_path: Path
) -> None:
    folder = shutil.copytree(source, tmp_path / "companion")
    card = json.loads((folder / "card.json").read_text())
    (folder / "card.json").write_text(json.dumps(card | {"schema_version": 99}))
    with pytest.raises(BundleError, match="has schema version 99; this program reads 1"):
        load(folder)
    (folder / "card.json").write_text("no card")
    with pytest.raises(BundleError, match=f"is no card of a {name}: Invalid JSON"):
        load(folder)
