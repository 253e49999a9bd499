"""Weights to start from: safetensors files read and loaded into a network, every key checked. Never silently random."""

from __future__ import annotations

import pickle
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor, nn

from pneumoscope.core.errors import WeightsError
from pneumoscope.recipes.pretrained import describe_conversion


def load_tensors(path: Path) -> dict[str, Tensor]:
    """Read a safetensors file.

    Raises:
        WeightsError: It is not one, or it is damaged.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        return {
            key: tensor.float() if tensor.is_floating_point() else tensor for key, tensor in load_file(path).items()
        }
    except (SafetensorError, OSError) as error:
        raise WeightsError(str(path), f"is not a readable safetensors file: {error}.", "Fetch it again.") from error


def load_xrv_tensors(path: Path, outputs: int) -> dict[str, Tensor]:
    """Read the tensors of TorchXRayVision's DenseNet-121, without its classifier and thresholds.

    TorchXRayVision publishes whole models as pickles, which run any code when they are opened. Only a safetensors file
    or a plain state dict is read, the latter with ``weights_only``.

    Args:
        path: The file.
        outputs: Findings that its classifier must have.

    Raises:
        WeightsError: It is a whole model, damaged, no state dict, or another network's.
    """
    way_out = f"{describe_conversion(path.stem)}."
    if path.suffix.lower() == ".safetensors":
        tensors = load_tensors(path)
    else:
        try:
            state = torch.load(path, map_location="cpu", weights_only=True)
        except pickle.UnpicklingError as error:
            raise WeightsError(
                str(path),
                "is a whole pickled model or damaged, and no state dict: opening it would run its code.",
                way_out,
            ) from error
        except (RuntimeError, EOFError, OSError) as error:
            raise WeightsError(str(path), f"cannot be read: {str(error).splitlines()[0]}", way_out) from error
        if not isinstance(state, Mapping) or not all(isinstance(value, Tensor) for value in state.values()):
            raise WeightsError(str(path), "holds something else than a state dict of tensors.", way_out)
        tensors = {str(key): value.float() if value.is_floating_point() else value for key, value in state.items()}
    head = tensors.get("classifier.weight")
    if head is None or head.shape[0] != outputs:
        has = "no classifier" if head is None else f"a classifier of {head.shape[0]} findings"
        raise WeightsError(str(path), f"has {has}; TorchXRayVision's DenseNet-121 has one of {outputs}.", way_out)
    # The thresholds of its operating points belong to a classifier that is replaced.
    return {key: value for key, value in tensors.items() if key != "op_threshs"}


def load_into(module: nn.Module, tensors: Mapping[str, Tensor], name: str, *, spare: tuple[str, ...] = ()) -> None:
    """Load ``tensors`` into ``module``; every key must fit.

    Args:
        module: What is filled.
        tensors: Its state, by key.
        name: What to call the source in an error.
        spare: Prefixes of keys that the source may hold beyond the module's (a classifier that is replaced).

    Raises:
        WeightsError: Keys are missing, left over or of another shape; the message lists them.
    """
    own = module.state_dict()
    # The count of batches seen has no part in inference and many files leave it out.
    missing = [key for key in own if key not in tensors and not key.endswith("num_batches_tracked")]
    extra = [key for key in tensors if key not in own and not key.startswith(spare or ("\0",))]
    shapes = [
        f"{key} {tuple(tensors[key].shape)} instead of {tuple(own[key].shape)}"
        for key in own
        if key in tensors and tensors[key].shape != own[key].shape
    ]
    if missing or extra or shapes:
        parts = [
            f"{len(keys)} {what}: {', '.join(keys[:8])}{' …' if len(keys) > 8 else ''}"
            for what, keys in (("missing", missing), ("left over", extra), ("of another shape", shapes))
            if keys
        ]
        raise WeightsError(
            name, f"does not fit the network ({'; '.join(parts)}).", "Name weights of this very network."
        )
    module.load_state_dict({key: tensors[key] for key in own if key in tensors}, strict=False)


def save_tensors(module: nn.Module, path: Path) -> None:
    """Write a module's state as safetensors."""
    from safetensors.torch import save_file

    state: dict[str, torch.Tensor] = {key: value.contiguous().cpu() for key, value in module.state_dict().items()}
    save_file(state, path)
    path.chmod(0o644)  # the library writes for the owner alone
