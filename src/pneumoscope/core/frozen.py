"""The base of every record that is validated once and never changed."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class Frozen(BaseModel):
    """A frozen record: an unknown key is an error, and no field changes after validation."""

    model_config = ConfigDict(frozen=True, extra="forbid")
