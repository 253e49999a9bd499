"""Feature maps of a frozen backbone, computed once and kept while they are needed.

Without augmentation a frozen backbone gives the same map for an image in every epoch; the published transfer systems
compute it again in each epoch, and that is nearly all of their training time. Here the backbone sees each image once
and the head learns from the kept maps. They are kept in the very type in which the backbone gives them (bfloat16 under
autocast), so that the head sees the same numbers either way.
"""

from __future__ import annotations

import gc
import hashlib
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pneumoscope.core.callbacks import SILENT, Callbacks
from pneumoscope.core.errors import UsageError
from pneumoscope.core.files import cache_folder, write_json
from pneumoscope.recipes.pretrained import Pretrained
from pneumoscope.recipes.recipe import Recipe
from pneumoscope.training.distributed.ranks import Ranks
from pneumoscope.training.input.dataset import Batch, ImageRows, Part
from pneumoscope.training.loop.module import Learner
from pneumoscope.training.networks.build import Classifier
from pneumoscope.training.plan import Plan

LIMIT = "PNEUMOSCOPE_FEATURES_GB"
SEEN = ("train", "validation")
"""The parts that every epoch sees."""
BATCH = {"cpu": 8}
"""Images in one go of the backbone: few on a CPU, whose caches then hold the maps between two layers; else 64."""


@dataclass(frozen=True)
class FeatureMaps:
    """Feature maps by position: ``shards[i]`` is memory-mapped [n, D, h, w]; ``place`` gives (shard, row) by image."""

    shards: tuple[Tensor, ...]
    place: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.place)

    def take(self, indices: Sequence[int]) -> Tensor:
        """Return the maps [n, D, h, w] at ``indices``, in the type in which they are kept."""
        chosen = self.place[list(indices)]
        row = torch.from_numpy(chosen[:, 1])
        if len(self.shards) == 1:
            return self.shards[0].index_select(0, row)
        out = torch.empty((len(row), *self.shards[0].shape[1:]), dtype=self.shards[0].dtype)
        for number in np.unique(chosen[:, 0]):
            here = torch.from_numpy(chosen[:, 0] == number)
            out[here] = self.shards[number].index_select(0, row[here])
        return out


@dataclass
class _BackboneMaps:
    """The maps of one backbone for images of one size, and the place of each image's map by its SHA-256."""

    shards: list[Tensor] = field(default_factory=list)
    place: dict[str, tuple[int, int]] = field(default_factory=dict)

    @property
    def bytes(self) -> int:
        return sum(shard.nbytes for shard in self.shards)

    def maps(self, hashes: Sequence[str]) -> FeatureMaps:
        return FeatureMaps(tuple(self.shards), np.array([self.place[name] for name in hashes], np.int64).reshape(-1, 2))


class DoesNotFitError(Exception):
    """The maps need more space than there is; the text says how much and why."""


def _limit_of_environment() -> float:
    text = os.environ.get(LIMIT, "20")
    try:
        return float(text)
    except ValueError as error:
        raise UsageError(f"{LIMIT}={text}", "is not a number of gigabytes.", "Example: 20") from error


class FeatureStore:
    """Keeps feature maps on the disk for the time of a ``with`` block; trainings in it share what they have in common.

    The files have no name once they are mapped (POSIX), so that the system frees them when the process ends, however
    it ends. Where that is impossible (Windows) they are deleted at the end of the block, and what a killed process
    left is deleted by the next store: the system protects files that are in use.

    Args:
        limit_gb: Most gigabytes (1e9 bytes) that the maps may take; ``PNEUMOSCOPE_FEATURES_GB``, or 20, by default.
        folder: Where they lie; in the user's cache by default.
    """

    def __init__(self, limit_gb: float | None = None, folder: Path | None = None) -> None:
        self.limit = (_limit_of_environment() if limit_gb is None else limit_gb) * 1e9
        self.folder = folder or cache_folder() / "features"
        self._views: dict[str, _BackboneMaps] = {}  # the one used longest ago first

    def __enter__(self) -> Self:
        self._clear_folder()
        return self

    def __exit__(self, *_: object) -> None:
        self._views.clear()
        gc.collect()  # a trainer and its loops refer to each other, and to the maps
        self._clear_folder()

    @property
    def bytes(self) -> int:
        """Bytes of all maps that are kept."""
        return sum(view.bytes for view in self._views.values())

    def _clear_folder(self) -> None:
        for path in self.folder.glob("*.maps"):
            with suppress(OSError):  # Windows: in use
                path.unlink(missing_ok=True)

    def _free_space(self, bytes_needed: int, keep: str) -> None:
        """Drop other views, those used longest ago first, until so many bytes more may be kept beside view ``keep``."""
        needed = f"{bytes_needed / 1e9:.2g} GB of feature maps"
        if bytes_needed + self._views[keep].bytes > self.limit:
            raise DoesNotFitError(f"{needed}, and {LIMIT} allows {self.limit / 1e9:g} GB")
        for key in [key for key in self._views if key != keep]:
            if self.bytes + bytes_needed <= self.limit:
                break
            del self._views[key]
            gc.collect()
        self.folder.mkdir(parents=True, exist_ok=True)
        if (free := shutil.disk_usage(self.folder).free) < bytes_needed:
            raise DoesNotFitError(f"{needed}, and {self.folder} has {free / 1e9:.2g} GB free")

    def _allocate(self, shape: tuple[int, ...], dtype: torch.dtype) -> Tensor:
        """Return a new mapped tensor whose blocks are reserved: on a full disk, writing to a map kills the process."""
        size = int(np.prod(shape)) * dtype.itemsize
        handle, name = tempfile.mkstemp(".maps", dir=self.folder)
        path = Path(name)
        try:
            if hasattr(os, "posix_fallocate"):
                os.posix_fallocate(handle, 0, size)
            else:
                os.truncate(handle, size)
        except OSError as error:
            path.unlink()
            raise DoesNotFitError(f"{size / 1e9:.2g} GB of feature maps: {error.strerror} ({self.folder})") from error
        finally:
            os.close(handle)
        mapped = torch.from_file(name, shared=True, size=int(np.prod(shape)), dtype=dtype).view(shape)
        with suppress(OSError):  # Windows: in use
            path.unlink(missing_ok=True)
        return mapped

    def maps(
        self,
        key: str,
        wanted: Sequence[tuple[ImageRows, Sequence[str]]],
        backbone: Callable[[Tensor], Tensor],
        *,
        batch_size: int = 8,
        advance: Callable[[int], None] = lambda _: None,
    ) -> list[FeatureMaps]:
        """Return the maps of some sets of images, computing those that are not kept yet.

        Args:
            key: Names backbone, weights, size and normalisation (`view_key`).
            wanted: Images with the SHA-256 of each.
            backbone: From images [n, 1, S, S] uint8 to maps [n, D, h, w] on the CPU.
            batch_size: Images for it in one go.
            advance: Called with the number of images that have become ready.

        Raises:
            DoesNotFitError: They would need more space than there is. The maps that were kept before remain, except
                those of other backbones that had to be dropped.
        """
        view = self._views.pop(key, None) or _BackboneMaps()
        self._views[key] = view
        missing: dict[str, tuple[ImageRows, int]] = {}
        for images, hashes in wanted:
            missing |= {name: (images, row) for row, name in enumerate(hashes) if name not in view.place}
        shard: Tensor | None = None
        names = list(missing)
        for start in range(0, len(names), batch_size):
            some = names[start : start + batch_size]
            pixels = torch.cat([images.take([row]) for images, row in (missing[name] for name in some)])
            maps = backbone(pixels)
            if shard is None:
                self._free_space(len(names) * maps[0].nbytes, key)
                shard = self._allocate((len(names), *maps.shape[1:]), maps.dtype)
            shard[start : start + len(some)] = maps
            advance(len(some))
        if shard is not None:
            view.place |= {name: (len(view.shards), row) for row, name in enumerate(names)}
            view.shards.append(shard)
        return [view.maps(hashes) for _, hashes in wanted]

    def missing(self, key: str, hashes: Sequence[str]) -> int:
        """Return how many different images of ``hashes`` have no map yet."""
        return len(set(hashes) - (self._views[key].place.keys() if key in self._views else set()))


def view_key(model: Classifier, recipe: Recipe, device: str, precision: str) -> str:
    """Return a name for the backbone's maps: equal names only for equal numbers.

    Made from the backbone's name and padding, its weights and statistics themselves, size, normalisation, and where
    and in which precision it runs.
    """
    network = recipe.network
    padding = network.pretrained.padding if isinstance(network.pretrained, Pretrained) else None
    sizes = (recipe.input.size, recipe.input.channels)
    parts_of_key = (network.name, network.symmetric, padding, *sizes, device, precision)
    digest = hashlib.sha256(repr(parts_of_key).encode())
    for name, tensor in {"mean": model.mean, "std": model.std, **model.trunk.state_dict()}.items():
        digest.update(name.encode())
        digest.update(tensor.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()


def _backbone(model: Classifier, device: str, precision: str) -> Callable[[Tensor], Tensor]:
    """Return the frozen backbone as a function of images uint8, run as Lightning runs it in ``precision``."""
    half = {"bf16-mixed": torch.bfloat16, "16-mixed": torch.float16}.get(precision)

    def forward(image: Tensor) -> Tensor:
        with torch.inference_mode(), torch.autocast(device, dtype=half, enabled=half is not None):
            return model.features(image.to(device).float() / 255).cpu()

    return forward


class HeadLearner(Learner):
    """A learner whose batches hold feature maps [N, D, h, w] in place of images; only the head runs."""

    def logits(self, batch: Batch, *, augmented: bool) -> Tensor:
        """Return the logits [N, C] of a batch of feature maps; they are never augmented."""
        return self.model.to_logits(self.model.head(batch.image))


@contextmanager
def learning_parts(
    plan: Plan,
    parts: dict[str, Part],
    name_images: Callable[[], Mapping[str, Sequence[str]]],
    model: Classifier,
    folder: Path,
    *,
    device: str,
    precision: str,
    ranks: Ranks,
    features: FeatureStore | None,
    callbacks: Callbacks = SILENT,
) -> Iterator[tuple[dict[str, Part], type[Learner]]]:
    """Yield the parts that the training sees, and their learner: feature maps where these give the same training.

    Args:
        plan: Recipe and data.
        parts: Cached images of each part.
        name_images: Returns a name for each image of ``train`` and ``validation`` that tells its pixels: its SHA-256.
            It is called where feature maps are kept.
        model: With its starting weights.
        folder: The run's; ``features.json`` there says how long the pass over the images took.
        device: Where the backbone runs.
        precision: Lightning's name of it.
        ranks: The processes that train together.
        features: Where maps are kept; None for a store of this run's own.
        callbacks: Receive what happens, and why the backbone may have to run in each epoch.
    """
    recipe = plan.recipe
    if not recipe.network.frozen:
        yield parts, Learner
        return
    each_epoch = "the frozen backbone runs in each epoch"
    if not recipe.augment.off:
        callbacks.message(f"note: {each_epoch}, since the recipe augments the images it sees")
        yield parts, Learner
        return
    if not ranks.alone:
        if ranks.first:
            callbacks.message(f"note: {each_epoch}: only a process that trains alone keeps feature maps")
        yield parts, Learner
        return
    with _opened(features) as store:
        model.to(device)
        key, hashes = view_key(model, recipe, device, precision), name_images()
        every = [name for part in SEEN for name in hashes[part]]
        todo, started = store.missing(key, every), time.perf_counter()
        try:
            with callbacks.counting("feature maps of the frozen backbone", todo) as advance:
                learnt_maps = store.maps(
                    key,
                    [(parts[part].images, hashes[part]) for part in SEEN],
                    _backbone(model, device, precision),
                    batch_size=BATCH.get(device, 64),
                    advance=advance,
                )
        except DoesNotFitError as error:
            callbacks.message(f"note: {each_epoch}: {error}")
            yield parts, Learner
            return
        seconds = time.perf_counter() - started
        reused = len(set(every)) - todo
        callbacks.message(
            f"note: the frozen backbone ran once over {todo} images ({seconds:.0f} s, {reused} more were kept from "
            f"before); the head learns from {store.bytes / 1e9:.2g} GB of kept feature maps"
        )
        write_json(folder / "features.json", {"computed": todo, "found": reused, "seconds": seconds})
        learnt = {
            part: Part(maps, parts[part].targets, parts[part].keys)
            for part, maps in zip(SEEN, learnt_maps, strict=True)
        }
        yield parts | learnt, HeadLearner


@contextmanager
def _opened(features: FeatureStore | None) -> Iterator[FeatureStore]:
    """Yield the given store, or one that lasts as long as the block."""
    if features is not None:
        yield features
        return
    with FeatureStore() as own:
        yield own
