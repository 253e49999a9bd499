"""A PostgreSQL of one's own for a test: Debian's programs, a temporary folder, a unix socket, no port."""

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
    """The folder of initdb and pg_ctl: Debian's newest, or where they are on the path; None where absent."""
    debian = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: float(path.parts[4]))
    found = shutil.which("initdb")
    return debian[-1].parent if debian else Path(found).parent if found else None


def _unprivileged() -> pwd.struct_passwd | None:
    """Who runs it: nobody else where this process is not root, which initdb refuses."""
    if os.geteuid() != 0:
        return None
    names = {entry.pw_name: entry for entry in pwd.getpwall()}
    return names.get("postgres") or names["nobody"]


@contextmanager
def server(folder: Path) -> Iterator[str]:
    """Run a server on programs in ``folder``; yield its address."""
    home = Path(tempfile.mkdtemp(prefix="pg-"))  # short: a socket's path has at most 107 characters
    user = _unprivileged()
    identity = {} if user is None else {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}

    def run(program: str, *arguments: str) -> None:
        command = [str(folder / program), "-D", str(home / "data"), *arguments]
        with (home / "log").open("ab") as log:
            done = subprocess.run(command, cwd=home, stdout=log, stderr=log, timeout=120, check=False, **identity)
        assert done.returncode == 0, (home / "log").read_text()

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
