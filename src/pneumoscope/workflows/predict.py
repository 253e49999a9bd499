"""Files and folders to a table of predictions, with overlays and a page where they are asked for, without torch."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from pneumoscope.bundle.evidence import latest_acceptance, latest_audit, list_stamps
from pneumoscope.bundle.runtime import BUILTIN, Model, ModelInput, model_of
from pneumoscope.core.arguments import check_arguments, check_least
from pneumoscope.core.callbacks import SILENT, Callbacks
from pneumoscope.core.engines import check_engine, open_engine
from pneumoscope.core.errors import BundleError
from pneumoscope.core.files import check_new_file, write_text
from pneumoscope.core.tables import check_format
from pneumoscope.imaging.files import describe_passed_over, find_images
from pneumoscope.imaging.read import check_depth, describe_damaged_exif, describe_low_values
from pneumoscope.inference.predict import OnRow, PredictionSummary, page_items, predict_files
from pneumoscope.reporting.formatting import describe_acceptance, describe_audit

PAGE_IMAGES = 200
"""Most studies on a page with pictures: about 30 kB each."""


@check_arguments
def predict(
    paths: str | Path | Iterable[str | Path],
    model: ModelInput = BUILTIN,
    *,
    output: str | Path | None = None,
    heatmaps: str | Path | None = None,
    html: str | Path | None = None,
    workers: int | None = None,
    depth: int | None = None,
    gatekeeper: bool = True,
    score_refused: bool = False,
    engine: str = "local",
    address: str | None = None,
    on_row: OnRow | None = None,
    callbacks: Callbacks = SILENT,
) -> PredictionSummary:
    """Predict files and folders in constant memory, and write the table, overlays and a page.

    For a table in memory use `pneumoscope.Model.predict`. Rows go to a journal beside ``output`` as they come, so
    that the same call goes on where a stopped one ended. A file that is absent or cannot be read keeps its row, with an
    ``error``.

    Args:
        paths: Files and folders: PNG, JPEG, WebP, TIFF and DICOM; or their addresses as texts, such as
            ``s3://bucket/studies``.
        model: A loaded model, the folder of a bundle or of a run, or "builtin", "opacity" or "covid" of the package.
        output: File of the table: ``.parquet``, ``.csv`` or ``.jsonl``.
        heatmaps: Folder for an overlay (PNG) of each answered image.
        html: File for a self-contained page with pictures of the first 200 files.
        workers: Images read and run at a time; None: the cores that this process may use.
        depth: Bits in use in 16-bit PNG and TIFF files, where they are fewer than 16; see `pneumoscope.read`.
        gatekeeper: Refuse what is no upright frontal chest radiograph; False: the model answers about anything.
        score_refused: Give probabilities of images that the gatekeeper refuses, too; they stay refused.
        engine: "local": threads of this process; "ray": processes of this machine or of a cluster, each with its own
            model. The rows are the same, and either goes on where the other was stopped.
        address: Of a Ray cluster: ``HOST:PORT``, or "auto" on one of its machines. Its machines must reach the files
            and ``heatmaps`` under the same paths.
        on_row: Called with each row (see `pneumoscope.bundle.prediction.columns`) in the order of the files, and
            whether the row comes from the journal of a stopped run.
        callbacks: Receive notes and the number of files that are done.

    Returns:
        The counts: files, failures, refusals and decisions.

    Raises:
        UsageError: ``output`` is no table format or has no folder, a folder holds no image, there is no worker, or the
            model has no heatmap; or there is no such engine.
        MissingExtraError: Ray, or the library for an address, is not installed.
        BundleError: The bundle is incomplete or altered.
        PneumoscopeError: A file cannot be written; the journal stays.
        KeyboardInterrupt: The user stopped it; the message says how many files were done and how to go on.

    Example:
        >>> summary = ps.predict("studies/", output="predictions.parquet")
        >>> summary.decisions
    """
    if output is not None:
        check_format(Path(output))  # before the folders are walked and the model is loaded
    check_least(1, workers=workers)
    check_engine(engine, address)
    if html is not None:
        check_new_file(Path(html))
    check_depth(depth)
    images = find_images([paths] if isinstance(paths, str | Path) else paths)
    loaded = model_of(model)
    if not gatekeeper:
        loaded = loaded.unscreened()
    if images.passed_over:
        callbacks.message(f"Passed over in folders: {describe_passed_over(images.passed_over)}.")
    files, done = images.files, 0
    with (
        open_engine(engine, workers=workers, address=address, on_note=callbacks.message) as machines,
        callbacks.counting("predicting", len(files)) as advance,
    ):

        def pass_on(row: dict[str, Any], resumed: bool) -> None:
            nonlocal done
            done += 1
            if on_row is not None:
                on_row(row, resumed)
            advance(1)

        try:
            summary = predict_files(
                loaded,
                files,
                output=None if output is None else Path(output),
                heatmaps=None if heatmaps is None else Path(heatmaps),
                engine=machines,
                depth=depth,
                score_refused=score_refused,
                on_row=pass_on,
                on_note=callbacks.message,
            )
        except KeyboardInterrupt as interrupt:
            rest = (
                "None was kept: with `output`, a stopped run can go on."
                if output is None
                else f"{output}.partial keeps them: do the same again to go on."
            )
            raise KeyboardInterrupt(f"{done} of {len(files)} files were done. {rest}") from interrupt
    summary.passed_over = images.passed_over
    if summary.low_values:
        callbacks.message(describe_low_values(summary.low_values))
    if summary.damaged_exif:
        callbacks.message(describe_damaged_exif(summary.damaged_exif))
    _report_verdicts(loaded, callbacks)
    if html is not None:
        _write_page(loaded, files, Path(html), workers, depth)
    return summary


def _report_verdicts(model: Model, callbacks: Callbacks) -> None:
    """Say how the model's newest audit and site acceptance ended; altered evidence ends no prediction."""
    try:
        audit = latest_audit(model.folder, model.identity)
        acceptance = latest_acceptance(model.folder, model.identity)
    except BundleError as error:
        callbacks.message(f"The evidence about this model cannot be read: {error}")
        return
    if audit is not None:
        callbacks.message(describe_audit(audit))
    if acceptance is not None:
        callbacks.message(describe_acceptance(acceptance))


def _write_page(model: Model, files: Sequence[str], page: Path, workers: int | None, depth: int | None) -> None:
    items = page_items(model, files[:PAGE_IMAGES], workers, depth)
    title = "Predictions"
    if len(items) < len(files):
        title += f": the first {len(items)} of {len(files)} files"
    from pneumoscope.reporting.pages.predictions import render_predictions_page  # here: it brings SciPy

    stamps = list_stamps(model.folder, model.card, model.identity)
    write_text(page, render_predictions_page(items, model.card, model.identity, title, stamps=stamps))
