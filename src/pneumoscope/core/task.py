"""The task of a model: the classes that it tells apart, and how the labels of a manifest become classes.

A binary or multiclass model gives an image one of its classes. A multi-label model asks of each finding whether the
image shows it: an image may have several, none, or findings of which nobody stated anything.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, model_validator

from pneumoscope.core.frozen import Frozen
from pneumoscope.core.label_rules import why_no_identifier
from pneumoscope.core.labels import LABELS, SEVERAL, is_none_label


def _as_tuple(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


class Task(Frozen):
    """The classes of a model. The first one is primary (the positive one, if there are two).

    The classes of a multi-label task are findings, none of which excludes another.
    """

    kind: Literal["binary", "multiclass", "multilabel"]
    classes: Annotated[tuple[str, ...], BeforeValidator(_as_tuple)] = Field(min_length=1)
    optional: tuple[str, ...] = Field(default=(), description="classes that are added if the data have them")
    map: dict[str, str] = Field(default_factory=dict, description="label of the manifest -> class, where they differ")
    ignore: tuple[str, ...] = Field(default=(), description="labels of the manifest whose images are left out")
    sigmoid_of: str | None = Field(default=None, description="binary: the class that the one output stands for")

    @model_validator(mode="after")
    def _consistent(self) -> Task:
        if self.kind == "binary" and len(self.classes) != 2:
            raise ValueError(f"a binary task has 2 classes, not {len(self.classes)}")
        if self.kind == "multiclass" and len(self.classes) < 2:
            raise ValueError("a multiclass task has at least 2 classes; for single findings write kind: multilabel")
        if len(set(self.classes)) < len(self.classes):
            raise ValueError(f"a class is named twice: {list(self.classes)}")
        if self.multilabel:
            self._check_findings()
        for name in (*self.classes, *self.map, *self.map.values(), *self.ignore, *self.optional):
            if name not in LABELS and (reason := why_no_identifier(name)):
                raise ValueError(f"{name!r} cannot name a label or class: {reason}")
        if self.kind == "binary" and self.sigmoid_of is not None and self.sigmoid_of not in self.classes:
            raise ValueError(f"sigmoid_of {self.sigmoid_of!r} is not one of the classes {list(self.classes)}")
        return self

    def _check_findings(self) -> None:
        for field in ("map", "optional", "sigmoid_of"):
            if getattr(self, field):
                raise ValueError(
                    f"a multilabel task has no {field}: each finding is a label of the manifest's findings, and the "
                    "vocabulary's parents say which includes which"
                )
        for name in self.classes:
            if name == SEVERAL or is_none_label(name):
                raise ValueError(f"{name!r} is no finding: an image without any has all its findings absent")

    @property
    def multilabel(self) -> bool:
        """Whether the classes are findings, none of which excludes another."""
        return self.kind == "multilabel"

    def class_of(self, label: str) -> str | None:
        """Return the class of a manifest's label; None if the recipe ignores it."""
        return None if label in self.ignore else self.map.get(label, label)

    def members(self, name: str) -> tuple[str, ...]:
        """Return the labels that make up a class: those of the vocabulary first, then the data's own."""
        labels = dict.fromkeys((*LABELS, *self.classes, *self.optional, *self.map))
        return tuple(label for label in labels if self.class_of(label) == name)
