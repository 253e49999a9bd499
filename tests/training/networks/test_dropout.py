"""Dropout against the binomial distribution and against the dropout of torch with the same mask."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

from pneumoscope.training.networks.dropout import Dropout, keep_mask  # noqa: E402

pytestmark = pytest.mark.torch


@pytest.mark.parametrize("p", [0.1, 0.2, 0.5, 0.97])
def test_the_share_dropped_is_binomial(p: float) -> None:
    torch.manual_seed(3)
    n = 400_001  # not a multiple of four
    dropped = n - int(keep_mask(torch.empty(n), p).sum())
    assert abs(dropped - n * p) < 4 * (n * p * (1 - p)) ** 0.5


def test_neighbours_are_independent() -> None:
    torch.manual_seed(4)
    kept = keep_mask(torch.empty(400_000), 0.3).double() - 0.7
    for lag in (1, 2, 3, 4):  # four elements share one draw
        correlation = float((kept[lag:] * kept[:-lag]).mean()) / 0.21
        assert abs(correlation) < 4 / 400_000**0.5


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_kept_elements_and_their_gradients_are_scaled(dtype: torch.dtype, layout: torch.memory_format) -> None:
    layer = Dropout(0.2)
    x = (torch.rand(3, 5, 7, 9) + 1).to(dtype).contiguous(memory_format=layout).requires_grad_()
    torch.manual_seed(5)
    y = layer(x)
    y.sum().backward()
    torch.manual_seed(5)
    keep = keep_mask(x, 0.2)
    assert y.dtype == dtype
    assert y.is_contiguous(memory_format=layout)
    expected = x.detach() * keep.to(dtype) * torch.tensor(1.25, dtype=dtype)
    torch.testing.assert_close(y.detach(), expected)
    torch.testing.assert_close(x.grad, keep.to(dtype) * torch.tensor(1.25, dtype=dtype))


def test_the_same_seed_gives_the_same_mask_and_the_next_draw_another() -> None:
    layer, x = Dropout(0.5), torch.ones(1000)
    torch.manual_seed(6)
    first, second = layer(x), layer(x)
    torch.manual_seed(6)
    assert torch.equal(layer(x), first)
    assert not torch.equal(first, second)


def test_evaluation_and_the_ends_of_the_range_agree_with_torch() -> None:
    x = torch.rand(64)
    assert torch.equal(Dropout(0.5).eval()(x), x)
    assert torch.equal(Dropout(0.0)(x), x)
    assert torch.equal(Dropout(1.0)(x), torch.zeros(64))
    rows = torch.rand(8, 8)[:, ::2]  # not dense: has gaps in memory
    assert set((Dropout(0.5)(rows) / rows).unique().tolist()) <= {0.0, 2.0}
