"""What the routes of the archive page answer: the node, what came, and what is quarantined."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from pydantic import BaseModel, Field

from pneumoscope.server.api.schemas.common import ID

Sender = Annotated[str, Field(description="`dicom:` and the AE title of a peer, or the number of an account")]


class PeerOut(BaseModel):
    """A peer that may send."""

    title: str
    address: str


class NodeOut(BaseModel):
    """The server as a DICOM node."""

    on: bool = Field(description="this server was started as a DICOM node")
    listening: bool = False
    title: str = Field("", description="its AE title")
    host: str = ""
    port: int = 0
    encryption: Literal["none", "server", "both"] = Field(
        "none", description="who shows a certificate: nobody, this server, or the peers too"
    )
    peers: list[PeerOut] = Field([], description="none: any program of this machine")
    models: list[str] = Field([], description="names of the models that are asked about each image")
    quiet_seconds: float = Field(0.0, description="without an object, after which a study is complete")


class ArrivalOut(BaseModel):
    """An object that came, or was refused."""

    id: int
    at: datetime
    sender: Sender
    address: str
    kind: Literal["image", "own result", "rejection note", "corrected header", "earlier study"]
    way: Literal["C-STORE", "STOW-RS"]
    study: str = Field(description="its number; empty: there is none")
    status: int = Field(description="of HTTP, as in the audit log")
    reason: str = Field(description="status of C-STORE (PS3.4 B.2.3) with which it was refused, as C003; empty: taken")
    sop_class: str = Field(description="UID of a refused object's SOP class, as its sender announced it; else empty")
    sop_class_name: str = Field(description="its name in the standard; empty: it has none there")
    sop_uid: str = Field(
        description="SOPInstanceUID of a refused object, for accounts that may see names, of the newest since the"
        " server's start; else empty"
    )


class ObjectApartOut(BaseModel):
    """An object with other pixels under the UID of an object that is here."""

    id: str = ID
    study: str = Field(description="number of the study of the object that was here first")
    sender: Sender
    received: datetime
    bytes: int | None = Field(description="None: its file is gone")
