"""What the graph gives for each image as it is: score, embedding, and where its heatmap lies; also with random weights.

The control is the same graph with the values of each weight tensor exchanged at random, so that it has the same
architecture, sizes and spreads and has learnt nothing (Adebayo et al., Sanity Checks for Saliency Maps, NeurIPS 2018).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pneumoscope.auditing.images import AuditSet
from pneumoscope.auditing.perturbations import AuditImage, resize
from pneumoscope.bundle.graph_inputs import graph_inputs
from pneumoscope.bundle.outputs import take_finding
from pneumoscope.bundle.prediction import Output
from pneumoscope.bundle.runtime import Model
from pneumoscope.bundle.session import open_session_of
from pneumoscope.core.engine import Engine
from pneumoscope.core.errors import BundleError
from pneumoscope.data.boxes import Box
from pneumoscope.stats.kernels import Bools, Floats

_WEIGHED = {"Conv": 1, "Gemm": 1, "MatMul": 1}
"""Operators that hold learnt weights, and which of their inputs these are."""


@dataclass(frozen=True)
class Observations:
    """The outputs for N images.

    Args:
        score: [N] probability of the primary label.
        embedding: [N, D].
        mass: [N] share of the primary label's heat inside the lungs; NaN where there is no heat or no lung.
        area: [N] share of the heatmap's area inside the lungs, which is what chance gives.
        hit: [N] 1 where the centre of the hottest cell lies in a reader's box, else 0; NaN without heat or boxes.
        boxed: [N] share of the cells whose centre lies in a box, which is what chance gives; NaN without boxes.
    """

    score: Floats
    embedding: Floats
    mass: Floats
    area: Floats
    hit: Floats
    boxed: Floats


@dataclass(frozen=True)
class _HeatFigures:
    mass: float = math.nan
    area: float = math.nan
    hit: float = math.nan
    boxed: float = math.nan


def observe(
    answer: Callable[[NDArray[np.float32]], Output],
    images: AuditSet,
    engine: Engine,
    advance: Callable[[int], None],
) -> Observations:
    """Run a graph on every image.

    Args:
        answer: Runs it on [H, W] float32, such as `Model.run`.
        images: The images.
        engine: Where it runs.
        advance: Called with the number of images that are answered.
    """
    scores: list[float] = []
    embeddings: list[NDArray[np.float32]] = []
    figures: list[_HeatFigures] = []
    with closing(engine.map(_Observe(answer), images.images)) as observed:
        for score, embedding, heat in observed:
            scores.append(score)
            embeddings.append(embedding)
            figures.append(heat)
            advance(1)
    columns = {name: np.array([getattr(heat, name) for heat in figures]) for name in ("mass", "area", "hit", "boxed")}
    return Observations(np.array(scores, np.float64), np.stack(embeddings).astype(np.float64), **columns)


@dataclass(frozen=True, slots=True)
class _Observe:
    """Runs a graph on one image and keeps what an audit uses, in whatever process an engine calls it."""

    answer: Callable[[NDArray[np.float32]], Output]

    def __call__(self, image: AuditImage) -> tuple[float, NDArray[np.float32], _HeatFigures]:
        output = self.answer(image.pixels)
        return float(output.probabilities[0]), output.embedding.ravel(), _measure_heat(output, image)


def _measure_heat(output: Output, image: AuditImage) -> _HeatFigures:
    if output.heatmap is None:
        return _HeatFigures()
    heat = output.heatmap[0].astype(np.float64)
    seen = bool(np.isfinite(heat).all() and heat.sum() > 0)
    mass = area = hit = boxed = math.nan
    if image.lungs is not None:
        inside = resize(image.lungs.astype(np.float32), *heat.shape)  # share of each cell that is lung
        area = float(inside.mean())
        mass = float((heat * inside).sum() / heat.sum()) if seen else math.nan
    if image.boxes:
        covered = cells_in_boxes(image.boxes, *heat.shape)
        boxed = float(covered.mean())
        hit = float(covered.ravel()[heat.argmax()]) if seen else math.nan
    return _HeatFigures(mass, area, hit, boxed)


def cells_in_boxes(boxes: Sequence[Box], rows: int, columns: int) -> Bools:
    """Return [rows, columns] whether the centre of each cell of a heatmap lies in one of the boxes.

    Args:
        boxes: In shares of width and height.
        rows: Of the heatmap.
        columns: Of the heatmap.
    """
    top, left = (np.arange(rows) + 0.5) / rows, (np.arange(columns) + 0.5) / columns
    return np.array([[any(box.contains(x, y) for box in boxes) for x in left] for y in top], dtype=np.bool_)


def load_untrained(model: Model, seed: int) -> Callable[[NDArray[np.float32]], Output] | None:
    """Return the model's graph with random weights; None where the library ``onnx`` is not installed.

    Args:
        model: The loaded bundle.
        seed: Of the exchange.
    """
    try:
        import onnx
    except ModuleNotFoundError:
        return None
    graph = onnx.load(model.folder / "model.onnx")
    shuffle_weights(graph, np.random.default_rng(seed))
    return UntrainedModel(model, graph.SerializeToString()).run


def shuffle_weights(graph: Any, rng: np.random.Generator) -> int:
    """Exchange the values inside each weight tensor of an ``onnx.ModelProto`` at random; return how many tensors.

    Args:
        graph: It is changed.
        rng: Source of the order.
    """
    from onnx import numpy_helper

    held = {tensor.name: tensor for tensor in graph.graph.initializer}
    learnt = {
        node.input[place]
        for node in graph.graph.node
        if (place := _WEIGHED.get(node.op_type)) is not None and len(node.input) > place and node.input[place] in held
    }
    for name in sorted(learnt):
        values = numpy_helper.to_array(held[name])
        shuffled = rng.permutation(values.ravel()).reshape(values.shape)
        held[name].CopyFrom(numpy_helper.from_array(shuffled, name))
    return len(learnt)


class UntrainedModel:
    """A model's graph with random weights.

    Args:
        model: The bundle whose graph it is.
        graph: The graph, as ONNX writes it.
    """

    def __init__(self, model: Model, graph: bytes) -> None:
        self._model, self._graph = model, graph
        self._place = model.place
        self._heatmap = model.card.heatmap_size is not None
        self._session = open_session_of(graph, Path(model.folder) / "model.onnx")

    def __reduce__(self) -> tuple[Any, ...]:
        """Cross to another process with the graph."""
        return UntrainedModel, (self._model, self._graph)

    def run(self, pixels: NDArray[np.float32]) -> Output:
        """Run it on one image.

        Args:
            pixels: [H, W] float32.

        Raises:
            BundleError: The graph fails.
        """
        names = ["probabilities", "logits", "embedding", "ood", *(["heatmap"] if self._heatmap else [])]
        try:
            values = self._session.run(names, graph_inputs(self._session, pixels))
        except Exception as error:  # ONNX Runtime's exceptions have no common base of their own
            raise BundleError("the graph with random weights", f"could not be run: {str(error)[:200]}") from error
        found = dict(zip(names, (value[0] for value in values), strict=True))
        if self._place is not None:
            found = take_finding(found, self._place)
        heatmap = found.get("heatmap")
        return Output(found["probabilities"], found["logits"], heatmap, found["embedding"], float(found["ood"]))
