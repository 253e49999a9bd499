"""The study's database: SQLite in a file, or PostgreSQL for several machines.

All trials of a study are planned as numbered *slots* that wait in the database. A worker takes a waiting slot in one
atomic step, so that however many workers there are, on however many machines, each slot is worked on once and their
number is the number asked for. A missing heartbeat shows that a worker has died: its slot goes back into the queue.
"""

from __future__ import annotations

import re
import threading
import time
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Literal

import optuna
from optuna.exceptions import DuplicatedStudyError, ExperimentalWarning, UpdateFinishedTrialError
from optuna.storages import RDBStorage, fail_stale_trials
from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState
from sqlalchemy import Column, MetaData, String, Table, insert
from sqlalchemy.engine import make_url
from sqlalchemy.exc import IntegrityError, SQLAlchemyError

from pneumoscope.core.arguments import argument
from pneumoscope.core.errors import MissingExtraError, RunError, UsageError
from pneumoscope.tuning.space import Point

Goal = Literal["maximize", "minimize"]
SLOT, ATTEMPT, WHY = "slot", "attempt", "why"
HEARTBEAT = 15
"""Seconds between the signs of life of a worker; after four without one its trial counts as lost."""

MOST_ATTEMPTS = 3
PATIENCE = 60
"""Seconds to wait for another process that is planning the same slots."""


@contextmanager
def _quiet() -> Iterator[None]:
    """Silence Optuna's notice that heartbeats are experimental: no user can act on it."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExperimentalWarning)
        yield


def default_url(folder: Path) -> str:
    """Return the default database of a folder's study."""
    return f"sqlite:///{(folder / 'study.db').resolve()}"


def open_storage(url: str, heartbeat: float = HEARTBEAT) -> RDBStorage:
    """Open a study's database, making its tables if it has none.

    Args:
        url: ``sqlite:///t.db`` or ``postgresql://user:password@host/database``.
        heartbeat: Seconds between signs of life.

    Raises:
        UsageError: It is not such an address.
        MissingExtraError: PostgreSQL without its driver.
        RunError: The database cannot be reached. A password in the address is not shown.
    """
    try:
        parsed = make_url(url)
    except (SQLAlchemyError, ValueError) as error:  # the latter: of a port that is no number
        shown = re.sub(r"(://[^:/@]*:)[^/]*@", r"\1***@", url)
        raise UsageError(argument("storage", shown), "is no database address.", "Say sqlite:///t.db.") from error
    shown = parsed.render_as_string(hide_password=True)
    if parsed.get_backend_name() not in ("sqlite", "postgresql"):
        raise UsageError(argument("storage", shown), "must be sqlite:///... or postgresql://...", "Say sqlite:///t.db.")
    options: dict[str, Any] = {"pool_pre_ping": True}
    if parsed.get_backend_name() == "postgresql":
        parsed = parsed.set(drivername="postgresql+psycopg")
    elif parsed.database:
        Path(parsed.database).parent.mkdir(parents=True, exist_ok=True)
        options = {"connect_args": {"timeout": 60}}  # seconds that a writer waits for another
    try:
        with _quiet():
            return RDBStorage(
                parsed.render_as_string(hide_password=False),
                engine_kwargs=options,
                heartbeat_interval=max(1, round(heartbeat)),
                grace_period=max(2, round(4 * heartbeat)),
                heartbeat_stale_trial_callback=requeue,
            )
    except ImportError as error:  # Optuna's own text does not name this package's extra
        raise MissingExtraError(argument("storage", shown), "postgres") from error
    except SQLAlchemyError as error:
        reason = str(error.__cause__ or error).strip().splitlines()[0]
        way_out = "Make room on its disk." if "full" in reason else "Is it running, and the name right?"
        raise RunError(argument("storage", shown), f"cannot be opened: {reason}.", way_out) from None


def close(storage: RDBStorage) -> None:
    """Close the connections to the database; the next use opens new ones."""
    storage.remove_session()
    storage.engine.dispose()


def requeue(study: Study, trial: FrozenTrial, lost: bool = True) -> None:
    """Put the slot of a trial back into the queue, with its settings if it had any.

    Args:
        study: Its study.
        trial: A trial that did not end by itself.
        lost: Its worker died, which may be its fault: it is tried three times at most.
    """
    attempt = int(trial.user_attrs.get(ATTEMPT, 1)) + lost
    if attempt <= MOST_ATTEMPTS:
        fixed = dict(trial.params) or dict(trial.system_attrs.get("fixed_params", {}))
        study.enqueue_trial(fixed, user_attrs={SLOT: trial.user_attrs[SLOT], ATTEMPT: attempt})


def open_study(storage: RDBStorage, name: str, direction: Goal, identity: Mapping[str, Any]) -> Study:
    """Make the study, or take part in the one of that name.

    Raises:
        RunError: The study of that name searches for something else, or on other data.
    """
    with _quiet():
        try:
            study = optuna.create_study(study_name=name, storage=storage, direction=direction)
            for key, value in identity.items():
                study.set_user_attr(key, value)
        except DuplicatedStudyError:
            study = optuna.load_study(study_name=name, storage=storage)
    deadline = time.monotonic() + PATIENCE
    while not identity.keys() <= study.user_attrs.keys() and time.monotonic() < deadline:
        time.sleep(0.2)  # another process has just created it
    there = study.user_attrs
    differing = [
        f"{key} was {_short(there.get(key))}, is {_short(value)}"
        for key, value in identity.items()
        if there.get(key) != value
    ]
    if differing:
        problem = f"was started with something else: {'; '.join(differing)}."
        raise RunError(f"study {name!r}", problem, "Choose another `name` or `out`.")
    return study


def _short(value: Any) -> str:
    text = str(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def claim(storage: RDBStorage, name: str) -> bool:
    """Return True to the first caller of all processes that share the database, False to every later one."""
    table = Table("pneumoscope_claims", MetaData(), Column("name", String(512), primary_key=True))
    try:
        table.create(storage.engine, checkfirst=True)
    except SQLAlchemyError:
        time.sleep(0.5)  # another process creates it at this moment
        table.create(storage.engine, checkfirst=True)
    try:
        with storage.engine.begin() as connection:
            connection.execute(insert(table).values(name=name))
    except IntegrityError:
        return False
    return True


def unclaim(storage: RDBStorage, name: str) -> None:
    """Give a claim back: its task was not done."""
    table = Table("pneumoscope_claims", MetaData(), Column("name", String(512), primary_key=True))
    with storage.engine.begin() as connection:
        connection.execute(table.delete().where(table.c.name == name))


def slots_of(study: Study) -> set[int]:
    """Return the numbers of the slots that are planned."""
    return {int(trial.user_attrs[SLOT]) for trial in study.get_trials(deepcopy=False) if SLOT in trial.user_attrs}


def plan_slots(study: Study, storage: RDBStorage, points: Sequence[Point]) -> int:
    """Make sure that there is a slot for each of ``points``; an empty point leaves the setting to the sampler.

    One process plans, the others wait for it. Slots that are there already stay as they are.

    Returns:
        How many slots the study has.
    """
    wanted = set(range(len(points)))
    mine = claim(storage, f"{study.study_name}: {len(points)} slots")
    deadline = time.monotonic() + PATIENCE
    while not mine and not wanted <= slots_of(study) and time.monotonic() < deadline:
        time.sleep(0.2)
    for slot in sorted(wanted - slots_of(study)):  # the other process may have been killed half way
        study.enqueue_trial(dict(points[slot]), user_attrs={SLOT: slot})
    return len(slots_of(study))


def list_unfinished(study: Study, below: int, *states: TrialState) -> list[FrozenTrial]:
    """Return the trials of slots under ``below`` that are in one of the states, in the order in which they came."""
    trials = study.get_trials(deepcopy=False, states=states)
    return sorted((t for t in trials if int(t.user_attrs[SLOT]) < below), key=lambda trial: trial.number)


def take_trial(study: Study, storage: RDBStorage, below: int) -> tuple[int, FrozenTrial] | None:
    """Take a waiting slot under ``below``, so that no other worker has it; None if none waits.

    Returns:
        The trial's id in the database, and what it says.
    """
    study_id = storage.get_study_id_from_name(study.study_name)
    for trial in list_unfinished(study, below, TrialState.WAITING):
        trial_id = storage.get_trial_id_from_study_id_trial_number(study_id, trial.number)
        storage.record_heartbeat(trial_id)  # first, so that a worker that dies right afterwards is missed too
        try:
            if storage.set_trial_state_values(trial_id, TrialState.RUNNING):
                return trial_id, trial
        except UpdateFinishedTrialError:
            continue
    return None


def requeue_lost(study: Study) -> None:
    """Put the slots of workers that gave no sign of life back into the queue."""
    with _quiet():
        fail_stale_trials(study)


@contextmanager
def heartbeat(storage: RDBStorage, trial_id: int) -> Iterator[None]:
    """Give signs of life for a trial while the block runs."""
    done = threading.Event()

    def beat() -> None:
        while not done.wait(storage.get_heartbeat_interval()):
            with suppress(SQLAlchemyError):  # a busy database: the next sign will do
                storage.record_heartbeat(trial_id)
        storage.remove_session()  # this thread's own

    thread = threading.Thread(target=beat, daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()
