"""The sections of a recipe: network, head, input, augmentation, loss, optimizer, schedule and training."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, field_validator, model_validator

from pneumoscope.core.frozen import Frozen
from pneumoscope.recipes.pretrained import Pretrained, parse_pretrained

Fraction = Annotated[float, Field(ge=0, le=1)]
Positive = Annotated[float, Field(gt=0)]


class Network(Frozen):
    """The trunk: any timm backbone, or one of the classic networks, by name."""

    name: str
    pretrained: Pretrained | Literal["imagenet"] | None = None
    frozen: bool = False
    initialisation: Literal["torch", "keras"] = "torch"
    drop_path: Fraction = 0.0
    # Left out of the YAML where it is empty: recipes written before it was there still compare equal.
    dropout: tuple[Fraction, ...] = Field(
        default=(),
        exclude_if=lambda rates: not rates,
        description="rate of each dropout layer in a classic trunk, in order; empty: the network's own",
    )
    stored: Literal["float32", "float16"] = Field(
        default="float32",
        exclude_if=lambda stored: stored == "float32",
        description="type in which a bundle's graph stores the convolutions' weights; it computes in float32",
    )
    symmetric: bool = Field(
        default=False,
        exclude_if=lambda symmetric: not symmetric,
        description="the map is the mean of the image's and the mirror image's: no answer tells left from right",
    )

    @field_validator("pretrained", mode="before")
    @classmethod
    def _parse_pretrained(cls, value: Any) -> Any:
        return parse_pretrained(value)


class Head(Frozen):
    """The classifier on the last feature map.

    ``linear`` and ``mlp`` stand on the pooled map, ``flatten-mlp`` on the flattened one. ``dropout`` gives the rate
    before each dense layer, so one more than there are hidden layers; a single number stands for all.
    """

    kind: Literal["linear", "mlp", "flatten-mlp"] = "linear"
    hidden: tuple[int, ...] = ()
    dropout: tuple[Fraction, ...] | Fraction = 0.0
    # Left out of the YAML where they are the default: recipes written before they were there still compare equal.
    pool: Literal["mean", "mean-max"] = Field(
        default="mean",
        exclude_if=lambda pool: pool == "mean",
        description="what is taken of each channel of the map; mean-max: its mean and its largest value",
    )
    standardise: bool = Field(
        default=False,
        exclude_if=lambda standardise: not standardise,
        description="give each pooled feature mean 0 and variance 1 over the training images",
    )

    @model_validator(mode="after")
    def _consistent(self) -> Head:
        if self.kind == "linear" and self.hidden:
            raise ValueError("a linear head has no hidden layers; use kind: mlp")
        if self.kind != "linear" and not self.hidden:
            raise ValueError(f"a {self.kind} head needs hidden: [sizes]")
        if self.kind == "flatten-mlp" and (self.pool != "mean" or self.standardise):
            raise ValueError("a flatten-mlp head pools nothing; leave out pool and standardise")
        if isinstance(self.dropout, tuple) and len(self.dropout) != len(self.hidden) + 1:
            raise ValueError(f"dropout needs {len(self.hidden) + 1} rates, one before each dense layer")
        return self

    @property
    def dropout_rates(self) -> tuple[float, ...]:
        """The rate before each dense layer."""
        return self.dropout if isinstance(self.dropout, tuple) else (self.dropout,) * (len(self.hidden) + 1)


class Input(Frozen):
    """The square that the graph resizes to, and its normalisation where the weights do not bring their own."""

    size: int = Field(ge=16, le=2048)
    channels: Literal[1, 3] = 3
    mean: tuple[float, ...] = (0.0,)
    std: tuple[Positive, ...] = (1.0,)


class Augment(Frozen):
    """Random changes of the training images; each range is symmetric and uniform."""

    rotation: float = Field(default=0.0, ge=0, le=180, description="degrees")
    zoom: Fraction = Field(default=0.0, description="scale between 1 - zoom and 1 + zoom")
    shift: Fraction = Field(default=0.0, description="share of the side")
    shear: float = Field(default=0.0, ge=0, le=45, description="degrees")
    horizontal_flip: Fraction = Field(default=0.0, description="probability")
    brightness: Fraction = Field(default=0.0, description="added to the pixel, which is 0..1")
    contrast: Fraction = Field(default=0.0, description="factor about the image's mean, 1 - c to 1 + c")
    gamma: Fraction = Field(default=0.0, description="exponent between 1/(1 + g) and 1 + g")
    noise: Fraction = Field(default=0.0, description="largest standard deviation of Gaussian noise")
    blur: float = Field(default=0.0, ge=0, description="largest standard deviation of a Gaussian blur, in pixels")
    erase: Fraction = Field(default=0.0, description="probability of a rectangle of noise, to unlearn markers")
    fill: Literal["zeros", "border"] = "zeros"
    exchange_corners: bool = Field(
        default=False,
        description="two copies of each image with the corners of others, of another class and of any",
    )

    @property
    def off(self) -> bool:
        """Whether every epoch sees the same pixels."""
        return self == Augment(fill=self.fill, exchange_corners=self.exchange_corners)


class Loss(Frozen):
    """What is minimised.

    In a multi-label task ``class_weights`` are the weights of present findings against absent ones; ``balanced`` gives
    each finding the number of absent images over that of present ones.
    """

    kind: Literal["cross-entropy", "nll", "bce", "focal", "asymmetric"] = "cross-entropy"
    class_weights: Literal["none", "balanced"] | tuple[Positive, ...] = "none"
    label_smoothing: Fraction = 0.0
    focal_gamma: float = Field(default=2.0, ge=0)
    # Left out of the YAML where they are the default: recipes written before they were there still compare equal.
    negative_gamma: float = Field(
        default=4.0,
        ge=0,
        exclude_if=lambda value: value == 4.0,
        description="asymmetric: the exponent that makes easy absent findings count less; present ones have none",
    )
    clip: Fraction = Field(
        default=0.05,
        exclude_if=lambda value: value == 0.05,
        description="asymmetric: probability of an absent finding under which it counts as learnt",
    )


class Optimizer(Frozen):
    """How it is minimised.

    ``lbfgs`` finds the minimum of a frozen network's head over the whole training part at once: an epoch is up to 50 of
    its iterations, and ``weight_decay`` is the factor of half the squared weights in the loss.
    """

    kind: Literal["sgd", "rmsprop", "adam", "adamw", "adagrad", "lbfgs"]
    lr: Positive
    momentum: Fraction = 0.0
    nesterov: bool = False
    weight_decay: float = Field(default=0.0, ge=0)
    rho: Fraction = Field(default=0.99, description="RMSprop's smoothing; Keras uses .9")
    eps: Positive = 1e-8
    backbone_lr_factor: Positive = Field(default=1.0, description="the trunk's share of the learning rate")
    clip_norm: float | None = Field(default=None, gt=0)


class Schedule(Frozen):
    """How the learning rate changes."""

    kind: Literal["constant", "cosine", "one-cycle", "plateau"] = "constant"
    warmup_epochs: float = Field(default=0.0, ge=0)
    floor: float = Field(default=0.0, ge=0, description="cosine: share of the rate at the end; plateau: the rate")
    monitor: Literal["validation_loss", "validation_accuracy", "validation_balanced_accuracy", "validation_auroc"] = (
        "validation_accuracy"
    )
    patience: int = Field(default=2, ge=0)
    factor: Annotated[float, Field(gt=0, lt=1)] = 0.1


class EarlyStopping(Frozen):
    """When to stop before the last epoch: no better value of the selection metric in so many epochs."""

    patience: int = Field(ge=1)


class Training(Frozen):
    """How long, how many at a time, from which seed."""

    epochs: int = Field(ge=1)
    batch_size: int = Field(ge=1)
    seed: int = Field(default=0, ge=0)
    sampling: Literal["shuffle", "balanced"] = "shuffle"
    early_stopping: EarlyStopping | None = None
    # Left out of the YAML where it is the default: recipes written before it was there still compare equal.
    fewest_groups: int = Field(
        default=10,
        ge=1,
        exclude_if=lambda number: number == 10,
        description="multilabel: groups of train that must have a finding, and as many that must not; half as many in "
        "each other part; a finding with fewer is left out",
    )

    @property
    def fewest_groups_beside(self) -> int:
        """The same for validation, calibration, and its half that chooses thresholds."""
        return (self.fewest_groups + 1) // 2


class Expects(Frozen):
    """The number of parameters for the recipe's own classes; Keras counts batch-norm statistics, torch does not."""

    parameters: int
    counting: Literal["keras", "torch"] = "torch"
