"""Run a bundle on images, with ONNX Runtime and without torch.

The graph holds its own preprocessing, so that nothing here resizes or normalises: pixels go in as they were read. One
session serves all workers; each worker reads and predicts one image at a time. Results come in the order of the files
and from a bounded window, so that 100,000 files need no more memory than 100.
"""

from __future__ import annotations

import hashlib
import logging
import math
import os
import platform
import time
from collections.abc import Generator, Iterable, Sequence
from itertools import repeat
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from pneumoscope.bundle.card import OUTPUTS, Card, read_card
from pneumoscope.bundle.companion_differences import NEVER_SCREENED
from pneumoscope.bundle.evidence import describe_verdict
from pneumoscope.bundle.graph_inputs import check_signature, graph_inputs
from pneumoscope.bundle.inputs import ImageInput, NamedImage, file_image, named_images
from pneumoscope.bundle.lungs import LungOutlines
from pneumoscope.bundle.outputs import shortest_decimal, take_finding
from pneumoscope.bundle.prediction import Observer, Output, Prediction
from pneumoscope.bundle.screening import Screening, builtin_companions
from pneumoscope.bundle.session import ONNX_RUNTIME, first_line, open_session, open_session_of
from pneumoscope.bundle.verdict import judge
from pneumoscope.core.arguments import check_arguments
from pneumoscope.core.engines.local import LocalEngine
from pneumoscope.core.errors import BundleError, PneumoscopeError, describe_unexpected
from pneumoscope.core.files import sha256_of
from pneumoscope.imaging.border import NO_BORDER, Border, find_border
from pneumoscope.imaging.plane import Metadata
from pneumoscope.imaging.read import check_depth, has_damaged_exif, largest_value

if TYPE_CHECKING:
    from pneumoscope.bundle.prediction_table import PredictionTable

_LOG = logging.getLogger(__name__)

SHIPPED = ("opacity", "covid")
"""The names, in place of a folder, of the models that ship with the package."""

BUILTIN = "builtin"
"""Another name of the first of them."""

_FINER = 4
"""Cells of a bordered image's heatmap for each of the graph's, along one side: the border cuts through some."""


class Model:
    """A loaded bundle. Safe to share between threads.

    Attributes:
        card: The bundle's description of itself.
        identity: SHA-256 of the card, which holds the hash of the graph.
        folder: Where the bundle lies.
        screened: Whether the gatekeeper and the lungs graph look at an image before this model does.
        place: Of a model that answers about one finding (`about`): the finding's place in the graph's outputs.
        runtime: The library that runs the graph: "onnxruntime" or "openvino".
    """

    @check_arguments
    def __init__(
        self,
        folder: Path,
        card: Card,
        identity: str,
        session: Any,
        *,
        screened: bool = True,
        place: int | None = None,
        runtime: str = ONNX_RUNTIME,
    ) -> None:
        self.folder = folder
        self.card = card
        self.identity = identity
        self.screened = screened and card.companions.get("gatekeeper") != NEVER_SCREENED
        self.place = place
        self.runtime = runtime
        self._session = session
        self._audit: str | None = None
        self._outputs = [name for name in OUTPUTS if name != "heatmap" or card.heatmap_size is not None]

    def __repr__(self) -> str:
        name = f"{self.card.name} {self.card.version}"
        return f"<Model {name}: {', '.join(self.labels)}; {self.identity[:12]}>"

    def __reduce__(self) -> tuple[Any, ...]:
        """Cross to another process or machine with the graph itself: the bundle's folder need not be there."""
        graph = (self.folder / "model.onnx").read_bytes()
        companions = builtin_companions().identities if self.screened else {}
        about = (self.folder, self.card, self.identity)
        return _unpack, (*about, graph, self.screened, self.audit, companions, self.place, self.runtime)

    @property
    def labels(self) -> tuple[str, ...]:
        """Class names in the order of the probabilities; the first is primary."""
        return self.card.label_names

    @property
    def audit(self) -> str:
        """The verdict of the newest audit in a word: pass, caution, fail, not identifiable, or "not audited".

        It is "unreadable" where the evidence was altered, which may have been a failure.
        """
        if self._audit is None:
            about = self.card.asked_findings if self.place is None else self.labels[:1]
            self._audit = describe_verdict(self.folder, self.identity, about)
        return self._audit

    def unscreened(self) -> Model:
        """Return the same model without gatekeeper: it answers about anything, as the graph alone does.

        Returns:
            A model that shares the graph with this one.
        """
        return self._like(self.card, screened=False, place=self.place)

    def about(self, finding: str) -> Model:
        """Return a multi-label model as a binary model of one finding: what one can do with such a model works then.

        Args:
            finding: One of its labels.

        Returns:
            A model that shares the graph with this one; its classes are the finding and its absence.

        Raises:
            UsageError: The model is not multi-label, or does not know the finding.

        Example:
            >>> ps.load("runs/findings").about("pleural-effusion").predict("studies/")
        """
        view = self.card.view(finding)
        place = self.labels.index(finding)
        return self._like(view, screened=self.screened, place=place)

    def _like(self, card: Card, *, screened: bool, place: int | None) -> Model:
        """Return a model that shares the graph with this one."""
        return Model(
            self.folder, card, self.identity, self._session, screened=screened, place=place, runtime=self.runtime
        )

    def screen(self, pixels: NDArray[np.float32], facts: Metadata) -> Screening | None:
        """Return what gatekeeper and lungs graph say of an image; None where this model is not screened.

        Args:
            pixels: [H, W] float32, 0 = black, 1 = white, row 0 = head, any size.
            facts: Of its file, as `imaging.read.Radiograph.metadata` has them; none where there is no file.

        Returns:
            Refusals, warnings and the outlined lungs.

        Raises:
            UsageError: The pixels are no picture [H, W].
        """
        if not self.screened:
            return None
        return builtin_companions().screen(pixels, facts, self.card.population, cut_border=self.card.cuts_borders)

    def find_border(self, pixels: NDArray[np.float32], screening: Screening | None = None) -> Border:
        """Return the flat border of an image that this model must not see; none where it was made to see borders.

        Args:
            pixels: [H, W] float32, 0 = black.
            screening: Of the same image, which has found it already; None where there was none.

        Returns:
            What to give `run`.
        """
        if screening is not None:
            return screening.border
        return find_border(pixels) if self.card.cuts_borders else NO_BORDER

    def run(
        self, pixels: NDArray[np.float32], outlines: LungOutlines | None = None, border: Border = NO_BORDER
    ) -> Output:
        """Run the graph on one image.

        Args:
            pixels: [H, W] float32, 0 = black, 1 = white, row 0 = head, any size.
            outlines: Its lungs, for a graph that has an input for them; None: they are outlined where it needs them.
            border: Is cut off before the graph looks, see `find_border`; by default it sees all of the pixels.

        Returns:
            Probabilities, heatmap (of the whole image), embedding and the other outputs of the graph.

        Raises:
            BundleError: The graph fails on it, or gives values that are not numbers.
        """
        values = self._fetch(pixels, self._outputs, outlines, border)
        heat = values.get("heatmap")
        if heat is not None and border != NO_BORDER:
            heat = border.spread(heat, pixels.shape, (_FINER * heat.shape[1], _FINER * heat.shape[2]))
        return Output(
            probabilities=values["probabilities"],
            logits=values["logits"],
            heatmap=heat,
            embedding=values["embedding"],
            ood=float(values["ood"]),
        )

    def graph_inputs(self, pixels: NDArray[np.float32]) -> dict[str, NDArray[np.float32]]:
        """Return the inputs of the graph for one image, for a program that runs the graph itself.

        Args:
            pixels: As for `run`.

        Returns:
            Name -> array with an axis of one image.
        """
        return graph_inputs(self._session, pixels)

    def probabilities(self, pixels: NDArray[np.float32]) -> NDArray[np.float32]:
        """Run the graph on one image for its probabilities alone, which is quicker than `run`.

        Args:
            pixels: As for `run`.

        Returns:
            [C], calibrated, sum 1.

        Raises:
            BundleError: See `run`.
        """
        values: NDArray[np.float32] = self._fetch(pixels, ("probabilities",))["probabilities"]
        return values

    def _fetch(
        self,
        pixels: NDArray[np.float32],
        names: Sequence[str],
        outlines: LungOutlines | None = None,
        border: Border = NO_BORDER,
    ) -> dict[str, Any]:
        inputs = graph_inputs(self._session, border.cut(pixels), None if outlines is None else outlines.inside)
        try:
            values = self._session.run(list(names), inputs)
        except Exception as error:  # the runtimes' exceptions have no common base of their own
            raise BundleError(
                str(self.folder),
                f"its graph could not be run on an image of {pixels.shape}: {first_line(error)}",
                "Check it with `pneumoscope.verify`.",
            ) from error
        outputs = {name: value[0] for name, value in zip(names, values, strict=True)}
        if not np.isfinite(outputs["probabilities"]).all():
            raise BundleError(
                str(self.folder),
                "its graph answered with probabilities that are not numbers.",
                "Check it with `pneumoscope.verify`.",
            )
        return outputs if self.place is None else take_finding(outputs, self.place)

    def predict_file(
        self,
        path: str | Path,
        observe: Observer | None = None,
        depth: int | None = None,
        *,
        score_refused: bool = False,
    ) -> Prediction:
        """Return the prediction for one file; a file that cannot be read or run becomes one with an error.

        So does one on which this program fails in a way that nobody foresaw. The traceback then goes to the log of
        `logging`, at the level DEBUG.

        Args:
            path: The file.
            observe: Called with the prediction, the radiograph and all outputs, unless the file failed.
            depth: Bits in use in a 16-bit file, see `pneumoscope.read`.
            score_refused: Run the model on images that the gatekeeper refuses, too: they keep their refusal, and have
                probabilities.

        Returns:
            The prediction; of a file that failed it has the ``error`` and no probabilities.
        """
        return self._answer(file_image(os.fspath(path), depth), observe, score_refused=score_refused)

    def _answer(self, image: NamedImage, observe: Observer | None = None, *, score_refused: bool = False) -> Prediction:
        """Return the prediction for one image: gatekeeper, lungs, classifier, in this order."""
        start = time.perf_counter()
        sha256: str | None = None
        try:
            radiograph = image.load()
            sha256 = radiograph.sha256 or None
            screening = self.screen(radiograph.pixels, radiograph.metadata)
            output: Output | None = None
            border = self.find_border(radiograph.pixels, screening)
            p, ood = np.empty(0, np.float32), math.nan
            if screening is None or score_refused or not screening.refusals:
                outlines = None if screening is None else screening.outlines
                if observe is None and outlines is None:  # nobody looks at the heatmap
                    values = self._fetch(radiograph.pixels, ("probabilities", "ood"), border=border)
                    p, ood = values["probabilities"], float(values["ood"])
                else:
                    output = self.run(radiograph.pixels, outlines, border)
                    p, ood = output.probabilities, output.ood
            verdict = judge(
                self.card, tuple(shortest_decimal(float(value)) for value in p), ood, screening, output, border
            )
        except Exception as error:  # one image must not cost the answers about all others
            problem = str(error)
            if not isinstance(error, PneumoscopeError):
                problem = describe_unexpected(error)
                _LOG.debug("%s: %s", image.name, problem, exc_info=True)
            return Prediction(
                image.name, (), None, False, "", None, self.identity[:12],
                sha256 or (None if image.path is None else _sha256_of_file(image.path)),
                time.perf_counter() - start, problem, screened=self.screened, audit=self.audit,
            )  # fmt: skip
        prediction = Prediction(
            image.name, verdict.probabilities, verdict.decision, verdict.refused, verdict.reason,
            shortest_decimal(ood) if math.isfinite(ood) else None, self.identity[:12], sha256,
            time.perf_counter() - start, warnings=tuple(finding.sentence for finding in verdict.warnings),
            codes=verdict.codes, screened=self.screened, audit=self.audit, largest_value=largest_value(radiograph),
            exif_damaged=has_damaged_exif(radiograph.metadata),
        )  # fmt: skip
        if observe is not None:
            observe(prediction, radiograph, output)
        return prediction

    def stream(
        self,
        paths: Iterable[str | Path],
        workers: int | None = None,
        observe: Observer | None = None,
        depth: int | Iterable[int | None] | None = None,
        *,
        score_refused: bool = False,
    ) -> Generator[Prediction, None, None]:
        """Yield one prediction for each path, in the order given, in constant memory.

        Args:
            paths: Files; they are read lazily, so that a generator suffices.
            workers: Threads; the cores that this process may use by default.
            observe: Called in the worker for each image that was predicted. An exception from it ends the stream.
            depth: Bits in use in 16-bit files, see `pneumoscope.read`; one for all files or one for each.
            score_refused: Run the model on images that the gatekeeper refuses, too.

        Yields:
            The prediction; of a file that failed it has the ``error`` and no probabilities.
        """
        depths = depth if isinstance(depth, Iterable) else repeat(depth)
        items = zip(paths, depths, strict=False)

        def answer(item: tuple[str | Path, int | None]) -> Prediction:
            return self.predict_file(item[0], observe, item[1], score_refused=score_refused)

        return LocalEngine(workers).map(answer, items)

    @check_arguments
    def predict(
        self,
        inputs: ImageInput | Iterable[ImageInput],
        workers: int | None = None,
        *,
        depth: int | None = None,
        score_refused: bool = False,
    ) -> PredictionTable:
        """Return the table of predictions in memory: one row for each image, in their order.

        For many files, a table on disk and overlays use `pneumoscope.predict`, which takes constant memory and goes on
        where a stopped call ended.

        Args:
            inputs: One or several of: the path of a file or folder, a file's bytes, pixels [H, W] (float, 0 = black,
                1 = white, row 0 = head), a `Radiograph`.
            workers: Threads; the cores that this process may use by default.
            depth: Bits in use in 16-bit PNG and TIFF files, see `pneumoscope.read`.
            score_refused: Run the model on images that the gatekeeper refuses, too: they keep their refusal, and have
                probabilities.

        Returns:
            A pandas table with the columns of `pneumoscope.PredictionTable`; in a notebook it shows itself in the words
            of the screens. A file that is absent or cannot be read keeps its row, with an ``error``.

        Raises:
            UsageError: A folder holds no image, an array is no radiograph, an input is of no known kind, or the depth
                is no number of bits.

        Example:
            >>> ps.load("runs/flagship").predict(["study.dcm", pixels])
        """
        from pneumoscope.bundle.prediction_table import PredictionTable

        check_depth(depth)
        images = list(named_images(inputs, depth))

        def answer(image: NamedImage) -> Prediction:
            return self._answer(image, score_refused=score_refused)

        rows = [prediction.row(self.labels) for prediction in LocalEngine(workers).map(answer, images)]
        return PredictionTable.of(rows, self.card)


ModelInput: TypeAlias = Model | str | Path
"""A loaded model, the folder of a bundle or of a run, or a model of the package: "builtin", "opacity", "covid"."""


@check_arguments
def load(model: str | Path = BUILTIN, *, gatekeeper: bool = True, runtime: str = ONNX_RUNTIME) -> Model:
    """Load and verify a bundle.

    Args:
        model: The folder of a bundle or of a run, or the name of a model that ships with the package: "opacity", which
            "builtin" means too, or "covid". A folder of such a name is ``./opacity``.
        gatekeeper: Refuse what is no upright frontal chest radiograph; False: the model answers about anything.
        runtime: What runs the classifier's graph: "onnxruntime", or "openvino", which needs the extra of that name.
            Gatekeeper and lungs graph run in ONNX Runtime always.

    Returns:
        The model, which can be shared between threads.

    Raises:
        BundleError: It is incomplete, altered, of another schema, or its graph is not what the card says.
        UsageError: There is no such runtime.
        MissingExtraError: The runtime is not installed.

    Example:
        >>> ps.load("runs/flagship").predict("studies/")
    """
    folder = bundle_folder(model)
    card, identity = read_card(folder)
    session = open_session(folder / "model.onnx", runtime)
    check_signature(folder / "model.onnx", card, session)
    return Model(folder, card, identity, session, screened=gatekeeper, runtime=runtime)


def model_of(model: ModelInput) -> Model:
    """Return the model itself, or load it; see `load`."""
    return model if isinstance(model, Model) else load(model)


def bundle_folder(path: str | Path = BUILTIN) -> Path:
    """Return the folder of the bundle that ``path`` names; see `load`."""
    name = SHIPPED[0] if str(path) == BUILTIN else str(path)
    if name in SHIPPED:
        folder = Path(__file__).parents[1] / "builtin" / name
        if not (folder / "card.json").is_file():
            raise BundleError(
                f"the built-in model {name}",
                "is not part of this installation.",
                "Name the folder of a bundle, or train one with `pneumoscope.train`.",
            )
        return folder
    folder = Path(path)
    if not (folder / "card.json").is_file() and (folder / "bundle" / "card.json").is_file():
        return folder / "bundle"
    return folder


def _unpack(
    folder: Path,
    card: Card,
    identity: str,
    graph: bytes,
    screened: bool,
    audit: str,
    companions: dict[str, str],
    place: int | None,
    runtime: str,
) -> Model:
    """Return the model that `Model.__reduce__` packed in another process.

    Raises:
        BundleError: The graph was exchanged on disk since the model was loaded, or the companions differ here.
    """
    if hashlib.sha256(graph).hexdigest() != card.model_sha256:
        raise BundleError(str(folder / "model.onnx"), "was changed since the model was loaded.", "Start again.")
    if screened and (own := builtin_companions().identities) != companions:
        raise BundleError(
            f"gatekeeper and lungs graph on {platform.node()}",
            f"are {own}; where the work began they are {companions}.",
            "Install the same version on each machine.",
        )
    session = open_session_of(graph, folder / "model.onnx", runtime)
    model = Model(folder, card, identity, session, screened=screened, place=place, runtime=runtime)
    model._audit = audit
    return model


def _sha256_of_file(path: str) -> str | None:
    try:
        return sha256_of(Path(path)) if Path(path).is_file() else None
    except OSError:
        return None
