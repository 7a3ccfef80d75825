import inspect

import pytest

from notifyflow import errors
from notifyflow.errors import Fault

FAULT = Fault("recipients[2].phone", "'+1…' is not a number", "Give one in international form")


@pytest.mark.parametrize(
    ("error", "says"),
    [
        (errors.InvalidInput((FAULT, FAULT)), f"{FAULT}\n{FAULT}"),
        (errors.NotFound("db-1"), "no incident has the key or id 'db-1'. "),
        (errors.RecipientNotFound("db-1", "ada"), "the incident 'db-1' has no recipient 'ada'. `notifyflow status db-1` "),
        (errors.RecipientUnknown("ada"), "nobody called 'ada' has an address there. Add one to the directory."),
        (errors.OverrideNotFound("o1"), "no override 'o1' is in force or to come. `notifyflow oncall show` lists them."),
        (errors.TooManyTests(7), "the last test was sent less than a minute ago. Send another one in 7 s."),
        (errors.IncidentResolved("db-1"), "the incident 'db-1' is resolved and pages nobody. Notify again "),
        (errors.IllegalMove("notification", "SENT", "claim"), "the notification machine has no move for 'claim' in SENT. "),
        (errors.StorageUnavailable(5.0), "the database did not answer within 5 s. Look at NOTIFYFLOW_DATABASE_URL "),
        (errors.StorageUnavailable(5.0, "no password", is_refused=True), "the database cannot be used (no password). Look at "),
        (errors.StorageUnavailable(0.5, "refused"), "the database did not answer within 0.5 s (refused). "),
        (
            errors.SchemaMismatch(1, 3, 2, "Run the upgrade."),
            "the database has schema 1, this notifyflow wants 3. Run the upgrade.",
        ),
        (
            errors.UnreleasedSchema(),
            "the database was made by an unreleased version of notifyflow, and before 0.1.0 there are no upgrades: start with ",
        ),
        (
            errors.UnsuitableConnection("it is asynchronous", "Give a synchronous one"),
            "notify() cannot join the transaction of this connection: it is asynchronous. Give a synchronous one.",
        ),
        (errors.StaleRow("notification", "n1"), "notification n1 was moved by another process"),
        (errors.Fenced("a1"), "the lease of attempt a1 has expired; "),
        (errors.Fenced("a1", is_gone=True), "attempt a1 has no row any more"),
        (errors.ProgramMissing("dot", "Install Graphviz"), "the program 'dot' is not installed. Install Graphviz."),
        (errors.PortUnavailable(8080, "in use"), "nothing can listen on port 8080: in use. "),
        (errors.ProviderError("busy"), "busy"),
        (errors.TemporaryProviderError("busy", code="503", retry_after_s=5), "busy (503)"),
        (errors.RejectedCallback("twilio", "no signature"), "a callback in the name of twilio was rejected: no signature"),
        (errors.InvalidLink(is_expired=True), "the link has expired"),
        (errors.InvalidLink(is_expired=False), "the link is not one of ours"),
    ],
)
def test_an_error_says_what_was_wrong_and_what_to_do(error: errors.NotifyflowError, says: str) -> None:
    assert str(error).startswith(says)


def test_all_errors_are_one_tree_and_say_when_they_are_raised() -> None:
    for name, kind in inspect.getmembers(errors, inspect.isclass):
        if kind is not Fault:
            assert issubclass(kind, errors.NotifyflowError), name
            assert (kind.__doc__ or "").startswith("Raised when"), name


def test_a_fault_is_a_value_that_says_where_what_and_the_remedy() -> None:
    assert str(FAULT) == "recipients[2].phone: '+1…' is not a number. Give one in international form."
    assert eval(repr(FAULT)) == FAULT
    assert Fault("recipients[2].phone", "'+1…' is not a number", "Leave it out") != FAULT
    assert FAULT != "recipients[2].phone"
    assert len({FAULT, eval(repr(FAULT))}) == 1
