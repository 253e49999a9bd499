"""From a bundle and files to predictions, with ONNX Runtime and without torch.

The graph holds its own preprocessing, so that nothing is resized or normalised here: pixels go in as they were read.
One session serves all workers; each worker reads and infers one image at a time. Results come in the order of the
files and from a bounded window, so that 100,000 files need no more memory than 100.
"""

from __future__ import annotations

import math
import os
import time
from collections import deque
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from pneumoscope.bundle.card import OUTPUTS, Card, read_card
from pneumoscope.core.errors import BundleError, PneumoscopeError
from pneumoscope.core.files import sha256_of
from pneumoscope.core.labels import result_phrase
from pneumoscope.imaging.read import Radiograph, read

if TYPE_CHECKING:
    import pandas as pd

BUILTIN = "builtin"
"""The name, in place of a folder, of the model that ships with the package."""

WINDOW_PER_WORKER = 4
"""Files under way per worker: enough that one slow file does not stop the others, few enough to stay small."""


@dataclass(frozen=True, slots=True)
class Output:
    """What the graph says about one image, as under ``Graph`` in the design: C classes in the order of the card."""

    probabilities: NDArray[np.float32]
    """[C], calibrated, sum 1."""
    logits: NDArray[np.float32]
    """[C]."""
    heatmap: NDArray[np.float32] | None
    """[C, h, w] in 0..1, row 0 = head; None where the model has none."""
    embedding: NDArray[np.float32]
    """[D]."""
    ood: float
    """Out-of-distribution score: larger is stranger; the card's refusal threshold gives the scale."""


@dataclass(frozen=True, slots=True)
class Prediction:
    """The answer for one file.

    A file that failed keeps its place: ``error`` says why, and there are no probabilities.
    """

    path: str
    probabilities: tuple[float, ...]
    """In the order of the card's labels; empty where the file failed."""
    decision: str | None
    """A label; None where the model keeps silent or the file failed."""
    refused: bool
    reason: str
    """Why it was refused, in words; empty where it was not."""
    ood: float | None
    model: str
    """First 12 digits of the bundle's identity."""
    sha256: str | None
    """Of the file's bytes; None where they could not be read."""
    seconds: float
    """Reading and inference, in the worker."""
    error: str | None = None

    def printable(self) -> Prediction:
        """Return the prediction with text that every table and page can hold, see `printable`."""
        return replace(self, path=printable(self.path), error=None if self.error is None else printable(self.error))

    def row(self, labels: Sequence[str]) -> dict[str, Any]:
        """Return the prediction as one row of the table, in the order of `columns`."""
        probabilities = self.probabilities or (None,) * len(labels)
        clean = self.printable()
        return {
            "path": clean.path,
            **{f"p_{label}": p for label, p in zip(labels, probabilities, strict=True)},
            "decision": self.decision,
            "refused": self.refused,
            "reason": self.reason,
            "ood": self.ood,
            "model": self.model,
            "sha256": self.sha256,
            "seconds": round(self.seconds, 6),
            "error": clean.error,
        }


Observer = Callable[[Prediction, Radiograph, Output], None]
"""Called in the worker for each image that was predicted, while its pixels are at hand (heatmaps, thumbnails)."""


def columns(labels: Sequence[str]) -> dict[str, str]:
    """Return the columns of the table of predictions and their types (string, double, bool)."""
    return {
        "path": "string",
        **{f"p_{label}": "double" for label in labels},
        "decision": "string",
        "refused": "bool",
        "reason": "string",
        "ood": "double",
        "model": "string",
        "sha256": "string",
        "seconds": "double",
        "error": "string",
    }


def printable(text: str) -> str:
    r"""Return ``text`` with the bytes of a file name that are not UTF-8 written as ``\xNN``: tables hold only UTF-8."""
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def decide(card: Card, probabilities: Sequence[float], ood: float) -> tuple[str | None, str]:
    """Return the decision and, where the model keeps silent, the reason.

    The primary label if its probability reaches the default operating point, else the largest of the rest: the
    threshold, not the maximum, carries the promised sensitivity.
    """
    limit = card.refusal.ood_threshold
    # Written as "not <=" so that a score that is not a number is refused too.
    if not ood <= limit:
        return None, (
            f"unlike the images this model was calibrated on: its out-of-distribution score {ood:.4g} exceeds the "
            f"limit {limit:.4g}, which {card.refusal.ood_quantile:.1%} of them keep"
        )
    if probabilities[0] >= card.operating_point.threshold:
        return card.primary, ""
    rest = max(range(1, len(probabilities)), key=lambda k: probabilities[k])
    return card.label_names[rest], ""


def band_of(card: Card, p: float) -> Mapping[str, float] | None:
    """Return the card's score band that ``p``, the primary label's probability, falls in; None where there is none."""
    for band in card.score_bands:
        if band["low"] <= p < band["high"] or p == band["high"] == 1:
            return band
    return None


def phrase(card: Card, prediction: Prediction) -> str:
    """Return the result in a few words, never a bare "normal" and never a diagnosis."""
    if prediction.error is not None:
        return "Failed"
    if prediction.decision is None:
        return "No answer"
    return result_phrase(prediction.decision)


def default_workers() -> int:
    """Return the number of cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


class Model:
    """A loaded bundle. Safe to share between threads.

    Attributes:
        card: What the bundle says about itself.
        identity: SHA-256 of the card, which holds the hash of the graph.
        folder: Where the bundle lies.
    """

    def __init__(self, folder: Path, card: Card, identity: str, session: Any) -> None:
        self.folder = folder
        self.card = card
        self.identity = identity
        self._session = session
        self._outputs = [name for name in OUTPUTS if name != "heatmap" or card.heatmap_size is not None]

    @property
    def labels(self) -> tuple[str, ...]:
        """Class names in the order of the probabilities; the first is primary."""
        return self.card.label_names

    def run(self, pixels: NDArray[np.float32]) -> Output:
        """Run the graph on one image.

        Args:
            pixels: [H, W] float32, 0 = black, 1 = white, row 0 = head, any size.

        Raises:
            BundleError: The graph could not be run on it, or answered with values that are not numbers.
        """
        values = self._fetch(pixels, self._outputs)
        return Output(
            probabilities=values["probabilities"],
            logits=values["logits"],
            heatmap=values.get("heatmap"),
            embedding=values["embedding"],
            ood=float(values["ood"]),
        )

    def _fetch(self, pixels: NDArray[np.float32], names: Sequence[str]) -> dict[str, Any]:
        # [H, W] -> [1, 1, H, W]: the graph's input `image`, see `Bundle` in the design.
        image = np.ascontiguousarray(pixels, np.float32)[None, None]
        try:
            values = self._session.run(list(names), {"image": image})
        except Exception as error:  # ONNX Runtime's exceptions have no common base of their own
            raise BundleError(
                str(self.folder),
                f"its graph could not be run on an image of {image.shape[2:]}: {_first_line(error)}",
                "Verify it with: pneumoscope models verify",
            ) from error
        found = {name: value[0] for name, value in zip(names, values, strict=True)}
        if not np.isfinite(found["probabilities"]).all():
            raise BundleError(
                str(self.folder),
                "its graph answered with probabilities that are not numbers.",
                "Verify it with: pneumoscope models verify",
            )
        return found

    def predict_file(self, path: str | Path, observe: Observer | None = None) -> Prediction:
        """Read one file and predict it; a file that cannot be read or run becomes a row with an error."""
        path, start = os.fspath(path), time.perf_counter()
        digest: str | None = None
        try:
            radiograph = read(path)
            digest = radiograph.sha256
            output = None if observe is None else self.run(radiograph.pixels)
            if output is None:
                values = self._fetch(radiograph.pixels, ("probabilities", "ood"))
                p, ood = values["probabilities"], float(values["ood"])
            else:
                p, ood = output.probabilities, output.ood
        except PneumoscopeError as error:
            return Prediction(
                path, (), None, False, "", None, self.identity[:12], digest or _digest(path),
                time.perf_counter() - start, str(error),
            )  # fmt: skip
        probabilities = tuple(_shortest(value) for value in p)
        decision, reason = decide(self.card, probabilities, ood)
        known = _shortest(ood) if math.isfinite(ood) else None
        prediction = Prediction(
            path, probabilities, decision, bool(reason), reason, known, self.identity[:12], digest,
            time.perf_counter() - start,
        )  # fmt: skip
        if observe is not None and output is not None:
            observe(prediction, radiograph, output)
        return prediction

    def stream(
        self, paths: Iterable[str | Path], workers: int | None = None, observe: Observer | None = None
    ) -> Generator[Prediction, None, None]:
        """Yield one prediction for each path, in the order given, in constant memory.

        Args:
            paths: Files; read lazily, so that a generator will do.
            workers: Threads; the cores that this process may use by default.
            observe: Called in the worker for each image that was predicted. What it raises ends the stream.
        """
        workers = workers or default_workers()
        pool = ThreadPoolExecutor(workers, thread_name_prefix="predict")
        window: deque[Future[Prediction]] = deque()
        try:
            for path in paths:
                window.append(pool.submit(self.predict_file, path, observe))
                if len(window) >= workers * WINDOW_PER_WORKER:
                    yield window.popleft().result()
            while window:
                yield window.popleft().result()
        finally:
            pool.shutdown(wait=True, cancel_futures=True)

    def predict(self, paths: str | Path | Iterable[str | Path], workers: int | None = None) -> pd.DataFrame:
        """Return the table of predictions for some files: one row each, in their order (design, "Prediction")."""
        import pandas as pd

        several = [paths] if isinstance(paths, str | Path) else paths
        rows = [prediction.row(self.labels) for prediction in self.stream(several, workers)]
        return pd.DataFrame(rows, columns=list(columns(self.labels)))


def load(path: str | Path | None = None) -> Model:
    """Load and verify a bundle.

    Args:
        path: The bundle's folder, or a run's folder that holds one; None or "builtin": the model that ships with the
            package.

    Raises:
        BundleError: It is incomplete, altered, of another schema, or its graph is not what the card says.
    """
    folder = bundle_folder(path)
    card, identity = read_card(folder)
    return Model(folder, card, identity, _session(folder, card))


def bundle_folder(path: str | Path | None = None) -> Path:
    """Return the folder of the bundle that ``path`` names; see `load`."""
    if path is None or str(path) == BUILTIN:
        folder = Path(__file__).parents[1] / "builtin"
        if not (folder / "card.json").is_file():
            raise BundleError(
                "the built-in model",
                "is not part of this installation.",
                "Name a bundle (predict --model FOLDER), or train one (pneumoscope train).",
            )
        return folder
    folder = Path(path)
    if not (folder / "card.json").is_file() and (folder / "bundle" / "card.json").is_file():
        return folder / "bundle"
    return folder


def _session(folder: Path, card: Card) -> Any:
    import onnxruntime as ort

    options = ort.SessionOptions()
    # One thread an image, and as many images at once as there are cores: no synchronisation inside an image.
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    # Both keep memory for every image size met; sizes are mixed here (156 to 5,600 pixels in one set).
    options.enable_cpu_mem_arena = options.enable_mem_pattern = False
    options.log_severity_level = 4  # what goes wrong is raised, and reported once, by us
    path = folder / "model.onnx"
    try:
        session = ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except Exception as error:
        raise BundleError(
            str(path), f"cannot be loaded by ONNX Runtime {ort.__version__}: {_first_line(error)}", "Export it again."
        ) from error
    _check_signature(path, card, session)
    return session


def _check_signature(path: Path, card: Card, session: Any) -> None:
    inputs = {item.name for item in session.get_inputs()}
    outputs = {item.name: item.shape for item in session.get_outputs()}
    wanted = {name for name in OUTPUTS if name != "heatmap" or card.heatmap_size is not None}
    if inputs != {"image"} or wanted - set(outputs):
        raise BundleError(
            str(path),
            f"has inputs {sorted(inputs)} and outputs {sorted(outputs)}; a bundle's graph takes image and gives "
            f"{sorted(wanted)}.",
            "Export it again.",
        )
    classes = outputs["probabilities"][1]
    if isinstance(classes, int) and classes != len(card.labels):
        raise BundleError(
            str(path),
            f"gives {classes} probabilities; the card names {len(card.labels)} labels.",
            "Export it again.",
        )


def _shortest(value: float) -> float:
    """Return the shortest decimal that is the same float32: 0.93 in a table, not 0.9300000071525574."""
    return float(str(np.float32(value)))


def _digest(path: str) -> str | None:
    try:
        return sha256_of(Path(path)) if Path(path).is_file() else None
    except OSError:
        return None


def _first_line(error: Exception) -> str:
    return str(error).strip().split("\n", 1)[0][:300]
