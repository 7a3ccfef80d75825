"""Tries the image that ``scripts/image`` built, prints the results, and writes them to ``docs/figures`` and ``docs/pictures``."""

import json
import platform
import sys
import tempfile
import time
from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from pathlib import Path

from notifyflow.sandbox.system import Sandbox
from tests.browser import browser
from tests.chaos.field import ROOT, Verdict
from tests.chaos.scenarios import distributed
from tests.image import trials
from tests.image.podman import IMAGE, podman
from tests.servers.postgres import postgres
from tests.servers.redis import redis_server

FIGURES = ROOT / "docs" / "figures"
PICTURE = ROOT / "docs" / "pictures" / "container.png"
LAYERS = ("the dependencies, with Python's bytecode", "notifyflow", "the folder /data")
UIDS = ("12345:0", "1000650000:0")
_NOTE = ".. Made by scripts/image; do not edit.\n\n"
_BEGAN = time.monotonic()
_lines: list[str] = []


def say(text: str) -> None:
    """Print a line of the log, with the seconds since the start."""
    line = f"{time.monotonic() - _BEGAN:5.0f} s  {text}"
    _lines.append(line)
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def main() -> None:
    """Try everything; stop at the first thing that is not as it should be."""
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        folder = Path(name)
        folder.chmod(0o755)  # it is mounted, and read as another user
        layers = _layers(folder / "oci")
        for what, size in layers:
            say(f"{size / 1e6:6.1f} MB  {what}")
        say(f"{sum(size for _, size in layers) / 1e6:6.1f} MB  in all, compressed")
        for uid in UIDS:
            say(f"up on a named volume as {uid}, stopped with exit code 0: {_named(trials.embedded(_sub(folder), uid))}")
        server, broker = stack.enter_context(postgres()), stack.enter_context(redis_server())
        page = stack.enter_context(browser(_sub(folder)))
        reached = trials.divided(server, broker, _sub(folder), page, PICTURE)
        say(f"web and two workers on PostgreSQL and Redis, stopped with exit code 0: {_named(reached)}")
        with Sandbox() as sandbox, distributed(server, broker, sandbox, _sub(folder)) as field:
            took_s, stopped = trials.stop_in_good_order(field)
            say(f"podman stop of two workers while they send, {took_s:.1f} s, exit codes 0: {_verdict(stopped)}")
        with Sandbox() as sandbox, distributed(server, broker, sandbox, _sub(folder)) as field:
            killed = trials.kill_under_load(field)
            say(f"kill -9 of a container, {trials.KILLS} times while sends of 300 ms run: {_verdict(killed)}")
        refused = list(trials.refusals(server, broker, _sub(folder)))
        for each in refused:
            say(f"{each.why}: {each.command} exits with {each.code}\n{each.said}\n")
    (FIGURES / "image-layers.rst").write_text(_layer_table(layers))
    (FIGURES / "image.rst").write_text(_render(refused, took_s, stopped, killed))
    (FIGURES / "image.log").write_text("\n".join(line.rstrip() for line in _lines) + "\n")


def _sub(folder: Path) -> Path:
    made = Path(tempfile.mkdtemp(dir=folder))
    made.chmod(0o755)
    return made


def _layers(folder: Path) -> list[tuple[str, int]]:
    """Return the image's layers, with the size of each as a registry keeps it."""
    podman("push", "--quiet", "--compression-format=gzip", IMAGE, f"oci:{folder}")
    blobs = folder / "blobs" / "sha256"
    index = json.loads((folder / "index.json").read_text())
    manifest = json.loads((blobs / index["manifests"][0]["digest"].removeprefix("sha256:")).read_text())
    sizes = [each["size"] for each in manifest["layers"]]
    assert all(each["mediaType"].endswith("gzip") for each in manifest["layers"])
    return [("Debian and Python", sum(sizes[: -len(LAYERS)])), *zip(LAYERS, sizes[-len(LAYERS) :], strict=True)]


def _named(reached: dict[str, str]) -> str:
    return ", ".join(f"{channel} ({provider})" for channel, provider in sorted(reached.items()))


def _verdict(verdict: Verdict) -> str:
    return (
        f"{verdict.notifications} notifications, {verdict.lost} lost, {verdict.doubts} in doubt, "
        f"{verdict.duplicates} duplicates, none without a doubt"
    )


def _layer_table(layers: Sequence[tuple[str, int]]) -> str:
    total = sum(size for _, size in layers)
    rows = [(what, f"{size / 1e6:.1f} MB") for what, size in layers] + [("**in all**", f"**{total / 1e6:.1f} MB**")]
    return _NOTE + _table(("Layer", "Compressed"), rows, (80, 20))


def _render(refused: Sequence[trials.Refusal], took_s: float, stopped: Verdict, killed: Verdict) -> str:
    """Return the figures as reStructuredText, for the page on the image."""
    starts = [(each.why, f"``{each.command}``", each.code) for each in refused]
    return _NOTE + "\n".join(
        [
            f"- ``podman stop`` of two workers that were sending took {took_s:.1f} s, exit codes 0: {_verdict(stopped)}.",
            f"- ``kill -9`` of a worker's container, {trials.KILLS} times while sends of 300 ms run: {_verdict(killed)}.",
            "- What cannot work is refused in a sentence, with the exit codes of the :doc:`commands </reference/cli>`. "
            "That of a worker is always 1.\n",
            _table(("Started with", "Command", "Exit code"), starts, (50, 35, 15)),
            f"Measured on two cores ({platform.machine()}), with the servers on the same machine.\n",
        ]
    )


def _table(head: Sequence[str], rows: Iterable[Sequence[object]], widths: Sequence[int]) -> str:
    lines = [".. list-table::", "   :header-rows: 1", f"   :widths: {' '.join(map(str, widths))}", ""]
    for row in (head, *rows):
        lines += [f"   {'*' if not number else ' '} - {cell}" for number, cell in enumerate(row)]
    return "\n".join([*lines, ""])


if __name__ == "__main__":
    sys.exit(main())
