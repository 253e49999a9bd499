"""Weights that a network starts from, as a recipe names them: a file with all that belongs to it.

Beside timm's safetensors files there are those of TorchXRayVision (Cohen et al., TorchXRayVision: A library of chest
X-ray datasets and models, MIDL 2022): a DenseNet-121 of one input channel for pictures of 224 x 224 pixels, scaled to
-1024..1024, with 18 outputs. ``xrv:NAME`` or ``xrv:PATH`` names one of them.
"""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, model_validator

from pneumoscope.core.frozen import Frozen
from pneumoscope.core.registry import suggestion

XRV = "xrv:"
"""What a name of TorchXRayVision's weights begins with."""

XRV_NAMES = tuple(f"densenet121-res224-{data}" for data in ("all", "nih", "pc", "chex", "rsna", "mimic_nb", "mimic_ch"))
"""TorchXRayVision's own names of its DenseNet-121 weights, by the data that they were trained on."""

XRV_NETWORK, XRV_SIZE, XRV_OUTPUTS = "densenet121", 224, 18
XRV_MEAN, XRV_STD = (0.5,), (1 / 2048,)
"""Normalisation of pixels 0..1 that gives -1024..1024: ``(2 * x - 1) * 1024``, as ``xrv.utils.normalize`` has it."""

XRV_LICENCE = "TorchXRayVision, Apache-2.0; its training data under their own terms"
_STATE_ENDINGS = (".safetensors", ".pt", ".pth")


class Pretrained(Frozen):
    """Weights to start from: a file with the normalisation and padding that it was trained with."""

    file: str = Field(description="file name, looked for in the weights folders, or a path")
    mean: tuple[float, ...] = (0.5, 0.5, 0.5)
    std: tuple[float, ...] = (0.5, 0.5, 0.5)
    padding: Literal["same", "symmetric"] = "symmetric"
    sha256: str | None = None
    licence: str = "unknown"
    # Left out of the YAML where it is empty: recipes written before it was there still compare equal.
    hub: str | None = Field(
        default=None,
        exclude_if=lambda name: name is None,
        description="timm's name of the hub's weights that stand in where the file is in no weights folder",
    )
    layout: Literal["timm", "xrv"] = Field(
        default="timm",
        exclude_if=lambda layout: layout == "timm",
        description="whose names the tensors have: timm's, or TorchXRayVision's",
    )

    @model_validator(mode="before")
    @classmethod
    def _complete(cls, data: Any) -> Any:
        """Fill in what belongs to TorchXRayVision's weights."""
        if isinstance(data, dict) and data.get("layout") == "xrv":
            return {"mean": XRV_MEAN, "std": XRV_STD, "licence": XRV_LICENCE, **data}
        return data

    @model_validator(mode="after")
    def _consistent(self) -> Pretrained:
        if self.layout == "xrv" and (self.mean, self.std, self.padding, self.hub) != (
            XRV_MEAN, XRV_STD, "symmetric", None
        ):  # fmt: skip
            raise ValueError(
                "weights of TorchXRayVision bring their scaling and padding; leave out mean, std, padding, hub"
            )
        return self

    @property
    def scaling(self) -> str:
        """What the weights expect of their input, where that is unusual; else empty."""
        return "input scaled to -1024..1024" if self.layout == "xrv" else ""


def parse_pretrained(value: Any) -> Any:
    """Return the fields of ``xrv:NAME`` or ``xrv:PATH``; any other value as it is.

    Raises:
        ValueError: The name is none of `XRV_NAMES`, and no path of a file of tensors.
    """
    if not (isinstance(value, str) and value.startswith(XRV)):
        return value
    name = value.removeprefix(XRV)
    if name in XRV_NAMES:
        return {"file": f"{name}.safetensors", "layout": "xrv"}
    if not name.lower().endswith(_STATE_ENDINGS):
        raise ValueError(
            f"{value!r} names no weights of TorchXRayVision.{suggestion(name, XRV_NAMES)} Names: "
            f"{', '.join(XRV_NAMES)}; or the path of a file whose name ends in {', '.join(_STATE_ENDINGS)}"
        )
    return {"file": name, "layout": "xrv"}


def describe_conversion(name: str) -> str:
    """Return how to write TorchXRayVision's weights as a safetensors file, with TorchXRayVision itself.

    Args:
        name: One of `XRV_NAMES`, or the name of a file.
    """
    weights = name.removesuffix(".safetensors")
    weights = weights if weights in XRV_NAMES else XRV_NAMES[0]
    return (
        "Where torchxrayvision is installed, write the weights as safetensors:\n"
        f'  python -c "import torchxrayvision as xrv; from safetensors.torch import save_file; '
        f"save_file(xrv.models.DenseNet(weights='{weights}').state_dict(), '{weights}.safetensors')\"\n"
        "Then put that file into a weights folder"
    )
