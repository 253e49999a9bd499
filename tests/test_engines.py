"""The Ray engine against the local one, on two Ray nodes of this machine: the same results, whatever dies meanwhile."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import psutil
import pyarrow.parquet as pq
import pytest
from PIL import Image

from bundles import write_bundle
from pneumoscope.auditing.answers import AnswerStore
from pneumoscope.auditing.images import read_audit_set
from pneumoscope.auditing.observations import observe
from pneumoscope.auditing.removals import run_perturbations
from pneumoscope.bundle.lungs import builtin_lungs
from pneumoscope.bundle.runtime import load
from pneumoscope.core.engine import Engine
from pneumoscope.core.engines import open_engine
from pneumoscope.core.engines.local import LocalEngine
from pneumoscope.core.engines.ray import RayEngine, split_address
from pneumoscope.core.errors import ImageError, MissingExtraError, PneumoscopeError, UsageError
from pneumoscope.data.image_scan import scan_files
from pneumoscope.data.manifest import Manifest
from pneumoscope.data.scan_shards import temporary_shards
from pneumoscope.inference.predict import predict_files


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    """Two nodes of one core each; they are machines to Ray."""
    pytest.importorskip("ray", reason="no Ray: pip install 'pneumoscope[ray]'")
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    # Else Ray ends workers whenever the rest of the machine, the other tests among it, fills its memory.
    os.environ["RAY_memory_monitor_refresh_ms"] = "0"  # noqa: SIM112 - Ray spells it so
    from ray.cluster_utils import Cluster

    nodes = Cluster()
    for _ in range(2):
        nodes.add_node(num_cpus=1, object_store_memory=100 * 2**20, include_dashboard=False)
    yield nodes
    nodes.shutdown()


@pytest.fixture(scope="module")
def engine(cluster: Any) -> Iterator[Engine]:
    """Two workers, which all tests share that kill no node."""
    with open_engine("ray", address=cluster.address, on_note=NOTES.append) as shared:
        yield shared


NOTES: list[str] = []
"""What the shared engine said."""


def images(folder: Path, count: int) -> list[str]:
    """Grey images, each of another brightness."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / f"{k:03d}.png" for k in range(count)]
    for k, path in enumerate(paths):
        Image.new("L", (24, 24 + k % 5), 30 + k).save(path)
    return [str(path) for path in paths]


def rows_of(path: Path) -> list[dict[str, Any]]:
    """Return the rows of a table without the seconds that each took."""
    return pq.read_table(path).drop_columns("seconds").to_pylist()


def test_results_come_in_order_from_both_nodes(engine: Engine) -> None:
    def place(number: int) -> tuple[int, str]:
        import ray

        time.sleep(0.05 if number < 16 else 0.005)  # the first shard is slow, and others overtake it
        return number, ray.get_runtime_context().get_node_id()

    nodes, deadline = set[str](), time.monotonic() + 60
    while len(nodes) < 2 and time.monotonic() < deadline:  # the first worker may be done before the second one starts
        results = list(engine.map(place, range(300)))
        nodes |= {node for _, node in results}
        assert [number for number, _ in results] == list(range(300))
    assert len(nodes) == 2
    assert list(engine.map(abs, [-1, 2])) == [1, 2]
    assert list(engine.map(abs, [])) == []
    assert "2 workers on 2 machines with 2 cores" in NOTES[0]


def test_a_killed_worker_loses_and_doubles_nothing(engine: Engine, tmp_path: Path) -> None:
    def leave_mark(number: int) -> int:
        (tmp_path / str(os.getpid())).touch()
        time.sleep(0.01)
        return number

    results = []
    for number in engine.map(leave_mark, range(400)):
        results.append(number)
        if number == 100:
            os.kill(int(next(tmp_path.iterdir()).name), signal.SIGKILL)
    assert results == list(range(400))
    assert [note for note in NOTES if "A worker died; its 16 items are done again" in note]


def test_a_lost_node_loses_and_doubles_nothing(cluster: Any, engine: Engine) -> None:
    def wait(number: int) -> int:
        time.sleep(0.01)
        return number

    # The shared engine has the cores of the other nodes, so that these two are this one's.
    nodes = [cluster.add_node(num_cpus=1, object_store_memory=100 * 2**20) for _ in range(2)]
    results = []
    with open_engine("ray", workers=2, address=cluster.address) as another:
        for number in another.map(wait, range(500)):
            results.append(number)
            if number == 150:
                cluster.remove_node(nodes[0], allow_graceful=False)
    assert results == list(range(500))


def test_an_error_of_the_work_arrives_as_it_was_raised(engine: Engine) -> None:
    def refuse(number: int) -> int:
        if number == 20:
            raise ImageError("a.png", "is damaged.", "Get another.", code="damaged")
        return number

    with pytest.raises(ImageError) as caught:
        list(engine.map(refuse, range(40)))
    assert list(engine.map(abs, [-3])) == [3]  # the engine works on
    assert (caught.value.thing, caught.value.code) == ("a.png", "damaged")


def test_items_that_end_each_worker_end_the_run(engine: Engine) -> None:
    def end(number: int) -> int:
        if number == 20:
            os._exit(1)
        return number

    with pytest.raises(PneumoscopeError, match="items 16 to 31: ended 3 worker processes"):
        list(engine.map(end, range(40)))


@pytest.mark.parametrize("first", ["local", "ray"])
def test_a_stopped_prediction_goes_on_with_the_other_engine(engine: Engine, tmp_path: Path, first: str) -> None:
    model = load(write_bundle(tmp_path / "bundle"))
    files = [*images(tmp_path / "in", 70), str(tmp_path / "none.png")]
    predict_files(model, files, output=tmp_path / "whole.parquet")

    def stop(row: dict[str, Any], resumed: bool) -> None:
        if row["path"].endswith("040.png"):
            raise KeyboardInterrupt

    engines = [LocalEngine(2), engine] if first == "local" else [engine, LocalEngine(2)]
    with pytest.raises(KeyboardInterrupt):
        predict_files(model, files, output=tmp_path / "out.parquet", engine=engines[0], on_row=stop)
    summary = predict_files(model, files, output=tmp_path / "out.parquet", engine=engines[1])
    assert (summary.resumed, summary.failed, summary.files) == (41, 1, 71)
    assert rows_of(tmp_path / "out.parquet") == rows_of(tmp_path / "whole.parquet")


def test_a_worker_killed_in_the_middle_leaves_the_table_as_it_is(engine: Engine, tmp_path: Path) -> None:
    model = load(write_bundle(tmp_path / "bundle"))
    files = images(tmp_path / "in", 200)
    predict_files(model, files, output=tmp_path / "local.parquet")
    killed = []

    def kill(row: dict[str, Any], resumed: bool) -> None:
        if row["path"] == files[20]:
            workers = [
                each for each in psutil.Process().children(recursive=True) if each.name().startswith("ray::_Worker")
            ]
            killed.extend(each.pid for each in workers)  # all: one alone may have nothing more to do
            for one in killed:
                os.kill(one, signal.SIGKILL)

    said = len(NOTES)
    predict_files(model, files, output=tmp_path / "ray.parquet", engine=engine, on_row=kill)
    assert killed
    assert NOTES[said:]  # their shards are done again, or, where one had only just started, another one is
    assert [note for note in NOTES[said:] if not note.startswith("A worker died")] == []
    assert rows_of(tmp_path / "ray.parquet") == rows_of(tmp_path / "local.parquet")


def test_overlays_and_imports_are_the_same_on_a_cluster(engine: Engine, tmp_path: Path) -> None:
    model = load(write_bundle(tmp_path / "bundle"), gatekeeper=False)
    files = [*images(tmp_path / "in", 20), str(tmp_path / "none.png")]
    predict_files(model, files, heatmaps=tmp_path / "local")
    predict_files(model, files, heatmaps=tmp_path / "ray", engine=engine)
    pictures = {path.name: path.read_bytes() for path in (tmp_path / "local").iterdir()}
    assert pictures
    assert {path.name: path.read_bytes() for path in (tmp_path / "ray").iterdir()} == pictures
    paths = [Path(path) for path in files]
    with temporary_shards() as own, temporary_shards() as other:
        here, there = scan_files(paths, shards=own, workers=0), scan_files(paths, shards=other, engine=engine)
        pd.testing.assert_frame_equal(here.table, there.table)
        assert {place: str(error) for place, error in here.errors.items()} == {
            place: str(error) for place, error in there.errors.items()
        }
        assert list(here.errors) == [20]


def test_the_scores_of_an_audit_are_the_same_on_a_cluster(
    engine: Engine, phantom_set: Manifest, tmp_path: Path
) -> None:
    model = load(write_bundle(tmp_path / "bundle"))
    rows = phantom_set.where(np.arange(len(phantom_set)) < 24)

    def audit(where: Engine) -> list[Any]:
        chosen = read_audit_set(rows, model.card, builtin_lungs, seed=0, engine=where, advance=lambda _: None)
        seen = observe(model.run, chosen, where, lambda _: None)
        store = AnswerStore(model, chosen, None, where)
        tests = run_perturbations(store, chosen, seen.score, threshold=0.5, seed=0, advance=lambda _: None)
        return [seen.score.tolist(), seen.embedding.tolist(), [test.model_dump_json() for test in tests]]

    assert audit(engine) == audit(LocalEngine(2))


ALONE = """
import json, os, sys
import psutil
from pneumoscope.core.engine import Engine
from pneumoscope.core.engines import open_engine
with open_engine("ray", workers=1) as engine:
    list(engine.map(abs, [1]))
    processes = psutil.Process().children(recursive=True)
    listening = {c.laddr.ip for p in processes for c in p.net_connections() if c.status == "LISTEN"}
    usage = {p.environ()["RAY_USAGE_STATS_ENABLED"] for p in processes if not p.name().startswith("ray::")}
print(json.dumps([sorted(listening), sorted(usage)]))
"""


def test_a_local_ray_listens_on_loopback_and_reports_nothing(tmp_path: Path) -> None:
    pytest.importorskip("ray", reason="no Ray: pip install 'pneumoscope[ray]'")
    result = subprocess.run(
        [sys.executable, "-c", ALONE], capture_output=True, text=True, timeout=180, cwd=tmp_path, check=True
    )
    listening, usage = json.loads(result.stdout.splitlines()[-1])
    assert listening
    assert set(listening) <= {"127.0.0.1", "::1", "::ffff:127.0.0.1"}
    assert usage == ["0"]


FULL = """
import time
from pneumoscope.core.engines import open_engine
from pneumoscope.core.errors import PneumoscopeError
try:
    with open_engine("ray", workers=1) as engine:
        list(engine.map(time.sleep, [60]))
except PneumoscopeError as error:
    print(error)
"""


def test_memory_that_is_used_up_is_named(tmp_path: Path) -> None:
    pytest.importorskip("ray", reason="no Ray: pip install 'pneumoscope[ray]'")
    settings = os.environ | {"RAY_memory_usage_threshold": "0.001", "RAY_memory_monitor_refresh_ms": "100"}
    result = subprocess.run(
        [sys.executable, "-c", FULL],
        capture_output=True,
        text=True,
        timeout=180,
        cwd=tmp_path,
        env=settings,
        check=True,
    )
    # A worker may be ended at its start or at its work.
    reason = r"the memory of the machine 127\.0\.0\.1 is used up \(\S+GB of \S+GB\), and Ray ended the process\."
    assert re.search(reason, result.stdout), result.stdout


def test_ray_that_is_not_installed_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'pneumoscope\[ray\]'"), open_engine("ray"):
        pass


@pytest.mark.parametrize(
    ("name", "address", "message"),
    [
        ("rye", None, "Did you mean 'ray'"),
        ("local", "host:6379", "is of a Ray cluster"),
        *(
            ("ray", address, "is no address of a Ray cluster")
            # Ray takes the second for a new cluster of this machine alone, which other machines reach.
            for address in ("", "local", "host", "host:", "host:0", "host:99999", "http://host:8265", "::1:6379")
        ),
    ],
)
def test_a_wrong_choice_of_engine_is_refused(name: str, address: str | None, message: str) -> None:
    with pytest.raises(UsageError, match=message), open_engine(name, address=address):
        pass


@pytest.mark.parametrize(
    ("address", "where"),
    [("host-1:6379", ("host-1", 6379)), ("[::1]:6379", ("::1", 6379)), ("10.0.0.1:1", ("10.0.0.1", 1))],
)
def test_an_address_is_a_host_and_a_port(address: str, where: tuple[str, int]) -> None:
    assert split_address(address) == where


@pytest.mark.parametrize("auto", [False, True])
def test_a_cluster_where_nothing_listens_is_refused_at_once(auto: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ray alone tries for minutes."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{held.getsockname()[1]}"
        monkeypatch.setenv("RAY_ADDRESS", address)
        engine = RayEngine(address="auto" if auto else address)
        with pytest.raises(PneumoscopeError, match=r"cannot be reached: Connection refused\. Start Ray"):
            engine._connect()
