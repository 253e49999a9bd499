"""Weights to start from: local safetensors files, or the hub where it can be reached. Never silently random.

Files are looked for as given, then in the folders of ``PNEUMOSCOPE_WEIGHTS`` (separated as in PATH), then in
``weights``, ``shared/weights`` and ``../shared/weights`` below the working folder.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit

import torch
from torch import Tensor, nn

from pneumoscope.core.errors import WeightsError
from pneumoscope.core.files import sha256_of
from pneumoscope.recipes.recipe import Pretrained


def weights_folders() -> list[Path]:
    """Return the folders in which a weights file is looked for, in order."""
    named = [Path(item) for item in os.environ.get("PNEUMOSCOPE_WEIGHTS", "").split(os.pathsep) if item]
    return [*named, Path("weights"), Path("shared/weights"), Path("../shared/weights")]


def find_weights(pretrained: Pretrained) -> Path:
    """Return the path of a weights file whose hash is the expected one.

    Raises:
        WeightsError: It is in none of the folders, or it is another file of that name.
    """
    given = Path(pretrained.file)
    places = [given] if given.is_absolute() else [given, *(folder / given for folder in weights_folders())]
    path = next((place for place in places if place.is_file()), None)
    if path is None:
        raise WeightsError(
            pretrained.file,
            f"not found in {', '.join(str(place.parent) for place in places)}.",
            "Put it there, name its folder in PNEUMOSCOPE_WEIGHTS, or start from the hub's weights with "
            "`sets='network.pretrained=imagenet'` (other weights: another result), or from none with "
            "`sets='network.pretrained=null'`.",
        )
    if pretrained.sha256 is not None and (digest := sha256_of(path)) != pretrained.sha256:
        raise WeightsError(
            str(path),
            f"has SHA-256 {digest[:12]}…, the recipe needs {pretrained.sha256[:12]}….",
            "Fetch the right file, or say `sets='network.pretrained.sha256=null'` if this one is meant.",
        )
    return path


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


def offline_hub_error(name: str, cause: Exception) -> WeightsError:
    """Return the error for ImageNet weights that cannot be fetched."""
    first_line = str(cause).strip().splitlines()[0] if str(cause).strip() else type(cause).__name__
    return WeightsError(
        f"{name} (imagenet)",
        f"its weights could not be fetched from the hub ({first_line[:160]}).",
        "Go online once, or give a local file: `sets='network.pretrained.file=FILE.safetensors'` with its mean, std "
        "and padding; or start from none: `sets='network.pretrained=null'`.",
    )


def require_hub(name: str) -> None:
    """Check that ImageNet weights of a timm network are in the local cache or that the hub's name resolves.

    The hub's client retries for most of a minute before it says that there is no network.

    Raises:
        WeightsError: Neither.
    """
    import timm
    from huggingface_hub import constants, try_to_load_from_cache

    config = timm.get_pretrained_cfg(name)
    repository = config.hf_hub_id if config is not None else None
    cached = [try_to_load_from_cache(str(repository), file) for file in ("model.safetensors", "pytorch_model.bin")]
    if repository is None or any(isinstance(path, str) for path in cached):
        return
    try:
        socket.getaddrinfo(urlsplit(constants.ENDPOINT).hostname, 443)
    except OSError as error:
        raise offline_hub_error(name, error) from error


def save_tensors(module: nn.Module, path: Path) -> None:
    """Write a module's state as safetensors."""
    from safetensors.torch import save_file

    state: dict[str, torch.Tensor] = {key: value.contiguous().cpu() for key, value in module.state_dict().items()}
    save_file(state, path)
    path.chmod(0o644)  # the library writes for the owner alone
