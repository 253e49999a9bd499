"""Batch-norm with the statistics of the whole batch, where several processes share it.

`torch.nn.SyncBatchNorm` does this on GPUs only, and putting it in place drops the activation that timm's batch-norm
layers hold. Here the layers stay as they are: while this mode is on, the function that all of them call is replaced.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
import torch.distributed as dist
import torch.nn.functional as F  # noqa: N812  # torch's own name for it
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.overrides import TorchFunctionMode


def _statistics(x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return mean [C], biased variance [C] and count [] of ``x`` [n, C, ...] over all processes; n may be 0 in some.

    Each process gives its own mean and variance, which are then combined (Chan, Golub and LeVeque 1979): sums of
    squares would lose digits. The order is that of the ranks, so that the bits are the same in every process.
    """
    dims = [d for d in range(x.dim()) if d != 1]
    own = torch.zeros(2 * x.shape[1] + 1, device=x.device)
    if x.numel():
        variance, mean = torch.var_mean(x.float(), dims, correction=0)
        own = torch.cat((mean, variance, own.new_tensor([x.numel() / x.shape[1]])))
    every = [torch.empty_like(own) for _ in range(dist.get_world_size())]
    dist.all_gather(every, own)
    table = torch.stack(every)
    means, variances, counts = table[:, : x.shape[1]], table[:, x.shape[1] : -1], table[:, -1:]
    count = counts.sum()
    mean = (means * counts).sum(0) / count
    variance = ((variances + (means - mean) ** 2) * counts).sum(0) / count
    return mean, variance, count


class _Normalise(torch.autograd.Function):
    """(x - mean) / sqrt(variance + eps) * weight + bias, whose statistics depend on the x of all processes."""

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, weight: Tensor | None, bias: Tensor | None, stats: Sequence[Tensor], eps: float
    ) -> Tensor:
        mean, variance, count = stats
        ctx.save_for_backward(x, weight, mean, torch.rsqrt(variance + eps), count)
        return F.batch_norm(x, mean, variance, weight, bias, False, 0.0, eps) if x.numel() else torch.zeros_like(x)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        # Ioffe and Szegedy, ICML 2015, section 3; the two sums run over the images of all processes.
        x, weight, mean, scale, count = ctx.saved_tensors
        dims = [d for d in range(x.dim()) if d != 1]
        shape = [1, -1] + [1] * (x.dim() - 2)
        grad_output = grad.float()
        centred = (x.float() - mean.view(shape)) * scale.view(shape)
        own = torch.stack((grad_output.sum(dims), (grad_output * centred).sum(dims)))
        total = own.clone()
        dist.all_reduce(total)
        from_mean, from_variance = (total / count).view(2, *shape)
        factor = scale if weight is None else scale * weight
        grad_x = (grad_output - from_mean - centred * from_variance) * factor.view(shape)
        if weight is None:
            return grad_x.to(x.dtype), None, None, None, None
        # Those of weight and bias stay this process's own: DDP adds them up with all other gradients.
        return grad_x.to(x.dtype), own[1].to(weight.dtype), own[0].to(weight.dtype), None, None


def global_batch_norm(
    x: Tensor,
    running_mean: Tensor | None,
    running_var: Tensor | None,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    training: bool = False,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Tensor:
    """`torch.nn.functional.batch_norm` of ``x`` [n, C, ...], the batch being that of all processes."""
    if not training:
        return F.batch_norm(x, running_mean, running_var, weight, bias, training, momentum, eps)
    with torch.no_grad():
        mean, variance, count = _statistics(x)
        if running_mean is not None and running_var is not None:
            running_mean.lerp_(mean, momentum)
            running_var.lerp_(variance * count / (count - 1), momentum)
    apply: Callable[..., Tensor] = _Normalise.apply
    return apply(x, weight, bias, (mean, variance, count), eps)


class GlobalBatchNorm(TorchFunctionMode):
    """While it is on, every batch-norm that trains takes the statistics of all processes' images."""

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """Replace one function and pass on the others."""
        return (global_batch_norm if func is F.batch_norm else func)(*args, **(kwargs or {}))
