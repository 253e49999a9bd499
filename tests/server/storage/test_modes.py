"""The data folder, the database and the key are their owner's alone, and a lost key is not replaced."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest
from sqlalchemy import delete

from pneumoscope.core.errors import UsageError
from pneumoscope.server.settings import Settings
from pneumoscope.server.storage.database import Store, open_store
from pneumoscope.server.storage.tables import ExamIdentity, StoreSetting, Study

pytestmark = pytest.mark.skipif(os.name != "posix", reason="no modes")


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def write_row(store: Store) -> None:
    with store.write() as session:
        session.add(Study(id="s", key=None, patient=None, received=0.0, received_by="a"))


def private_paths(settings: Settings) -> dict[Path, int]:
    files = [settings.secret_file, *settings.home.glob("pneumoscope.sqlite*")]
    assert len(files) == 4  # the database with its log and its shared memory
    return {settings.home: 0o700, settings.files: 0o700, settings.incoming: 0o700, **dict.fromkeys(files, 0o600)}


def test_everything_is_made_for_its_owner_alone_whatever_the_mask(settings: Settings) -> None:
    before = os.umask(0)
    try:
        store = open_store(settings)
        write_row(store)
    finally:
        os.umask(before)
    paths = private_paths(settings)
    assert {path: mode(path) for path in paths} == paths
    store.close()


def test_what_has_got_looser_is_set_back_and_said(settings: Settings, caplog: pytest.LogCaptureFixture) -> None:
    store = open_store(settings)
    write_row(store)
    loose = [settings.home, settings.secret_file, settings.home / "pneumoscope.sqlite"]
    for path in loose:
        path.chmod(0o755)
    other = open_store(settings)
    assert [mode(path) for path in loose] == [0o700, 0o600, 0o600]
    assert caplog.text.count("others of this machine could read it") == 3
    other.close()
    store.close()


def test_what_can_not_be_set_back_is_refused(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """As on a file system without modes, or where another account owns it."""
    open_store(settings).close()

    def refuse(self: Path, mode: int) -> None:
        raise PermissionError(1, "not the owner")

    for path in (settings.secret_file, settings.home / "pneumoscope.sqlite", settings.home):
        before = mode(path)
        path.chmod(before | 0o044)
        with monkeypatch.context() as patch:
            patch.setattr(Path, "chmod", refuse)
            with pytest.raises(UsageError, match="others of this machine can read it"):
                open_store(settings)
            patch.setattr(Path, "chmod", lambda self, mode: None)  # it has no effect
            with pytest.raises(UsageError, match="others of this machine can read it"):
                open_store(settings)
        path.chmod(before)


def test_a_folder_with_other_things_is_left_as_it_is(tmp_path: Path) -> None:
    home = tmp_path / "shared"
    home.mkdir()
    (home / "letter.txt").write_text("of somebody")
    home.chmod(0o755)
    with pytest.raises(UsageError, match="something else than a server's data"):
        open_store(Settings(home=home))
    assert mode(home) == 0o755
    assert [path.name for path in home.iterdir()] == ["letter.txt"]


@pytest.mark.parametrize("marked", [True, False])
def test_a_lost_key_is_not_replaced_where_rows_are_sealed(settings: Settings, marked: bool) -> None:
    store = open_store(settings)
    write_row(store)
    with store.write() as session:
        session.add(ExamIdentity(study="s", sealed=store.secret.seal({}, "s")))
        if not marked:  # the note of the key is lost, too
            session.execute(delete(StoreSetting))
    store.close()
    kept = settings.secret_file.read_bytes()
    settings.secret_file.unlink()
    with pytest.raises(UsageError, match="is missing"):
        open_store(settings)
    assert not settings.secret_file.exists()
    settings.secret_file.write_bytes(kept)
    open_store(settings).close()
