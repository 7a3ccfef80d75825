"""Uses an installed notifyflow for the first time, as the README says, against the sandbox; 1 if anything fails.

    python scripts/lib/first_use.py FOLDER_OF_PROGRAMS README VERSION

It runs in the current folder, which should be empty, and imports nothing of notifyflow.
"""

import json
import os
import re
import signal
import subprocess
import sys
import textwrap
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

INCIDENT = {"key": "db-2", "title": "orders db is full", "recipients": [{"id": "ada", "email": "ada@example.com"}]}
TIMEOUT_S = 120

Settings = Mapping[str, str]


def use(programs: Path, readme: Path, version: str) -> None:
    """Ask for the version, run the demo, the README's lines and ``notifyflow up`` with one page, and stop it."""
    notifyflow = str(programs / "notifyflow")
    assert _run({}, notifyflow, "--version").split()[-1] == version
    print(_run({}, notifyflow, "demo").splitlines()[-1])
    with _running({}, notifyflow, "sandbox", "--port", "0", until="push ") as printed:
        settings = dict(each.removeprefix("export ").split("=", 1) for each in printed if each.startswith("export "))
        (inbox,) = re.findall(r"The inbox is at (\S+)\.", "\n".join(printed))
        told = _run(settings, str(programs / "python"), "-c", _lines_of_use(readme))
        assert "ada" in told, told
        print(f"The README's lines of use: {told.strip()}")
        with _running(settings, notifyflow, "up", "--port", "0", until="Listening on") as started:
            url = started[-1].split()[-1]
            _wait_until_ready(url)
            _run(settings, notifyflow, "send", "-", given=json.dumps(INCIDENT))
            with urllib.request.urlopen(f"{inbox.rstrip('/')}/inbox.json", timeout=30) as page:
                assert INCIDENT["title"] in page.read().decode()
        print("notifyflow up was ready, a page was in the sandbox's inbox, and it stopped with 0")


def _lines_of_use(readme: Path) -> str:
    (lines,) = re.findall(r"^\.\. code-block:: python\n\n((?:(?:   .*)?\n)+)", readme.read_text(encoding="utf-8"), re.MULTILINE)
    return textwrap.dedent(lines)


def _environment(settings: Settings) -> dict[str, str]:
    return {"PATH": os.environ["PATH"], "HOME": str(Path.cwd()), "COLUMNS": "160", **settings}


def _run(settings: Settings, *command: str, given: str = "") -> str:
    done = subprocess.run(
        command, env=_environment(settings), input=given, capture_output=True, text=True, timeout=TIMEOUT_S, check=False
    )
    if done.returncode:
        sys.exit(f"{' '.join(command[:2])} ended with {done.returncode}:\n{done.stdout}{done.stderr}")
    return done.stdout


@contextmanager
def _running(settings: Settings, *command: str, until: str) -> Iterator[list[str]]:
    """Run a command until a line of its output contains some words; then stop it, which it does with 0."""
    with subprocess.Popen(
        command, env=_environment(settings), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        try:
            printed: list[str] = []
            for line in process.stdout or ():
                printed.append(line.rstrip("\n"))
                if until in line:
                    break
            else:
                sys.exit(f"{' '.join(command)} ended with {process.wait()}:\n" + "\n".join(printed))
            yield printed
            process.send_signal(signal.SIGTERM)
            assert process.wait(TIMEOUT_S) == 0, f"{' '.join(command)} was stopped and ended with {process.returncode}"
        finally:
            process.kill()


def _wait_until_ready(url: str) -> None:
    until = time.monotonic() + TIMEOUT_S
    while True:
        try:
            urllib.request.urlopen(f"{url}/readyz", timeout=30).close()
            return
        except urllib.error.HTTPError:
            assert time.monotonic() < until, "notifyflow up did not become ready"
            time.sleep(0.2)


if __name__ == "__main__":
    use(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3])
