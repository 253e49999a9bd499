"""Take a server's storage away, and kill it, within bounds of time and count: nothing that was accepted may be lost.

    python benchmarks/attack_storage.py

Three attacks on a server of its own, on loopback. Its disk becomes full (a small tmpfs, where this user may mount one),
its data folder is moved away and back, and it is killed five times (`kill -9`) during 500 uploads. During the first
two `/healthz` must answer and a login must end within 2 seconds. After each attack the server takes uploads again, and
every study that it accepted is there once with its pixels.
"""

from __future__ import annotations

import argparse
import subprocess
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from io import BytesIO
from pathlib import Path

import httpx
import numpy as np
from attack_server import PASSWORD, Target
from PIL import Image

UPLOADS = 500
KILLS = 5
DISK = "96m"
"""Size of the disk that becomes full."""
ERASED = 9
"""Studies that are erased to make room: for the reserve and for a file."""
GONE_SECONDS = 5.0
"""Time for which the data folder is away."""


def picture(number: int, side: int = 96) -> bytes:
    """A PNG of noise: each number gives other pixels, and they can't be compressed."""
    data = BytesIO()
    noise = np.random.default_rng(number).integers(0, 256, (side, side), np.uint8)
    Image.fromarray(noise).save(data, "PNG")
    return data.getvalue()


def verdict(name: str, passed: bool, words: str) -> None:
    """Print how an attack ended."""
    print(f"{'ok  ' if passed else 'FAIL'} {name:24} {words}", flush=True)


def accept(target: Target, data: bytes) -> tuple[int, str | None]:
    """Send one file; return the status and the study that it made, None where it was not accepted."""
    answer = target.client.post("/api/studies", files=[("files", ("a", data))], data={"models": []})
    files = answer.json().get("files", []) if answer.status_code in (200, 201, 207) else []
    return answer.status_code, files[0].get("study") if files else None


def missing(target: Target, studies: set[str]) -> list[str]:
    """Return the studies of ``studies`` that are not there, or whose pixels are not."""
    gone = []
    for study in sorted(studies):
        answer = target.client.get(f"/api/studies/{study}")
        images = answer.json().get("images", []) if answer.status_code == 200 else []
        pixels = [target.client.get(f"/api/images/{image['id']}/pixels").status_code for image in images]
        if not pixels or any(status != 200 for status in pixels):
            gone.append(study)
    return gone


def time_login(target: Target) -> tuple[float, int]:
    """Return the seconds that a login takes, and its status."""
    began = time.monotonic()
    answer = httpx.post(
        f"http://127.0.0.1:{target.port}/api/login", json={"name": "chief", "password": PASSWORD}, timeout=30
    )
    return time.monotonic() - began, answer.status_code


@contextmanager
def small_disk(folder: Path) -> Iterator[bool]:
    """Mount a small tmpfs on ``folder``; the value says whether that was possible."""
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={DISK}", "tmpfs", str(folder)]
    try:
        mounted = subprocess.run(mount, capture_output=True, check=False).returncode == 0
    except OSError:
        mounted = False
    try:
        yield mounted
    finally:
        if mounted:
            subprocess.run(["umount", "-l", str(folder)], check=True)


def fill_disk(folder: Path) -> None:
    """Upload until the disk is full, see that the server goes on, make room, and upload again."""
    with small_disk(folder / "disk") as mounted:
        if not mounted:
            print("     full disk: left out, this user may not mount a tmpfs", flush=True)
            return
        target = Target(folder / "disk" / "home", folder / "log-disk")
        studies: set[str] = set()
        status = 201
        for number in range(1_000):
            status, study = accept(target, picture(number, 1_200))
            if study is None:
                break
            studies.add(study)
        target.slowest = 0.0
        target.probe()
        login, logged_in = time_login(target)
        lost = missing(target, studies)
        for study in sorted(studies)[:ERASED]:
            target.client.delete(f"/api/studies/{study}").raise_for_status()
        again = None
        for _ in range(30):
            _, again = accept(target, picture(5_000, 300))
            if again is not None:
                break
            time.sleep(0.5)
        passed = status == 507 and not lost and again is not None and max(target.slowest, login) < 2
        passed = passed and logged_in == 200
        words = f"{len(studies)} accepted, then {status}; lost {len(lost)}; health {target.slowest:.2f} s, login "
        verdict("full disk", passed, f"{words}{login:.2f} s; after erasing {ERASED}: {'taken' if again else 'refused'}")
        stop(target)


def move_away(folder: Path) -> None:
    """Move the data folder away for some seconds and back."""
    target = Target(folder / "home", folder / "log-away")
    studies = {study for study in (accept(target, picture(number))[1] for number in range(20)) if study}
    (folder / "home").rename(folder / "elsewhere")
    target.slowest, statuses = 0.0, Counter[int]()
    began = time.monotonic()
    number = 100
    while time.monotonic() - began < GONE_SECONDS:
        target.probe()
        number += 1
        status, study = accept(target, picture(number))
        statuses[status] += 1
        studies |= {study} if study else set()
    login, refused = time_login(target)
    created = (folder / "home").exists()  # a server that makes its folder again would split the store
    if created:
        (folder / "home").rename(folder / "made-again")
    (folder / "elsewhere").rename(folder / "home")
    again = None
    for _ in range(30):
        _, again = accept(target, picture(999))
        if again is not None:
            break
        time.sleep(0.5)
    lost = missing(target, studies)
    passed = not lost and not created and again is not None and max(target.slowest, login) < 2
    passed = passed and set(statuses) == {503} and refused == 503
    words = f"meanwhile {dict(statuses)}, login {refused} in {login:.2f} s; health {target.slowest:.2f} s; lost "
    words += f"{len(lost)} of {len(studies)}; afterwards {'taken' if again else 'refused'}"
    verdict("vanished data folder", passed, words + ("; it made the folder again" if created else ""))
    stop(target)


def kill_during_uploads(folder: Path) -> None:
    """Kill the server five times during 500 uploads, each of which is sent until it has an answer."""
    target = Target(folder / "killed", folder / "log-killed")
    answers: dict[int, str] = {}
    given_up = 0
    moments = {UPLOADS * (number + 1) // (KILLS + 1) for number in range(KILLS)}
    for number in range(UPLOADS):
        data = picture(10_000 + number)
        if number in moments:
            # The request is on its way when the server dies.
            with httpx.Client(base_url=target.client.base_url, headers=target.client.headers, timeout=1) as other:
                other.cookies = target.client.cookies
                with suppress(httpx.TransportError):
                    target.process.kill()
                    other.post("/api/studies", files=[("files", ("a", data))], data={"models": []})
            target.process.wait()
            target.start()
        study = None
        for _ in range(20):
            with suppress(httpx.TransportError):
                _, study = accept(target, data)
            if study is not None:
                break
            time.sleep(0.2)
        if study is None:
            given_up += 1
        else:
            answers[number] = study
    total = target.client.get("/api/studies", params={"limit": 1}).json()["total"]
    lost, doubled = missing(target, set(answers.values())), total - len(set(answers.values()))
    passed = not given_up and not lost and not doubled and len(set(answers.values())) == UPLOADS
    words = f"{UPLOADS} uploads, {KILLS} kills: {given_up} given up, {len(lost)} lost, {doubled} doubled"
    verdict("kill -9", passed, words)
    stop(target)


def stop(target: Target) -> None:
    """End a server, by force after ten seconds."""
    target.process.terminate()
    try:
        target.process.wait(10)
    except subprocess.TimeoutExpired:
        target.process.kill()


def main() -> None:
    """Run all attacks."""
    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter).parse_args()
    with tempfile.TemporaryDirectory() as folder:
        fill_disk(Path(folder))
        move_away(Path(folder))
        kill_during_uploads(Path(folder))


if __name__ == "__main__":
    main()
