"""Each action of the audit log, and each stamp of a bundle, has words in each language of the web app."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from fastapi.routing import APIRoute

from pneumoscope.server.api.routes import ROUTERS
from pneumoscope.server.dicom.receiving.receive import PRIOR

CATALOGUES = Path(__file__).parents[3] / "web" / "src" / "i18n"
OF_PEERS = {"C-STORE", "STOW-RS", "C-STORE of an own result", "C-STORE of a corrected header", PRIOR}
OF_THE_SERVER = {"C-STORE to archive", "C-FIND of earlier studies", "C-MOVE of an earlier study"}


@pytest.mark.parametrize("language", ["en", "de"])
def test_every_action_has_words(language: str) -> None:
    routes = [route for make in ROUTERS for route in make().routes if isinstance(route, APIRoute)]
    requests = {f"{method} {route.path}" for route in routes for method in route.methods}
    assert {"POST /api/studies", "GET /api/dicomweb/studies"} <= requests
    catalogue = json.loads((CATALOGUES / f"{language}.json").read_text(encoding="utf-8"))
    # A HEAD is shown in the words of a GET.
    actions = {action.replace("HEAD ", "GET ") for action in requests} | OF_PEERS | OF_THE_SERVER
    assert {action for action in actions if f"account.act.{action}" not in catalogue} == set()


@pytest.mark.parametrize("language", ["en", "de"])
def test_the_stamps_of_a_training_have_words(language: str) -> None:
    pytest.importorskip("torch", reason="no torch: pip install 'pneumoscope[train]'")
    from pneumoscope.export.card_builder import CONFOUNDED, LEAKING

    catalogue = json.loads((CATALOGUES / f"{language}.json").read_text(encoding="utf-8"))
    assert {f"model.stamp.{stamp}" for stamp in (CONFOUNDED, LEAKING)} <= set(catalogue)
