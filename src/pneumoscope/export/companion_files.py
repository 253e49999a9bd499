"""The files that go with an exported graph, which say of which bundle it is and how to read it."""

from __future__ import annotations

from typing import Any

from pneumoscope.core.files import write_json
from pneumoscope.core.labels import DISCLAIMER
from pneumoscope.export.format import ExportJob


def copy_description(job: ExportJob, about: dict[str, Any]) -> None:
    """Write the bundle's ``card.json`` as it is, and ``export.json``, which names the bundle and the file.

    Args:
        job: The export.
        about: What the format says of its file.
    """
    model = job.model
    (job.folder / "card.json").write_bytes((model.folder / "card.json").read_bytes())
    write_json(
        job.folder / "export.json",
        {
            "bundle": model.identity,
            "name": f"{model.card.name} {model.card.version}",
            **about,
            "input": "image: [1, 1, H, W] float32, 0 = black, 1 = white, row 0 = head, any H and W",
            "outputs": "probabilities, logits, heatmap, embedding, ood; labels and thresholds: card.json",
            "flat borders": "cut off before the graph" if model.card.cuts_borders else "kept",
            "before the graph": "the gatekeeper of Pneumoscope refuses what is no frontal chest; this file does not",
            "disclaimer": DISCLAIMER,
        },
    )
