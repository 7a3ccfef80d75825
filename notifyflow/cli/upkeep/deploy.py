"""The command that writes the files of a deployment."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated

import typer

from notifyflow.app.clock_and_ids import new_secret
from notifyflow.cli.frame import screen
from notifyflow.cli.frame.options import flag
from notifyflow.cli.upkeep import deployment
from notifyflow.cli.upkeep.deployment import Platform
from notifyflow.core.text import listed, quantity
from notifyflow.errors import Fault, InvalidInput

app = typer.Typer()

_SECRETS = "secrets"


@app.command()
def deploy(
    platform: Annotated[Platform, typer.Argument(help="What starts the processes.", show_default=False)],
    output: Annotated[
        Path | None, typer.Option("--output", metavar="FOLDER", help="The folder.", show_default="deploy/PLATFORM")
    ] = None,
    force: Annotated[bool, flag("--force", help="Overwrite files that are different.")] = False,
) -> None:
    """Write the files that run notifyflow under systemd, compose or Kubernetes."""
    folder = output or Path("deploy", platform)
    try:
        files = deployment.render(platform)
        changed = _changed(folder, files, is_forced=force)
        _write(folder, changed)
        made = _make_secrets(folder / _SECRETS) if platform is Platform.COMPOSE else 0
    except OSError as error:
        what = f"{error.filename} cannot be written: {error.strerror}"
        raise InvalidInput((Fault("--output", what, "Name a folder in which you may write"),)) from None
    same = f"; {quantity(len(files) - len(changed), 'file')} already there" if len(changed) < len(files) else ""
    screen.out.print(f"Wrote {quantity(len(changed) + made, 'file')} to {screen.plain(str(folder))}{same}.", soft_wrap=True)


def _changed(folder: Path, files: Mapping[str, str], *, is_forced: bool) -> Mapping[str, str]:
    """Return the files that are to be written.

    Raises:
        InvalidInput: When one of them exists and is different.
    """
    changed = {place: text for place, text in files.items() if _text(folder / place) != text}
    existing = [place for place in changed if (folder / place).exists()]
    if existing and not is_forced:
        what = f"{listed(existing)} in {folder} would be overwritten"
        raise InvalidInput((Fault("--output", what, "Name another folder, or overwrite with --force"),))
    return changed


def _text(path: Path) -> str | None:
    return path.read_text(encoding="utf-8", errors="replace") if path.is_file() else None


def _write(folder: Path, files: Mapping[str, str]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for place, text in files.items():
        (folder / place).parent.mkdir(exist_ok=True)
        (folder / place).write_text(text, encoding="utf-8")


def _make_secrets(folder: Path) -> int:
    """Make the secrets that are missing, and return how many; the folder is closed to others, since containers read the files."""
    folder.mkdir(mode=0o700, exist_ok=True)
    password = _text(folder / "database-password") or new_secret()
    made = dict(_missing(folder, {".gitignore": "*\n", **deployment.make_secrets(password, new_secret())}))
    _write(folder, made)
    for place in made:
        (folder / place).chmod(0o644)  # the user of a container is another one than ours
    return len(made)


def _missing(folder: Path, files: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    return ((place, text) for place, text in files.items() if not (folder / place).exists())
