"""Weights to start from: safetensors files read and loaded into a network, every key checked. Never silently random."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor, nn

from pneumoscope.core.errors import WeightsError


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
