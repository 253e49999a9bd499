"""When a study is complete, and its results are handed on.

Nothing in DICOM says which image is a study's last. So a study is complete when no object of it came for a while and
every model has answered. Each object that comes has a row until the results of its study were handed on after it: what
a crash interrupts is done again, and a late image makes its study arrive again. So does a final report that is signed.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from time import monotonic

from sqlalchemy import delete, exists, func, select

from pneumoscope.server.errors import ConflictError, NotFoundError
from pneumoscope.server.storage.database import Store
from pneumoscope.server.storage.tables import ArrivingObject, StoredPrediction

_EVERY = 1.0
"""Seconds between two looks; each is a query of the few objects that are arriving."""
_AT_ONCE = 3
"""Studies whose results are made at once: while the files of one are synced to the disk, the others are computed."""
_FIRST_PAUSE, _LONGEST_PAUSE = 10.0, 3600.0
"""Seconds after which a study whose results could not be handed on is tried again; they double each time."""

HandOn = Callable[[str], object]
"""Does with the results of a study, by its number, what is to be done with them. It may be called again."""


def find_complete(store: Store, quiet_seconds: float, clock: Callable[[], float]) -> list[str]:
    """Return the studies, the oldest first, that are complete and were not handed on since their last object.

    Args:
        store: The store.
        quiet_seconds: Without a further object.
        clock: Returns the time, in seconds since 1970.
    """
    last = func.max(ArrivingObject.received)
    waits = exists().where(
        StoredPrediction.study == ArrivingObject.study, StoredPrediction.state.in_(("queued", "running"))
    )
    query = (
        select(ArrivingObject.study)
        .where(~waits)
        .group_by(ArrivingObject.study)
        .having(last <= clock() - quiet_seconds)
        .order_by(last)
    )
    with store.read() as session:
        return list(session.scalars(query))


class CompletionWatch:
    """Hands on the results of complete studies, on threads of its own."""

    def __init__(self, store: Store, quiet_seconds: float, hand_on: HandOn, clock: Callable[[], float]) -> None:
        """Create the thread.

        Args:
            store: The store.
            quiet_seconds: See `find_complete`.
            hand_on: Called for each complete study, at least once.
            clock: See `find_complete`.
        """
        self._store = store
        self._quiet_seconds = quiet_seconds
        self._hand_on = hand_on
        self._clock = clock
        self._pauses: dict[str, tuple[float, float]] = {}
        """When a study that failed is tried again, and the pause after that."""
        self._stop = threading.Event()
        self._hands = ThreadPoolExecutor(_AT_ONCE)
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def start(self) -> None:
        """Start the thread, which looks at once."""
        self._thread.start()

    def stop(self) -> None:
        """End the threads; the studies at hand are finished first."""
        self._stop.set()
        self._thread.join()
        self._hands.shutdown()

    def _watch(self) -> None:
        while True:
            try:
                self.look()
            except Exception as error:  # a database that does not answer for a while; the next look finds them too
                logging.getLogger(__name__).error("complete studies: %s", type(error).__name__)
            if self._stop.wait(_EVERY):
                return

    def look(self) -> int:
        """Hand on the results of the studies that are complete now; return of how many."""
        due = [
            study
            for study in find_complete(self._store, self._quiet_seconds, self._clock)
            if self._pauses.get(study, (0.0, 0.0))[0] <= monotonic()
        ]
        return sum(self._hands.map(self._try, due))

    def _try(self, study: str) -> bool:
        """Hand on the results of a study; return whether that was done."""
        if self._stop.is_set():
            return False
        with self._store.read() as session:
            arrived = list(session.scalars(select(ArrivingObject.key).where(ArrivingObject.study == study)))
        try:
            self._hand_on(study)
        except NotFoundError:  # erased meanwhile: its rows have gone with it
            pass
        except ConflictError:  # another answer was asked for meanwhile: the next look waits for it
            return False
        except Exception as error:  # one study must not stop the others
            _, pause = self._pauses.get(study, (0.0, _FIRST_PAUSE))
            self._pauses[study] = monotonic() + pause, min(2 * pause, _LONGEST_PAUSE)
            logging.getLogger(__name__).error(
                "the results of study %s could not be handed on (%s); tried again in %g s",
                study,
                type(error).__name__,
                pause,
            )
            return False
        self._pauses.pop(study, None)
        # An object that came meanwhile keeps the study arriving. What a power cut takes of this is done again.
        over = delete(ArrivingObject).where(ArrivingObject.key.in_(arrived))
        self._store.commit(lambda session: session.execute(over) and None, durable=False)
        return True
