"""Decoder processes do what a decoder does, errors keep their fields, and a dead process costs its own file only."""

from __future__ import annotations

import multiprocessing
import pickle
import time
import zlib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from io import BytesIO
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from typing import Any

import psutil
import pytest
from PIL import Image

from pneumoscope.core.errors import ImageError, MissingExtraError, PneumoscopeError
from pneumoscope.server.errors import BusyError, UnavailableError
from pneumoscope.server.inference.models import Catalogue
from pneumoscope.server.processes import start
from pneumoscope.server.settings import Settings
from pneumoscope.server.storage import blobs
from pneumoscope.server.storage.failures import disk_is_full
from pneumoscope.server.uploads import decoder_pool
from pneumoscope.server.uploads.decoder_pool import Decoder, DecoderPool, DecoderProtocol, SlowFileError
from pneumoscope.server.uploads.deidentify import deidentify
from pneumoscope.server.uploads.turns import FairTurns
from server.sample_files import dicom, png

_SLOW_SIDE = 9500
"""Side of a square that takes about a second to decode."""
_LARGEST: dict[str, int] = {"max_pixels": 100_000_000, "decoder_memory": 4 * 2**30}
"""Settings under which it is not refused for its size."""


@pytest.fixture
def pool(settings: Settings) -> Iterator[DecoderPool]:
    settings.files.mkdir(parents=True)
    pool = DecoderPool(settings, Catalogue(settings.models), 1)
    pool.start()
    yield pool
    pool.stop()


def test_a_decoder_process_does_what_a_decoder_does_and_survives_refusals(
    pool: DecoderPool, settings: Settings
) -> None:
    local = Decoder(settings.files, settings.max_pixels, Catalogue(settings.models))
    for number, data in enumerate((png(0.5), dicom())):
        with pool.borrow() as decoder:
            assert decoder.decode(data, "file 1", f"process{number}") == local.decode(data, "file 1", f"local{number}")
        paths = [blobs.path_of(settings.files, f"{place}{number}") for place in ("process", "local")]
        assert paths[0].read_bytes() == paths[1].read_bytes()
    with pool.borrow() as decoder, pytest.raises(ImageError, match="BurnedInAnnotation") as refused:
        decoder.decode(dicom({"BurnedInAnnotation": "YES"}), "file 7", "no")
    assert (refused.value.thing, refused.value.way_out[:4]) == ("file 7", "Mask")
    assert not blobs.path_of(settings.files, "no").exists()
    blobs.path_of(settings.files, "process2").write_bytes(b"")
    with pool.borrow() as decoder, pytest.raises(FileExistsError):
        decoder.decode(png(0.5), "file 1", "process2")


def test_a_decoder_that_dies_is_replaced_and_no_file_is_lost(pool: DecoderPool) -> None:
    (process,) = multiprocessing.active_children()
    process.kill()
    process.join()
    with pool.borrow() as decoder:
        assert decoder.decode(png(0.5), "file 1", "one").width == 40


def test_a_file_that_ends_decoders_is_refused_and_ends_nothing_else(
    pool: DecoderPool, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every decoder is dead before it can answer, as by a file that brings decoders down."""
    started: list[BaseProcess] = []

    def start_dead(target: Callable[..., object], *args: object) -> tuple[BaseProcess, Connection[Any, Any]]:
        process, connection = start(target, *args)
        process.kill()
        process.join()
        started.append(process)
        return process, connection

    (first,) = multiprocessing.active_children()
    first.kill()
    first.join()
    monkeypatch.setattr(decoder_pool, "start", start_dead)
    with pool.borrow() as decoder, pytest.raises(ImageError, match="ends the program"):
        decoder.decode(png(0.5), "file 1", "one")
    assert len(started) == 2  # one for the second try, one for the next file
    monkeypatch.undo()
    assert not blobs.path_of(settings.files, "one").exists()
    with pool.borrow() as decoder:
        assert decoder.decode(png(0.5), "file 1", "two").width == 40


def test_each_sender_gets_the_outcome_of_its_own_file_when_decoders_die(pool: DecoderPool, settings: Settings) -> None:
    def send(side: int) -> tuple[int, int]:
        with pool.borrow() as decoder:
            return side, decoder.decode(png(0.5, side), "file 1", f"n{side}").width

    with ThreadPoolExecutor(6) as threads:
        outcomes = [threads.submit(send, side) for side in range(20, 60)]
        for number in (5, 20):
            outcomes[number].result()
            for process in multiprocessing.active_children():
                process.kill()
        for outcome in outcomes:
            side, width = outcome.result()
            assert side == width
    assert len(list(settings.files.glob("*/*.png"))) == 40


def test_a_decoder_that_hangs_is_killed(pool: DecoderPool, monkeypatch: pytest.MonkeyPatch) -> None:
    (process,) = multiprocessing.active_children()
    assert process.pid is not None
    psutil.Process(process.pid).suspend()
    monkeypatch.setattr(decoder_pool, "LONGEST", 0.2)
    with pool.borrow() as decoder, pytest.raises(ImageError, match="takes more than"):
        decoder.decode(png(0.5), "file 1", "one")
    monkeypatch.undo()
    with pool.borrow() as decoder:
        assert decoder.decode(png(0.5), "file 1", "one").width == 40


@pytest.mark.parametrize(
    "error",
    [
        ImageError("file 1", "is too large.", "Send less.", code="too-large", values={"limit_mib": 1}),
        MissingExtraError("DICOM files", "dicom"),
        BusyError("the queue", "is full.", "Send it later.", retry_after=5, code="queue-full", values={"limit": 1}),
    ],
)
def test_errors_keep_their_fields_between_processes(error: PneumoscopeError) -> None:
    again = pickle.loads(pickle.dumps(error))
    assert type(again) is type(error)
    assert (str(again), again.__dict__) == (str(error), error.__dict__)


def test_a_full_disk_is_recognised_from_another_process() -> None:
    assert disk_is_full(pickle.loads(pickle.dumps(OSError(28, "No space left on device", "x.png"))))


def _flat_png(side: int) -> bytes:
    """A white square: small as a file, large when it is decoded."""
    buffer = BytesIO()
    Image.new("L", (side, side), 255).save(buffer, "PNG", compress_level=1)
    return buffer.getvalue()


@contextmanager
def _one_decoder(settings: Settings) -> Iterator[DecoderProtocol]:
    settings.files.mkdir(parents=True)
    pool = DecoderPool(settings, Catalogue(settings.models), 1)
    pool.start()
    try:
        with pool.borrow() as decoder:
            yield decoder
    finally:
        pool.stop()


def test_a_file_that_needs_more_memory_than_a_decoder_may_take_is_refused(settings: Settings) -> None:
    with _one_decoder(replace(settings, decoder_memory=30 * 2**20)) as decoder:
        with pytest.raises(ImageError, match="more memory") as refused:
            decoder.decode(_flat_png(4000), "file 1", "one")  # 16 million pixels: 61 MiB as float32
        assert refused.value.code == "kills-decoder"
        assert decoder.decode(png(0.5), "file 1", "two").width == 40


def test_a_file_that_computes_for_longer_than_it_may_is_ended_by_the_system(settings: Settings) -> None:
    settings = replace(settings, **_LARGEST, decoder_quick_seconds=0.01, decoder_seconds=0.02)
    with _one_decoder(settings) as decoder:
        with pytest.raises(ImageError, match="seconds to decode") as refused:
            decoder.decode(_flat_png(_SLOW_SIDE), "file 1", "one")
        assert refused.value.code == "takes-too-long"


@pytest.mark.parametrize("value_representation", ["UC", "UR", "OB", "OV", "SV", "UN", "UT"])
def test_every_reader_of_a_deflated_file_inflates_within_the_limit(
    settings: Settings, value_representation: str
) -> None:
    """PS3.5 7.1.2: these take a length of four bytes, and may stand before the transfer syntax (PS3.10 7.1)."""
    meta = b"\x02\x00\x01\x00OB\0\0\x02\0\0\0\0\1"
    meta += b"\x02\x00\x09\x00" + value_representation.encode() + b"\0\0\x08\0\0\0" + b"12345678"
    syntax = b"1.2.840.10008.1.2.1.99"
    meta += b"\x02\x00\x10\x00UI" + len(syntax).to_bytes(2, "little") + syntax
    bomb = b"\0" * 128 + b"DICM" + meta + zlib.compress(b"\x09\0\0\0OB\0\0" + bytes(8 * 2**20), 9)[2:-4]
    decoder = Decoder(settings.files, settings.max_pixels, Catalogue(settings.models), 2**20)
    with pytest.raises(ImageError, match="inflates to more than 1 MiB"):
        decoder.decode(bomb, "file 1", "one")


def test_who_was_examined_is_read_within_the_limit_too(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("a second parser of the file meta information")

    monkeypatch.setattr("pydicom.dcmread", refuse)
    decoded, _, _ = deidentify(dicom(), "file 1", settings.max_pixels)
    assert decoded.exam is not None
    assert decoded.exam.patient_id == "4711"


def test_a_slow_file_is_decoded_by_itself_and_the_others_do_not_wait(settings: Settings) -> None:
    """The only quick decoder is free again while the slow file is decoded."""
    settings.files.mkdir(parents=True)
    settings = replace(settings, **_LARGEST, decoder_quick_seconds=0.01)
    pool = DecoderPool(settings, Catalogue(settings.models), 1)
    pool.start()

    def send(account: str, data: bytes, image: str) -> int:
        with pool.borrow(account) as decoder:
            return decoder.decode(data, "file 1", image).width

    try:
        with ThreadPoolExecutor(3) as threads:
            slow = threads.submit(send, "ada", _flat_png(_SLOW_SIDE), "slow")
            end = time.monotonic() + 60
            while pool._slow is None:
                assert time.monotonic() < end, "the slow file never left the quick decoder"
                time.sleep(0.01)
            process = psutil.Process(pool._slow._process.pid)
            process.suspend()  # as if it decoded for a while
            try:
                assert threads.submit(send, "bob", png(0.5), "quick").result(timeout=60) == 40
                assert not slow.done()
            finally:
                process.resume()
            assert slow.result() == _SLOW_SIDE
    finally:
        pool.stop()


def test_an_account_that_has_used_up_its_time_for_slow_files_gets_none(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    pool = DecoderPool(settings, Catalogue(settings.models), 1)
    monkeypatch.setattr(Decoder, "decode", _raise_slow)
    pool._slow_time.spend("ada", 91.0)
    with pool.borrow("ada") as decoder, pytest.raises(ImageError, match="used up the time"):
        decoder.decode(png(0.5), "file 1", "one")


def _raise_slow(*_: object) -> None:
    raise SlowFileError


def test_a_pool_stops_in_the_middle_of_a_file(settings: Settings) -> None:
    settings.files.mkdir(parents=True)
    pool = DecoderPool(settings, Catalogue(settings.models), 1)
    pool.start()
    (process,) = multiprocessing.active_children()
    assert process.pid is not None
    psutil.Process(process.pid).suspend()  # as if it decoded for minutes

    def send() -> None:
        with pool.borrow() as decoder:
            decoder.decode(png(0.5), "file 1", "one")

    with ThreadPoolExecutor(4) as threads:
        outcomes = [threads.submit(send) for _ in range(4)]
        began = time.monotonic()
        time.sleep(0.1)
        pool.stop()
        for outcome in outcomes:
            with pytest.raises(UnavailableError, match="is stopping"):
                outcome.result()
    assert time.monotonic() - began < 4


def test_the_account_that_holds_fewest_comes_first() -> None:
    turns: FairTurns[int] = FairTurns([1, 2])
    order: list[str] = []

    def take(account: str) -> None:
        item = turns.take(account)
        order.append(account)
        if len(order) > 2:
            turns.give_back(account, item)

    take("ada")
    take("ada")
    with ThreadPoolExecutor(8) as threads:
        for account in ("ada", "ada", "ada", "bob", "cy", "bob"):
            threads.submit(take, account)
            time.sleep(0.01)
        turns.give_back("ada", 1)
    assert order[2:5] in (["bob", "cy", "bob"], ["bob", "cy", "ada"])
    turns.close()
    with pytest.raises(UnavailableError):
        turns.take("bob")
