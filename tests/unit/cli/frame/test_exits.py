import inspect

import pytest

from notifyflow import errors
from notifyflow.cli.frame.exits import Exit, code_of

FAULTS = (errors.Fault("title", "is missing", "Give one"),)
ENDINGS = [
    (errors.InvalidIncident(FAULTS), Exit.BAD_INPUT),
    (errors.InvalidPolicy(FAULTS), Exit.BAD_INPUT),
    (errors.InvalidSettings(FAULTS), Exit.BAD_INPUT),
    (errors.NotFound("db-1"), Exit.BAD_INPUT),
    (errors.RecipientNotFound("db-1", "ada"), Exit.BAD_INPUT),
    (errors.IncidentResolved("db-1"), Exit.BAD_INPUT),
    (errors.ApiKeyNotFound("0123"), Exit.BAD_INPUT),
    (errors.DatabaseInUse(3, 2), Exit.BAD_INPUT),
    (errors.NotConfirmed("Nothing was done."), Exit.BAD_INPUT),
    (errors.StorageUnavailable(5), Exit.UNAVAILABLE),
    (errors.SchemaMismatch(1, 2, 1, "Upgrade"), Exit.UNAVAILABLE),
    (errors.UnreleasedSchema(), Exit.UNAVAILABLE),
    (errors.BrokerUnavailable(), Exit.UNAVAILABLE),
    (errors.ProgramMissing("dot", "Install it"), Exit.UNAVAILABLE),
    (errors.PortUnavailable(80, "Permission denied"), Exit.UNAVAILABLE),
    (errors.IllegalMove("incident", "OPEN", "x"), Exit.FAILED),
]


@pytest.mark.parametrize(("error", "code"), ENDINGS)
def test_every_error_has_its_exit_code(error: errors.NotifyflowError, code: Exit):
    assert code_of(error) is code


def test_the_exit_codes_are_these_and_each_has_a_meaning():
    assert {each.name: int(each) for each in Exit} == {"OK": 0, "FAILED": 1, "BAD_INPUT": 2, "UNAVAILABLE": 3, "INTERRUPTED": 130}
    assert all(each.meaning.endswith(".") for each in Exit)


def test_all_invalid_input_has_one_exit_code():
    family = [each for _, each in inspect.getmembers(errors, inspect.isclass) if issubclass(each, errors.InvalidInput)]
    assert all(code_of(each(FAULTS)) is Exit.BAD_INPUT for each in family)
