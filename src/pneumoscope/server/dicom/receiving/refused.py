"""What is said of refused objects and presentation contexts, so that a person finds them at their sender."""

from __future__ import annotations

import logging
import threading
from collections import OrderedDict
from collections.abc import Sequence
from typing import Any

_MOST_KEPT = 2000
"""SOPInstanceUIDs that are kept, the newest."""
_MOST_NAMED = 8
"""SOP classes of one line of the log."""
_MOST_LISTS = 20
"""Lines of the log about one address: a program that proposes other classes each time writes no more."""
_NO_SYNTAX = ", none of its transfer syntaxes"
_NO_CLASS = 0x03
"""Result of a presentation context: the SOP class is not supported (PS3.8 9.3.3.2)."""


class RefusedUids:
    """SOPInstanceUIDs of refused objects since the server's start, by the number of their line of the audit log.

    A UID leads to a patient elsewhere, and the audit log stays when a patient is erased: so they are kept in memory.
    """

    def __init__(self) -> None:
        """Begin with none."""
        self._lock = threading.Lock()
        self._uids: OrderedDict[str, str] = OrderedDict()

    def add(self, request: str, sop_uid: str) -> None:
        """Keep a UID.

        Args:
            request: Number of the line of the audit log.
            sop_uid: Of the object; empty: it states none.
        """
        with self._lock:
            self._uids[request] = sop_uid
            if len(self._uids) > _MOST_KEPT:
                self._uids.popitem(last=False)

    def find(self, request: str) -> str:
        """Return the UID of a line; empty: it is no longer kept."""
        with self._lock:
            return self._uids.get(request, "")


def name_class(sop_class: str) -> str:
    """Return the name of a SOP class (PS3.6 A); empty where its UID is none of the standard's."""
    from pydicom import config
    from pydicom.uid import UID

    name = UID(sop_class, config.IGNORE).name  # without a warning where a peer proposes what is no UID
    return "" if name == sop_class else name


class RefusedContexts:
    """Writes to the server's log which presentation contexts were refused, once for each peer and list."""

    def __init__(self) -> None:
        """Begin with no peer."""
        self._said: dict[str, set[object]] = {}
        self._lock = threading.Lock()

    def log(self, title: str, address: str, contexts: Sequence[Any]) -> None:
        """Write a line about contexts that were refused, unless it was written before.

        Args:
            title: AE title of the peer.
            address: Of the peer.
            contexts: Of pynetdicom, with their results.
        """
        found = dict.fromkeys((str(each.abstract_syntax), each.result == _NO_CLASS) for each in contexts)
        said = title, frozenset(found)
        with self._lock:
            before = self._said.setdefault(address, set())
            if not found or said in before or len(before) == _MOST_LISTS:
                return
            before.add(said)
            last = " (the last line about this address)" if len(before) == _MOST_LISTS else ""
        named = [
            f"{name_class(uid) or 'unknown class'} ({ascii(uid)[1:-1]}){'' if no_class else _NO_SYNTAX}"
            for uid, no_class in list(found)[:_MOST_NAMED]
        ]
        more = f" and {len(found) - len(named)} more" if len(found) > len(named) else ""
        words = "presentation contexts of %a at %s were refused: %s%s; what it sends by them is not taken%s"
        logging.getLogger(__name__).warning(words, title, address, "; ".join(named), more, last)
