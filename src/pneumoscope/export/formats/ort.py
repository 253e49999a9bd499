"""ORT: the graph as ONNX Runtime's own format, which its builds for phones load without the ONNX parser.

https://onnxruntime.ai/docs/performance/model-optimizations/ort-format-models.html: the graph is optimised when it is
written. The layout that suits this machine's processor alone (NCHWc) is left out, so that a phone can load the file.
"""

from __future__ import annotations

from pneumoscope.core.errors import ParityError
from pneumoscope.core.files import sha256_of
from pneumoscope.export.companion_files import copy_description
from pneumoscope.export.fold import fold_constants
from pneumoscope.export.format import ExportJob, ExportReport, Format, drawn_images
from pneumoscope.export.sessions import largest_differences, open_plain_session

TOLERANCE = 1e-4
"""Largest difference in probability from the bundle's graph."""
FILE = "model.ort"


def _write(job: ExportJob) -> ExportReport:
    import onnx

    path, folded = job.folder / FILE, job.folder / "folded.onnx"
    model = onnx.load(job.model.folder / "model.onnx")
    fold_constants(model)
    onnx.save(model, folded)
    open_plain_session(
        folded,
        {"session.save_model_format": "ORT"},
        optimized_model_filepath=str(path),
        disabled=("NchwcTransformer",),
    )
    folded.unlink()
    images = drawn_images()
    differences = largest_differences(job.model, open_plain_session(path), images)
    if not differences["probabilities"] <= TOLERANCE:  # written so that NaN fails too
        raise ParityError(
            str(path),
            f"differs from the bundle's graph by {differences['probabilities']:.2e} in probability; the limit is "
            f"{TOLERANCE:g}.",
            "Report the versions of ONNX Runtime and of the bundle.",
        )
    copy_description(job, {"file": FILE, "format": "ORT", "sha256": sha256_of(path)})
    return ExportReport(
        differences,
        len(images),
        (
            "Compared with the bundle on drawn images by ONNX Runtime on this machine, not on a phone.",
            "examples/android in the project's repository shows an app that loads it.",
        ),
    )


FORMAT = Format("ort", "ONNX Runtime's own format, for its builds on phones.", _write)
