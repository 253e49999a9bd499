"""A tiny bundle with answers that can be worked out by hand. Tests that need a bundle need no trained model.

On an image where every pixel is ``v``, the logit of the first label is ``10 (v - 0.5)``, that of the second
``5 (0.5 - v)`` and that of every other label 0. The embedding is 16 times ``v``. The out-of-distribution score is
``16 (v - 0.5)^2``; the model refuses above 3.5 (``v`` under 0.032 or over 0.968). The heatmap is ``v`` everywhere.

A multi-label one has a sigmoid of each logit, of which the third is ``10 (v - 0.75)``. With the thresholds of
`FINDING_THRESHOLDS` it names the first finding from 0.46 on, the second up to 0.41, the third from 0.75 on.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from pneumoscope.bundle.card import Card, FindingFacts, LabelDefinition, PartMetrics, Refusal, SourceLicence
from pneumoscope.core.files import sha256_of, write_text
from pneumoscope.core.labels import absent_name
from pneumoscope.stats.estimates import Estimate, LikelihoodBand, OperatingPoint, PredictionSets

OOD_THRESHOLD = 3.5
THRESHOLD = 0.4
FINDINGS = ("pneumonia", "pleural-effusion", "nodule")
FINDING_THRESHOLDS = (0.4, 0.6, 0.5)


def write_bundle(
    folder: Path, labels: Sequence[str] = ("covid-19", "normal", "viral-pneumonia"), **changes: Any
) -> Path:
    """Write a bundle into ``folder``; ``changes`` replace fields of its card."""
    import onnx

    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "model.onnx"
    onnx.save(graph(len(labels)), path)
    write_text(folder / "card.json", card(path, labels, **changes).to_json())
    return folder


def write_findings_bundle(folder: Path, **changes: Any) -> Path:
    """Write a multi-label bundle of `FINDINGS` into ``folder``; ``changes`` replace fields of its card."""
    import onnx

    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "model.onnx"
    onnx.save(graph(len(FINDINGS), multilabel=True), path)
    write_text(folder / "card.json", card(path, FINDINGS, **{**findings_of_a_card(), **changes}).to_json())
    return folder


def findings_of_a_card() -> dict[str, Any]:
    """Return the fields of a card that make it that of a multi-label model of `FINDINGS`."""
    estimate = Estimate(value=0.9, low=0.8, high=0.95, method="Wilson")
    ratios = (
        LikelihoodBand(low=0, high=0.5, ratio=Estimate(value=0.25, low=0.1, high=0.6), positives=10, negatives=40),
        LikelihoodBand(low=0.5, high=1, ratio=Estimate(value=9.0, low=3.0, high=27.0), positives=40, negatives=5),
    )
    findings = tuple(
        FindingFacts(
            name=name,
            temperature=1.0,
            bias=0.0,
            prior=0.2,
            absent={"calibration": 48},
            operating_points=(
                OperatingPoint(name="sensitivity-95", threshold=threshold, sensitivity=estimate, specificity=estimate),
            ),
            score_bands=(
                {"low": 0.0, "high": 0.5, "rate": 0.1, "rate_low": 0.02, "rate_high": 0.3, "n": 40},
                {"low": 0.5, "high": 1.0, "rate": 0.9, "rate_low": 0.7, "rate_high": 0.98, "n": 20},
            ),
            likelihood_ratios=ratios,
            prediction_sets=PredictionSets(
                alpha=0.1,
                thresholds={name: 0.3, absent_name(name): 0.3},
                groups={name: 12, absent_name(name): 48},
                expected={name: (0.8, 1.0), absent_name(name): (0.85, 0.95)},
                method="split conformal",
            ),
            metrics=(
                PartMetrics(
                    part="validation",
                    data="0" * 64,
                    images=60,
                    groups=60,
                    group_kind="patient",
                    metrics={
                        f"{name}/auroc": estimate,
                        "sensitivity-95/sensitivity": estimate,
                        "sensitivity-95/specificity": estimate,
                    },
                ),
            ),
        )
        for name, threshold in zip(FINDINGS, FINDING_THRESHOLDS, strict=True)
    )
    return {
        "name": "findings",
        "kind": "multilabel",
        "labels": tuple(
            LabelDefinition(name=name, members=(name,), reference_standard="none: drawn", images={"calibration": 12})
            for name in FINDINGS
        ),
        "findings": findings,
        "operating_points": (),
        "score_bands": (),
        "images_by_part": {"calibration": 60, "validation": 60},
    }


def graph(classes: int, *, multilabel: bool = False) -> Any:
    """Return the graph as an ``onnx.ModelProto``: every output of a bundle, dynamic N, H and W."""
    from onnx import TensorProto, checker, helper, numpy_helper

    weights = np.zeros((16, classes), np.float32)
    weights[:, 0], weights[:, 1] = 10 / 16, -5 / 16
    bias = np.zeros(classes, np.float32)
    bias[:2] = -5, 2.5
    if multilabel:
        weights[:, 2], bias[2] = 10 / 16, -7.5
    constants: dict[str, Any] = {
        "size": np.array([32, 32], np.int64),
        "flat": np.array([-1, 16], np.int64),
        "weights": weights,
        "bias": bias,
        "half": np.array(0.5, np.float32),
        "axis": np.array([1], np.int64),
        "ones": np.ones((1, classes, 1, 1), np.float32),
    }
    node = helper.make_node
    nodes = [
        node(
            "Resize", ["image", "", "", "size"], ["small"], axes=[2, 3], mode="linear", antialias=1, exclude_outside=1
        ),
        node("AveragePool", ["small"], ["pooled"], kernel_shape=[8, 8], strides=[8, 8]),
        node("Reshape", ["pooled", "flat"], ["embedding"]),
        node("Gemm", ["embedding", "weights", "bias"], ["logits"]),
        node("Sigmoid", ["logits"], ["probabilities"])
        if multilabel
        else node("Softmax", ["logits"], ["probabilities"], axis=1),
        node("Mul", ["pooled", "ones"], ["heatmap"]),
        node("Sub", ["embedding", "half"], ["centred"]),
        node("ReduceSumSquare", ["centred", "axis"], ["ood"], keepdims=0),
    ]

    def value(name: str, shape: list[str | int]) -> Any:
        return helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)

    outputs = [
        value("probabilities", ["N", classes]),
        value("logits", ["N", classes]),
        value("heatmap", ["N", classes, 4, 4]),
        value("embedding", ["N", 16]),
        value("ood", ["N"]),
    ]
    initializers = [numpy_helper.from_array(array, name) for name, array in constants.items()]
    proto = helper.make_model(
        helper.make_graph(nodes, "tiny", [value("image", ["N", 1, "H", "W"])], outputs, initializers),
        opset_imports=[helper.make_opsetid("", 20)],
        ir_version=10,
    )
    checker.check_model(proto, full_check=True)
    return proto


def card(model: Path, labels: Sequence[str], /, **changes: Any) -> Card:
    """Return a valid card for the graph at ``model``."""
    estimate = Estimate(value=0.95, low=0.9, high=0.98, method="Wilson")
    fields: dict[str, Any] = {
        "name": "tiny",
        "version": "1",
        "created": "2025-01-01T00:00:00Z",
        "software": {"pneumoscope": "0"},
        "summary": "Answers by brightness. For tests.",
        "intended_use": "Tests.",
        "limits": ("Knows nothing of lungs.",),
        "not_looked_for": ("tuberculosis", "pneumothorax"),
        "labels": tuple(
            LabelDefinition(name=label, members=(label,), reference_standard="none: drawn") for label in labels
        ),
        "kind": "binary" if len(labels) == 2 else "multiclass",
        "input_size": 32,
        "heatmap_size": (4, 4),
        "temperature": 1.0,
        "class_bias": (0.0,) * len(labels),
        "class_prior": (1 / len(labels),) * len(labels),
        "operating_points": (
            OperatingPoint(name="sensitivity-95", threshold=THRESHOLD, sensitivity=estimate, specificity=estimate),
        ),
        "score_bands": (
            {"low": 0.0, "high": 0.5, "rate": 0.1, "rate_low": 0.02, "rate_high": 0.3, "n": 40},
            {"low": 0.5, "high": 1.0, "rate": 0.9, "rate_low": 0.7, "rate_high": 0.98, "n": 20},
        ),
        "refusal": Refusal(ood_threshold=OOD_THRESHOLD, ood_quantile=0.99),
        "recipe_name": "none",
        "recipe_hash": "0" * 64,
        "data_hash": "0" * 64,
        "split_hash": "0" * 64,
        "group_kind": "image",
        "metrics": (),
        "licences": (SourceLicence(source="drawn", licence="Apache-2.0"),),
        "companions": {"gatekeeper": "none"},  # its images are one grey each, which the gatekeeper refuses
        "synthetic": True,
        "parameters": 16 * len(labels),
        "model_sha256": sha256_of(model),
        "model_bytes": model.stat().st_size,
    }
    return Card(**{**fields, **changes})
