"""Applies each patch of this folder to a copy, and runs the everyday tests that are nearest until one fails.

``scripts/test --deep mutants`` runs all, ``python -m tests.mutants FILE…`` some. A patch is one error of one line; its name says
which module it is in. It ends with 1 if one was not caught.
"""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

FOLDER = Path(__file__).parent
ROOT = FOLDER.parents[1]
MOST_S = 300
"""After how many seconds a patch that no test has caught counts as not caught."""


def git(copy: Path, *arguments: str) -> str:
    return subprocess.run(["git", "-C", str(copy), *arguments], check=True, capture_output=True, text=True).stdout


def said(command: Sequence[str], copy: Path, environment: Mapping[str, str]) -> str:
    """Return what a run prints; one that a patch keeps from ending is killed with all that it has started."""
    with subprocess.Popen(command, cwd=copy, env=environment, stdout=subprocess.PIPE, text=True, start_new_session=True) as run:
        try:
            return run.communicate(timeout=2 * MOST_S)[0]
        except subprocess.TimeoutExpired:
            os.killpg(run.pid, signal.SIGKILL)
            return run.communicate()[0]


def catching(copy: Path, patch: Path) -> str:
    """Return the test that fails with a patch, or an empty text."""
    git(copy, "apply", "--unidiff-zero", str(patch.resolve()))
    try:
        environment = {**os.environ, "PYTHONPATH": str(copy)}
        environment.pop("TESTS_DEEP", None)
        nearest = subprocess.run([sys.executable, "-m", "tests.nearest"], cwd=copy, capture_output=True, text=True, check=True)
        until = str(time.time() + MOST_S)
        options = ["-q", "-x", "-n", "2", "--dist", "load", "--maxschedchunk", "1", "-p", "no:cacheprovider"]
        command = [sys.executable, "-m", "pytest", *nearest.stdout.split(), *options, "-p", "tests.hurry", "--hurry-until", until]
        output = said(command, copy, environment)
    finally:
        git(copy, "checkout", "-q", ".")
    failed = [
        line.partition(" ")[2].partition(" - ")[0] for line in output.splitlines() if line.startswith(("FAILED ", "ERROR "))
    ]
    if not failed:
        return ""
    again = [sys.executable, "-m", "pytest", failed[0], "-q", "-p", "no:cacheprovider"]
    if subprocess.run(again, cwd=copy, env=environment, capture_output=True, check=False).returncode:
        raise SystemExit(f"{failed[0]} fails without {patch.name}, too. Repair it first: it shows nothing of the patch.")
    return failed[0]


def main(patches: Sequence[Path]) -> int:
    survived = 0
    patches = patches or sorted(FOLDER.glob("*.patch"))
    assert patches, f"{FOLDER} has no patch"
    with TemporaryDirectory(prefix="notifyflow-mutants-") as folder:
        copy = Path(folder) / "copy"
        subprocess.run(["git", "clone", "-q", str(ROOT), str(copy)], check=True)
        for patch in patches:
            began = time.monotonic()
            test = catching(copy, patch)
            survived += not test
            verdict = f"1 passed: {test}" if test else "1 failed: no test of the everyday run catches it"
            sys.stdout.write(f"{patch.stem}: {verdict} ({time.monotonic() - began:.0f} s)\n")
            sys.stdout.flush()
    return min(survived, 1)


if __name__ == "__main__":
    sys.exit(main([Path(each) for each in sys.argv[1:]]))
