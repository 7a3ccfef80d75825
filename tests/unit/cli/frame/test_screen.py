import pytest

from notifyflow.cli.frame import screen
from notifyflow.errors import Fault, InvalidIncident, NotFound


def test_all_faults_are_listed_with_field_what_and_remedy(capsys: pytest.CaptureFixture[str]):
    faults = (Fault("title", "is missing", "Say in one line what happened"), Fault("severity", "'BAD' is none", "Use ERROR"))
    screen.show_error(InvalidIncident(faults))
    printed = capsys.readouterr().err
    assert "Nothing was done: 2 faults." in printed
    for fault in faults:
        assert f"{fault.where}: {fault.what}." in printed
        assert f"{fault.remedy}." in printed


def test_another_error_is_printed_as_its_text(capsys: pytest.CaptureFixture[str]):
    screen.show_error(NotFound("db-1"))
    assert "no incident has the key or id 'db-1'" in capsys.readouterr().err


def test_input_of_users_cannot_control_the_terminal(capsys: pytest.CaptureFixture[str]):
    screen.show_faults([Fault("labels[\x1b[31m]", "[red]x[/red]\x07", "no")], style="red")
    printed = capsys.readouterr().err
    assert "\x1b[31m" not in printed
    assert "\x07" not in printed
    assert "[red]x[/red]" in printed


def test_json_is_neither_wrapped_nor_styled(capsys: pytest.CaptureFixture[str]):
    screen.print_json({"title": "[bold]" + "x" * 500})
    assert '"[bold]' + "x" * 500 + '"' in capsys.readouterr().out
