"""Where the weights that a recipe starts from are: a weights folder, the hub's cache, or the hub. Needs no torch.

Files are looked for as given, then in the folders of ``PNEUMOSCOPE_WEIGHTS`` (separated as in PATH), then in
``weights``, ``shared/weights`` and ``../shared/weights`` below the working folder. Weights of the hub are looked for
there first too, as ``NAME.safetensors`` with timm's name, so that a machine without network can use them.
"""

from __future__ import annotations

import os
import socket
from pathlib import Path
from urllib.parse import urlsplit

from pneumoscope.core.errors import WeightsError
from pneumoscope.core.files import sha256_of
from pneumoscope.recipes.pretrained import Pretrained, describe_conversion
from pneumoscope.recipes.recipe import Recipe, parse_recipe

HUB = "https://huggingface.co"


def weights_folders() -> list[Path]:
    """Return the folders in which a weights file is looked for, in order."""
    named = [Path(item) for item in os.environ.get("PNEUMOSCOPE_WEIGHTS", "").split(os.pathsep) if item]
    return [*named, Path("weights"), Path("shared/weights"), Path("../shared/weights")]


def _places(file: str) -> list[Path]:
    given = Path(file)
    return [given] if given.is_absolute() else [given, *(folder / given for folder in weights_folders())]


def find_weights(pretrained: Pretrained) -> Path:
    """Return the path of a weights file whose hash is the expected one.

    Raises:
        WeightsError: It is in none of the folders, or it is another file of that name.
    """
    places = _places(pretrained.file)
    path = next((place for place in places if place.is_file()), None)
    if path is None:
        raise WeightsError(
            pretrained.file,
            f"not found in {', '.join(str(place.parent) for place in places)}.",
            describe_conversion(pretrained.file)
            if pretrained.layout == "xrv"
            else "Put it there, name its folder in PNEUMOSCOPE_WEIGHTS, or start from the hub's weights with "
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


def find_hub_file(name: str) -> Path | None:
    """Return the file of a weights folder that holds the hub's weights of a timm network.

    Args:
        name: timm's name of the weights, such as ``mobilenetv2_100.ra_in1k``.
    """
    return next((place for place in _places(f"{name}.safetensors")[1:] if place.is_file()), None)


def has_hub_weights(name: str) -> bool:
    """Return whether the hub's weights of a timm network are in a weights folder or in the hub's local cache.

    Args:
        name: timm's name of a network, with or without the tag of its weights.
    """
    from huggingface_hub import constants

    if find_hub_file(name) is not None:
        return True
    exact = "." in name
    cached = Path(constants.HF_HUB_CACHE).glob(f"models--timm--{name}{'' if exact else '.*'}")
    return any(any(folder.glob("snapshots/*/*.safetensors")) for folder in cached)


def require_hub(name: str) -> None:
    """Check that the hub's weights of a timm network are on this machine, or that the hub's name resolves.

    The hub's client retries for most of a minute before it says that there is no network.

    Args:
        name: timm's name of a network, with or without the tag of its weights.

    Raises:
        WeightsError: Neither.
    """
    from huggingface_hub import constants

    if has_hub_weights(name):
        return
    if constants.HF_HUB_OFFLINE:
        raise missing_hub_error(name, "HF_HUB_OFFLINE is set")
    if any(os.environ.get(key) for key in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy")):
        return  # the proxy resolves the hub's name
    try:
        socket.getaddrinfo(urlsplit(constants.ENDPOINT).hostname, 443)
    except OSError as error:
        raise missing_hub_error(name, str(error)) from error


def missing_hub_error(name: str, reason: str) -> WeightsError:
    """Return the error for weights of the hub that cannot be fetched; it names both ways and the address.

    Args:
        name: timm's name of a network, with or without the tag of its weights.
        reason: Why, in one line.
    """
    if "." in name:
        address = f"Download {HUB}/timm/{name}/resolve/main/model.safetensors as weights/{name}.safetensors"
    else:
        address = f"Choose weights at {HUB}/models?author=timm&search={name}, and name them in network.name"
    return WeightsError(
        f"{name} (imagenet)",
        f"its weights are in no weights folder and could not be fetched from the hub ({reason[:160].rstrip('.')}).",
        f"Two ways. From the hub: let this machine reach {urlsplit(HUB).hostname} once. From a weights folder: "
        f"{address} (or into a folder that PNEUMOSCOPE_WEIGHTS names). "
        "Without weights, with a poorer result: `sets='network.pretrained=null'`",
    )


def choose_weights(recipe: Recipe) -> Recipe:
    """Return a recipe that starts from weights which are available; the change, if any, is in its ``changes``.

    A recipe that starts from a file may name weights of the hub (``network.pretrained.hub``). These stand in where the
    file is in no weights folder.

    Raises:
        WeightsError: A file that has no stand-in is missing, or it is another file; or the hub cannot be reached.
    """
    pretrained = recipe.network.pretrained
    if pretrained is None:
        return recipe
    if not isinstance(pretrained, Pretrained):
        require_hub(recipe.network.name)
        return recipe
    if pretrained.hub is None or any(place.is_file() for place in _places(pretrained.file)):
        find_weights(pretrained)
        return recipe
    try:
        require_hub(pretrained.hub)
    except WeightsError as error:
        file = f"{pretrained.file} and {pretrained.hub}"
        folders = ", ".join(str(folder) for folder in weights_folders())
        problem = (
            f"are the weights that {recipe.name} can start from; neither is in {folders}, and the hub did not answer."
        )
        raise WeightsError(file, problem, error.way_out) from error
    data = recipe.model_dump(mode="json")
    data["network"].update(name=pretrained.hub, pretrained="imagenet")
    change = f"starting weights timm/{pretrained.hub} of the hub: {pretrained.file} is in no weights folder"
    data["changes"] = [*recipe.changes, change]
    return parse_recipe(data, recipe.name)
