"""The command that sets notifyflow up: from nothing to a page that arrives."""

import shlex
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from notifyflow.app.clock_and_ids import new_secret
from notifyflow.cli.frame import screen
from notifyflow.cli.frame.exits import Exit
from notifyflow.cli.frame.options import flag
from notifyflow.cli.setup import answers, interview, people, test_page
from notifyflow.cli.setup.answers import Answers
from notifyflow.cli.setup.draft import BROKER_URL, Draft, Examined, examined
from notifyflow.cli.setup.people import FirstPerson
from notifyflow.core.text import quantity
from notifyflow.errors import Fault, InvalidDirectory, InvalidInput, NotConfirmed
from notifyflow.service.oncall.directory import read_file
from notifyflow.settings import PREFIX
from notifyflow.settings.settings_file import SettingsFile, check_writable, write_private
from notifyflow.settings.variables import of_environment

app = typer.Typer()
_NOT_WRITTEN = "The settings were not written."


@dataclass(frozen=True, slots=True, kw_only=True)
class _Plan:
    """What is to be written: the settings, and a directory with the person, if there is none yet."""

    draft: Draft
    person: FirstPerson | None


@app.command()
def setup(
    file: Annotated[Path, typer.Option(help="The settings file.")] = Path("notifyflow.env"),
    answers_file: Annotated[
        str | None,
        typer.Option("--answers", metavar="FILE", help="A file with the answers; then nothing is asked.", show_default=False),
    ] = None,
    no_test_page: Annotated[bool, flag("--no-test-page", help="Send no test page.")] = False,
) -> None:
    """Ask for what a first page needs, try it, write the settings file, and send one test page."""
    given = None if answers_file is None else answers.read(answers_file)
    if given is None and not screen.is_interactive():
        raise NotConfirmed("Nothing was done: standard input is not a terminal. Give the answers in a file with --answers.")
    with _nothing_written():
        draft = _begin(file)
        plan = _interviewed(draft) if given is None else _answered(draft, given)
    with _uninterrupted():
        written = _write(plan)
    code = _show_warnings(written)
    try:
        if plan.person is not None and not no_test_page:
            code = Exit.OK if test_page.send(written.file, plan.person.id, is_asking=given is None) and not code else Exit.FAILED
    finally:
        _show_start(written)
    raise typer.Exit(code)


@contextmanager
def _uninterrupted() -> Iterator[None]:
    """Put Ctrl-C off until the end of the block."""
    put_off: list[int] = []
    before = signal.signal(signal.SIGINT, lambda number, _: put_off.append(number))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
        if put_off:
            raise KeyboardInterrupt


@contextmanager
def _nothing_written() -> Iterator[None]:
    """Say that the settings were not written, where the block is left before its end."""
    try:
        yield
    except EOFError:
        raise NotConfirmed(_NOT_WRITTEN) from None
    except KeyboardInterrupt:
        screen.err.print(f"\n{_NOT_WRITTEN}")
        raise
    except typer.Exit:
        screen.err.print(f"{_NOT_WRITTEN} Correct what is marked with ✕, and run the command again.", soft_wrap=True)
        raise


def _begin(path: Path) -> Draft:
    """Read the file, and take over what is set in the environment only."""
    file = SettingsFile.read(path)
    check_writable(file.path)
    own = Draft(file=file)
    draft = own.adding({name.removeprefix(PREFIX).lower(): text for name, text in sorted(of_environment().items())})
    if draft.added:
        screen.out.print(f"Taken over from this shell: {', '.join(sorted(draft.added))}.", soft_wrap=True, markup=False)
    draft.settings()
    return draft


def _interviewed(draft: Draft) -> _Plan:
    screen.err.print(
        f"What is missing in {draft.file.path} is asked now. Enter takes what stands in parentheses.", soft_wrap=True
    )
    draft = interview.settings(draft.with_directory())
    person = None if draft.has("directory") else interview.person(draft)
    with examined(draft) as found:
        found.require()
    return _Plan(draft=draft, person=person)


def _answered(draft: Draft, given: Answers) -> _Plan:
    """Fill a draft in with answers, and try all connections.

    Raises:
        InvalidInput: With every fault of the settings and the person.
        Exit: When something cannot be connected to.
    """
    defaults = {"database_url": draft.database_url, "broker_url": BROKER_URL}
    draft = draft.adding(given.settings).adding(defaults).with_directory()
    with examined(draft) as found:
        faults = list(found.faults)
        person = None
        try:
            person = _person_of(draft, given, found)
        except InvalidInput as error:
            faults += error.faults
        if faults:
            raise InvalidInput(faults)
        if code := found.connect():
            raise typer.Exit(code)
    return _Plan(draft=draft, person=person)


def _person_of(draft: Draft, given: Answers, found: Examined) -> FirstPerson | None:
    """Return the person to add; None if there is a directory, which has them already."""
    policies = found.configuration.policies
    if not draft.has("directory"):
        return people.reachable(given.person, found.channels, policies)
    path = found.settings.directory
    if path is not None and given.person:
        person = people.named(given.person)
        if person.id not in read_file(path, policies).recipients:
            what = f"{person.id} is not in the directory {path}, which is left as it is"
            raise InvalidDirectory((Fault("person", what, "Add them there, or leave the person out"),))
    return None


def _write(plan: _Plan) -> Draft:
    """Write the directory, if there is none, and the settings; return what was written."""
    more = {"secret_key": new_secret(), "directory": str(plan.draft.directory)}
    if plan.person is not None:
        more["ops_recipients"] = plan.person.operations
        write_private(plan.draft.directory, plan.person.directory, over=None)
    complete = plan.draft.adding(more)
    try:
        complete.file.add(complete.added)
    except BaseException:
        if plan.person is not None:
            plan.draft.directory.unlink()
        raise
    path = complete.file.path
    written = f"{quantity(len(complete.added), 'setting')} written to {path}" if complete.added else f"{path} is complete"
    screen.out.print(f"{written}. Nothing that was set is changed.", soft_wrap=True, markup=False)
    return Draft(file=SettingsFile.read(path))


def _show_warnings(draft: Draft) -> Exit:
    with examined(draft) as found:
        for each in found.warnings:
            screen.warn(str(each))
        return Exit.FAILED if found.configuration.unreached else Exit.OK


def _show_start(draft: Draft) -> None:
    is_embedded = draft.settings().is_embedded
    commands = ["notifyflow up"] if is_embedded else ["notifyflow web", "dramatiq notifyflow.worker"]
    screen.out.print("Start notifyflow with these settings:", style="bold")
    for each in (f"set -a; . {shlex.quote(str(draft.file.path))}; set +a", *commands):
        screen.out.print(f"  {each}", soft_wrap=True, markup=False)
