"""A PostgreSQL server for tests: Debian's programs, a temporary folder, a Unix socket and no port."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def programs() -> Path | None:
    """Return the folder of initdb and pg_ctl: Debian's newest version, or the one on the path, or None."""
    debian = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: float(path.parts[4]))
    executable = shutil.which("initdb")
    return debian[-1].parent if debian else Path(executable).parent if executable else None


def _unprivileged() -> pwd.struct_passwd | None:
    """Return the user who runs the server, or None for this process's own user: initdb refuses to run as root."""
    if os.geteuid() != 0:
        return None
    names = {entry.pw_name: entry for entry in pwd.getpwall()}
    return names.get("postgres") or names["nobody"]


@contextmanager
def server(folder: Path) -> Iterator[str]:
    """Run a server with the programs in ``folder`` and yield its address."""
    home = Path(tempfile.mkdtemp(prefix="pg-"))  # short: a socket's path has at most 107 characters
    user = _unprivileged()
    identity = {} if user is None else {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}

    def run(program: str, *arguments: str) -> None:
        command = [str(folder / program), "-D", str(home / "data"), *arguments]
        with (home / "log").open("ab") as log:
            result = subprocess.run(command, cwd=home, stdout=log, stderr=log, timeout=120, check=False, **identity)
        assert result.returncode == 0, (home / "log").read_text()

    try:
        if user is not None:
            os.chown(home, user.pw_uid, user.pw_gid)
        run("initdb", "-U", "tester", "--auth=trust", "--no-sync", "-E", "UTF8", "--locale=C")
        run("pg_ctl", "-w", "-o", f"-k {home} -c listen_addresses='' -c fsync=off", "start")
        try:
            yield f"postgresql://tester@/postgres?host={home}"
        finally:
            run("pg_ctl", "-m", "immediate", "stop")
    finally:
        shutil.rmtree(home, ignore_errors=True)
