"""The lungs network learns from what was drawn, and from nothing else."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from pneumoscope.core.callbacks import Callbacks
from pneumoscope.core.errors import RunError
from pneumoscope.data.phantoms.phantom import draw
from pneumoscope.data.structures import STRUCTURES
from pneumoscope.training.lungs.augment import augment
from pneumoscope.training.lungs.fit import Outlined, fit_lungs, overlap_loss
from pneumoscope.training.lungs.measure import measure_outlines
from pneumoscope.training.lungs.network import LungUNet

SIDE = 64


@pytest.fixture(scope="module")
def outlined() -> Outlined:
    phantoms = [draw(5, index, "normal", SIDE) for index in range(4)]
    masks = np.zeros((4, len(STRUCTURES), SIDE, SIDE), np.bool_)
    masks[:, 0] = [phantom.lung_mask for phantom in phantoms]
    return Outlined(
        np.stack([(phantom.pixels * 255).astype(np.uint8) for phantom in phantoms]),
        masks,
        np.array([[True, False, False]] * 4),
        np.array([phantom.patient_id for phantom in phantoms]),
        np.array(["phantoms"] * 4),
    )


def test_exposure_and_contrast_change_no_outline(outlined: Outlined) -> None:
    torch.manual_seed(0)
    network = LungUNet(len(STRUCTURES)).eval()
    image = torch.from_numpy(outlined.images[:1])[None].float() / 255
    with torch.inference_mode():
        assert torch.allclose(network(image), network(image * 0.4 + 0.3), atol=2e-2)
        assert network(image).shape == (1, len(STRUCTURES), SIDE, SIDE)


def test_the_loss_sees_only_drawn_structures() -> None:
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn((2, 3, 8, 8), generator=generator)
    masks = (torch.rand((2, 3, 8, 8), generator=generator) > 0.5).float()
    drawn = torch.tensor([[1.0, 0, 0], [1, 1, 0]])
    other = masks.clone()
    other[0, 1:], other[1, 2] = 1 - other[0, 1:], 1 - other[1, 2]
    assert overlap_loss(logits, masks, drawn) == overlap_loss(logits, other, drawn)
    perfect = (masks * 2 - 1) * 50
    assert overlap_loss(perfect, masks, drawn) == pytest.approx(0, abs=1e-6)


def test_a_mask_moves_with_its_picture() -> None:
    mask = torch.zeros((16, 1, SIDE, SIDE))
    mask[:, :, 16:40, 8:30] = 1
    generator = torch.Generator().manual_seed(3)
    images, masks = augment(mask.clone(), mask, generator)
    assert not torch.equal(masks, mask)
    for image, moved in zip(images, masks, strict=True):
        # Exposure, noise and squares change the picture, and yet what was white is where the mask is.
        assert float(image[moved > 0].mean()) > float(image[moved == 0].mean()) + 0.1


def test_a_resumed_training_equals_an_uninterrupted_one(outlined: Outlined, tmp_path: Path) -> None:
    class Stopping(Callbacks):
        def message(self, text: str) -> None:
            if text.startswith("epoch 1 "):
                raise KeyboardInterrupt

    whole = fit_lungs(outlined, tmp_path / "whole.ckpt", epochs=2, batch_size=2)
    with pytest.raises(KeyboardInterrupt):
        fit_lungs(outlined, tmp_path / "part.ckpt", epochs=2, batch_size=2, callbacks=Stopping())
    resumed = fit_lungs(outlined, tmp_path / "part.ckpt", epochs=2, batch_size=2)
    for name, value in whole.state_dict().items():
        assert torch.equal(value, resumed.state_dict()[name]), name


def test_a_checkpoint_of_another_training_is_refused(outlined: Outlined, tmp_path: Path) -> None:
    path = tmp_path / "a.ckpt"
    fit_lungs(outlined, path, epochs=1, batch_size=4)
    other = outlined.where(np.arange(len(outlined)) < 3)
    with pytest.raises(RunError, match="other images, epochs or seed"):
        fit_lungs(other, path, epochs=1, batch_size=4)
    with pytest.raises(RunError, match="other images, epochs or seed"):
        fit_lungs(outlined, path, epochs=2, batch_size=4)
    path.write_bytes(b"junk")
    with pytest.raises(RunError, match="is no checkpoint of a lungs training, or is damaged"):
        fit_lungs(outlined, path, epochs=1, batch_size=4)


def test_outlines_are_measured_by_set_and_structure(outlined: Outlined) -> None:
    def perfect(pixels: np.ndarray) -> np.ndarray:
        row = next(i for i, image in enumerate(outlined.images) if np.array_equal(image, np.rint(pixels * 255)))
        return outlined.masks[row].astype(np.float32)

    (record,) = measure_outlines(perfect, outlined, "a", "b")
    assert (record.structure, record.images, record.measured_on) == ("lungs", 4, "phantoms: b")
    assert record.figures["dice"].value == record.figures["iou"].value == 1
    assert record.figures["edge-mean"].value == 0
    (nothing,) = measure_outlines(lambda pixels: np.zeros_like(outlined.masks[0], np.float32), outlined, "a", "b")
    assert nothing.figures["dice"].value == 0 and "edge-mean" not in nothing.figures
