"""An archive on loopback that answers searches and moves as a test tells it, and not as the standard does."""

from __future__ import annotations

import threading
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from io import BytesIO
from typing import Any

import pydicom
from pydicom import Dataset

from server.dicom.orthanc import TITLE, free_port

US = "PNEUMOSCOPE"
_IMAGES = ("1.2.840.10008.5.1.4.1.1.1", "1.2.840.10008.5.1.4.1.1.1.1")


@dataclass
class LyingArchive:
    """What an archive does, and what it was asked."""

    node: int
    """Port of the node that it sends to."""
    port: int = field(default_factory=free_port)
    studies: Sequence[Dataset] = ()
    """Matches of each search for studies."""
    series: Sequence[Dataset] = ()
    objects: Sequence[bytes] = ()
    """What a move sends."""
    names_itself: bool = True
    """Whether what it sends names the move."""
    message: int | None = None
    """The Message ID that it names; None: the one that it was asked with."""
    knows_us: bool = True
    """Whether it knows the node as a destination."""
    find_status: int | None = None
    """With which it ends a search without a match."""
    move_status: int | None = None
    """With which it ends a move whose objects it has sent; None: success."""
    silence: threading.Event | None = None
    """It answers nothing until this is set."""
    title: str = TITLE
    """With which it sends."""
    answers: list[int] = field(default_factory=list)
    """Statuses with which its objects were answered."""
    keys: list[Dataset] = field(default_factory=list)
    """What it was asked for."""

    def find(self, event: Any) -> Iterator[tuple[int, Dataset | None]]:
        """Answer a search."""
        self.keys.append(event.identifier)
        if self.silence is not None:
            self.silence.wait(30)
        if self.find_status is not None:
            yield self.find_status, None
            return
        for match in self.studies if event.identifier.QueryRetrieveLevel == "STUDY" else self.series:
            yield 0xFF00, match

    def move(self, event: Any) -> Iterator[Any]:
        """Answer a move."""

        self.keys.append(event.identifier)
        if self.silence is not None:
            self.silence.wait(30)
        if not self.knows_us:
            yield None, None
            return
        self.send(event.move_destination, event.request.MessageID if self.message is None else self.message)
        # pynetdicom would send for itself and name the move truly; it has nothing left to send.
        yield "127.0.0.1", self.port
        yield 0 if self.move_status is None else 1
        if self.move_status is not None:
            yield self.move_status, None

    @contextmanager
    def listen(self) -> Iterator[LyingArchive]:
        """Answer for the length of a block."""
        from pynetdicom import AE, evt

        entity = AE(ae_title=TITLE)
        for uid in ("1.2.840.10008.1.1", "1.2.840.10008.5.1.4.1.2.2.1", "1.2.840.10008.5.1.4.1.2.2.2"):
            entity.add_supported_context(uid)
        handlers: list[Any] = [(evt.EVT_C_FIND, self.find), (evt.EVT_C_MOVE, self.move)]
        server = entity.start_server(("127.0.0.1", self.port), block=False, evt_handlers=handlers)
        try:
            yield self
        finally:
            if self.silence is not None:
                self.silence.set()
            server.shutdown()

    def send(self, destination: str, message: int) -> None:
        """Send the objects."""
        from pynetdicom import AE

        entity = AE(ae_title=self.title)
        for uid in _IMAGES:
            entity.add_requested_context(uid)
        association = entity.associate("127.0.0.1", self.node, ae_title=destination)
        assert association.is_established
        named = {"originator_aet": US, "originator_id": message} if self.names_itself else {}
        for data in self.objects:
            status = association.send_c_store(pydicom.dcmread(BytesIO(data)), **named)
            self.answers.append(int(status.Status) if "Status" in status else -1)
        association.release()


def study_match(number: int, date: str = "20240101", **tags: Any) -> Dataset:
    """A match of a search for Jane Doe's studies."""
    match = Dataset()
    match.QueryRetrieveLevel, match.StudyInstanceUID, match.StudyDate = "STUDY", f"1.2.3.{number}", date
    match.PatientID, match.PatientBirthDate, match.ModalitiesInStudy = "4711", "19300102", "DX"
    _set(match, tags)
    return match


def series_match(number: int, **tags: Any) -> Dataset:
    """A match of a search for the series of a study."""
    match = Dataset()
    match.QueryRetrieveLevel, match.StudyInstanceUID, match.Modality = "SERIES", f"1.2.3.{number}", "DX"
    match.SeriesInstanceUID, match.BodyPartExamined = f"1.2.3.{number}.2", "CHEST"
    _set(match, tags)
    return match


def _set(match: Dataset, tags: dict[str, Any]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # pydicom's own, of wrong values
        for keyword, value in tags.items():
            setattr(match, keyword, value)
