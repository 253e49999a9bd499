"""Objects in by STOW-RS: through the same receiver as C-STORE, answered with the module of PS3.18 Annex I."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pneumoscope.server.dicom.objects.analysed import ANALYSED, read_meta
from pneumoscope.server.dicom.receiving.receive import NEVER_ANALYSED, OUT_OF_RESOURCES, SUCCESS, TOO_BUSY, Receipt

SOP_CLASS_NOT_SUPPORTED = 0x0122
"""FailureReason of an object of another class (PS3.18 I.2.2)."""


@dataclass(frozen=True, slots=True)
class StoredPart:
    """A part of a request, and what became of it."""

    sop_class: str
    sop_uid: str
    """Both as the file meta information says; empty where it does not."""
    receipt: Receipt

    @property
    def reason(self) -> int:
        """FailureReason: the status of C-STORE, but for a class that is not taken, which has a number of its own."""
        status = self.receipt.status
        known = self.sop_class in ANALYSED
        return SOP_CLASS_NOT_SUPPORTED if status == NEVER_ANALYSED and not known else status


def read_reference(data: bytes) -> tuple[str, str]:
    """Return SOP class and SOP instance of an object by its file meta information (PS3.10 7.1); empty where unknown."""
    try:
        meta = read_meta(data)
        return str(meta.get("MediaStorageSOPClassUID", "")), str(meta.get("MediaStorageSOPInstanceUID", ""))
    except Exception:  # malformed meta information can fail in many ways; the decoder says what is wrong
        return "", ""


def status_of(parts: Sequence[StoredPart]) -> int:
    """Return the status of HTTP for a request (PS3.18 table 10.5.3-1); 503 where all may be sent again later."""
    failed = [part for part in parts if part.receipt.status != SUCCESS]
    if not failed:
        return 200
    if len(failed) < len(parts):
        return 202
    return 503 if all(part.receipt.status in (OUT_OF_RESOURCES, TOO_BUSY) for part in failed) else 409


def describe(parts: Sequence[StoredPart], addresses: Mapping[str, str]) -> dict[str, Any]:
    """Return the Store Instances Response Module as DICOM JSON.

    Args:
        parts: Of the request.
        addresses: Where objects can be retrieved, by SOPInstanceUID. Of the others RetrieveURL is empty, as where an
            object is not available (PS3.18 I.2.1).
    """
    stored, failed, nameless = [], [], []
    for part in parts:
        reference = _element("00081150", "UI", part.sop_class) | _element("00081155", "UI", part.sop_uid)
        if part.receipt.status == SUCCESS:
            where = addresses.get(part.sop_uid)
            stored.append(
                reference | ({"00081190": {"vr": "UR"}} if where is None else _element("00081190", "UR", where))
            )
        elif part.sop_uid:
            failed.append(reference | _element("00081197", "US", part.reason))
        else:
            nameless.append(_element("00081197", "US", part.reason))
    sequences = {"00081198": failed, "00081199": stored, "0008119A": nameless}
    answer = {"00081190": {"vr": "UR"}}
    return answer | {tag: {"vr": "SQ", "Value": items} for tag, items in sequences.items() if items}


def _element(tag: str, vr: str, value: object) -> dict[str, Any]:
    return {tag: {"vr": vr, "Value": [value]}}
