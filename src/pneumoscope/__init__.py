"""Pneumoscope: train, compare, check and deploy chest X-ray classifiers, and say how far each can be trusted.

    import pneumoscope as ps

    radiograph = ps.read("study.dcm")                    # -> Radiograph, float32 [H, W], 0 = black, 1 = white
    table = ps.load("runs/flagship").predict(["study.dcm"])

Whatever a command does, a function here does: it takes paths or values, returns values, reports to `Callbacks`, and
raises a `PneumoscopeError` that names the thing, the problem and the way out. `pneumoscope.server` holds
the server's functions.

Research software, not a medical device; see `DISCLAIMER`.
"""

from __future__ import annotations

import os
from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

# ONNX Runtime counts its users: it writes an identity and a queue of events to the home folder. It reads this setting
# when it is loaded, so that no later call reaches it (onnxruntime.disable_telemetry_events comes too late, tried 1.31).
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

if TYPE_CHECKING:
    from pneumoscope import server
    from pneumoscope.acceptance.result import Acceptance
    from pneumoscope.auditing.result import Audit, AuditTest, SitePrediction
    from pneumoscope.bundle.card import Card, read_card
    from pneumoscope.bundle.gatekeeper import (
        Gatekeeper,
        GatekeeperAnswer,
        GatekeeperCard,
        GatekeeperRate,
        load_gatekeeper,
    )
    from pneumoscope.bundle.listing import BundleDescription, BundleEntry, describe_bundle, list_bundles
    from pneumoscope.bundle.lungs import LungCard, LungFigures, LungModel, LungOutlines, load_lungs
    from pneumoscope.bundle.prediction import Prediction
    from pneumoscope.bundle.prediction_table import PredictionTable
    from pneumoscope.bundle.runtime import Model, load
    from pneumoscope.bundle.screening import Screening, ScreeningFinding
    from pneumoscope.bundle.verify import verify
    from pneumoscope.certification.result import Certificate
    from pneumoscope.comparison.cross_validation import CrossValidation
    from pneumoscope.comparison.learning_curve import LearningCurve
    from pneumoscope.comparison.result import Comparison
    from pneumoscope.core import errors
    from pneumoscope.core.cache import CacheEntry, clear_cache, list_cache
    from pneumoscope.core.callbacks import Callbacks, EpochEnd, TrainingStep
    from pneumoscope.core.errors import PneumoscopeError
    from pneumoscope.core.labels import DISCLAIMER, Label, LabelSet
    from pneumoscope.data.checks.findings import CheckReport
    from pneumoscope.data.importing import ImportReport
    from pneumoscope.data.manifest import Manifest
    from pneumoscope.data.merge import MergeReport
    from pneumoscope.export.format import ExportReport
    from pneumoscope.imaging.read import Radiograph, read
    from pneumoscope.inference.evaluation import Evaluation, FindingsEvaluation
    from pneumoscope.inference.predict import PredictionSummary
    from pneumoscope.recipes.recipe import Recipe
    from pneumoscope.workflows.accept import accept
    from pneumoscope.workflows.audit import audit
    from pneumoscope.workflows.certify import certify
    from pneumoscope.workflows.compare import compare
    from pneumoscope.workflows.cross_validate import cross_validate
    from pneumoscope.workflows.datasets import SplitReport, drop_conflicts, import_data, merge, split
    from pneumoscope.workflows.evaluate import evaluate
    from pneumoscope.workflows.export import Exported, export_bundle
    from pneumoscope.workflows.gatekeeper import measure_gatekeeper, train_gatekeeper
    from pneumoscope.workflows.inspection import check, describe, draw_contact_sheet, draw_phantoms
    from pneumoscope.workflows.learning_curve import learning_curve
    from pneumoscope.workflows.lungs import measure_lungs, train_lungs
    from pneumoscope.workflows.outlines import LungRow, outline_lungs
    from pneumoscope.workflows.predict import predict
    from pneumoscope.workflows.report import report
    from pneumoscope.workflows.screening import ScreeningRow, screen_images
    from pneumoscope.workflows.study_plan import StudyAim, StudyPlan, plan_study
    from pneumoscope.workflows.train import Run, train
    from pneumoscope.workflows.tune import Tuning, tune

_MODULES = {
    "Acceptance": "acceptance.result",
    "Audit": "auditing.result",
    "AuditTest": "auditing.result",
    "BundleDescription": "bundle.listing",
    "BundleEntry": "bundle.listing",
    "CacheEntry": "core.cache",
    "Callbacks": "core.callbacks",
    "Card": "bundle.card",
    "Certificate": "certification.result",
    "CheckReport": "data.checks.findings",
    "Comparison": "comparison.result",
    "CrossValidation": "comparison.cross_validation",
    "DISCLAIMER": "core.labels",
    "EpochEnd": "core.callbacks",
    "Evaluation": "inference.evaluation",
    "ExportReport": "export.format",
    "Exported": "workflows.export",
    "FindingsEvaluation": "inference.evaluation",
    "Gatekeeper": "bundle.gatekeeper",
    "GatekeeperAnswer": "bundle.gatekeeper",
    "GatekeeperCard": "bundle.gatekeeper",
    "GatekeeperRate": "bundle.gatekeeper",
    "ImportReport": "data.importing",
    "Label": "core.labels",
    "LabelSet": "core.labels",
    "LearningCurve": "comparison.learning_curve",
    "LungCard": "bundle.lungs",
    "LungFigures": "bundle.lungs",
    "LungModel": "bundle.lungs",
    "LungOutlines": "bundle.lungs",
    "LungRow": "workflows.outlines",
    "Manifest": "data.manifest",
    "MergeReport": "data.merge",
    "Model": "bundle.runtime",
    "PneumoscopeError": "core.errors",
    "Prediction": "bundle.prediction",
    "PredictionSummary": "inference.predict",
    "PredictionTable": "bundle.prediction_table",
    "Radiograph": "imaging.read",
    "Recipe": "recipes.recipe",
    "Run": "workflows.train",
    "Screening": "bundle.screening",
    "ScreeningFinding": "bundle.screening",
    "ScreeningRow": "workflows.screening",
    "SitePrediction": "auditing.result",
    "SplitReport": "workflows.datasets",
    "StudyAim": "workflows.study_plan",
    "StudyPlan": "workflows.study_plan",
    "TrainingStep": "core.callbacks",
    "Tuning": "workflows.tune",
    "accept": "workflows.accept",
    "audit": "workflows.audit",
    "certify": "workflows.certify",
    "check": "workflows.inspection",
    "clear_cache": "core.cache",
    "compare": "workflows.compare",
    "cross_validate": "workflows.cross_validate",
    "describe": "workflows.inspection",
    "describe_bundle": "bundle.listing",
    "draw_contact_sheet": "workflows.inspection",
    "draw_phantoms": "workflows.inspection",
    "drop_conflicts": "workflows.datasets",
    "errors": "core",
    "evaluate": "workflows.evaluate",
    "export_bundle": "workflows.export",
    "import_data": "workflows.datasets",
    "learning_curve": "workflows.learning_curve",
    "list_bundles": "bundle.listing",
    "list_cache": "core.cache",
    "load": "bundle.runtime",
    "load_gatekeeper": "bundle.gatekeeper",
    "load_lungs": "bundle.lungs",
    "measure_gatekeeper": "workflows.gatekeeper",
    "measure_lungs": "workflows.lungs",
    "merge": "workflows.datasets",
    "outline_lungs": "workflows.outlines",
    "plan_study": "workflows.study_plan",
    "predict": "workflows.predict",
    "read": "imaging.read",
    "read_card": "bundle.card",
    "report": "workflows.report",
    "screen_images": "workflows.screening",
    "split": "workflows.datasets",
    "train": "workflows.train",
    "train_gatekeeper": "workflows.gatekeeper",
    "train_lungs": "workflows.lungs",
    "tune": "workflows.tune",
    "verify": "bundle.verify",
}
"""Public name -> the module that it comes from."""

__all__ = [
    "DISCLAIMER",
    "Acceptance",
    "Audit",
    "AuditTest",
    "BundleDescription",
    "BundleEntry",
    "CacheEntry",
    "Callbacks",
    "Card",
    "Certificate",
    "CheckReport",
    "Comparison",
    "CrossValidation",
    "EpochEnd",
    "Evaluation",
    "ExportReport",
    "Exported",
    "FindingsEvaluation",
    "Gatekeeper",
    "GatekeeperAnswer",
    "GatekeeperCard",
    "GatekeeperRate",
    "ImportReport",
    "Label",
    "LabelSet",
    "LearningCurve",
    "LungCard",
    "LungFigures",
    "LungModel",
    "LungOutlines",
    "LungRow",
    "Manifest",
    "MergeReport",
    "Model",
    "PneumoscopeError",
    "Prediction",
    "PredictionSummary",
    "PredictionTable",
    "Radiograph",
    "Recipe",
    "Run",
    "Screening",
    "ScreeningFinding",
    "ScreeningRow",
    "SitePrediction",
    "SplitReport",
    "StudyAim",
    "StudyPlan",
    "TrainingStep",
    "Tuning",
    "__version__",
    "accept",
    "audit",
    "certify",
    "check",
    "clear_cache",
    "compare",
    "cross_validate",
    "describe",
    "describe_bundle",
    "draw_contact_sheet",
    "draw_phantoms",
    "drop_conflicts",
    "errors",
    "evaluate",
    "export_bundle",
    "import_data",
    "learning_curve",
    "list_bundles",
    "list_cache",
    "load",
    "load_gatekeeper",
    "load_lungs",
    "measure_gatekeeper",
    "measure_lungs",
    "merge",
    "outline_lungs",
    "plan_study",
    "predict",
    "read",
    "read_card",
    "report",
    "screen_images",
    "server",
    "split",
    "train",
    "train_gatekeeper",
    "train_lungs",
    "tune",
    "verify",
]


def __getattr__(name: str) -> Any:
    # Lazy, so that `pneumoscope --help` does not pay for NumPy, Pillow and ONNX Runtime.
    if name == "server":
        return import_module("pneumoscope.server")
    if name not in _MODULES:
        raise AttributeError(f"module 'pneumoscope' has no attribute {name!r}")
    if name == "errors":
        return import_module("pneumoscope.core.errors")
    value = globals()[name] = getattr(import_module(f"pneumoscope.{_MODULES[name]}"), name)
    return value


def __dir__() -> list[str]:
    return sorted({name for name in globals() if name.startswith("__")} | set(__all__))
