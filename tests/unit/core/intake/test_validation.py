import time
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from notifyflow.core.delivery.model import Contact, Incident, Recipient, Severity, Step
from notifyflow.core.delivery.repeated_key import Given
from notifyflow.core.intake.validation import (
    OPERATIONS_KEY,
    CheckedIncident,
    check_incident,
    check_recipients,
    listed,
    validate_incident,
)
from notifyflow.core.text import one_line
from notifyflow.errors import Fault, InvalidIncident
from tests import strategies

INCIDENT = Incident(key="db-1", title="orders db is down", severity=Severity.CRITICAL)
ADA = Recipient(id="ada", name="Ada", email="ada@example.com", phone="+15550001234", timezone="Europe/Berlin")
CHANNELS = ("email", "slack", "teams", "push", "sms", "voice")


def check(channel: str, address: str) -> str:
    if "bad" in address:
        raise ValueError(f"is no address for {'a phone' if channel in ('sms', 'voice') else channel}")
    return address.lower()


def checked(*recipients: Recipient, incident: Incident = INCIDENT, is_strict: bool = False) -> CheckedIncident:
    return check_incident(incident, recipients, check, CHANNELS, is_strict=is_strict)


def refusal(*recipients: Recipient, incident: Incident = INCIDENT, is_strict: bool = False) -> list[str]:
    with pytest.raises(InvalidIncident) as refused:
        checked(*recipients, incident=incident, is_strict=is_strict)
    assert str(refused.value) == "\n".join(map(str, refused.value.faults))
    return [fault.where for fault in refused.value.faults]


def test_a_recipient_becomes_a_contact_with_normalised_addresses() -> None:
    result = checked(replace(ADA, email="Ada@Example.com", addresses={"slack": "C1"}), Recipient(id="bob", push="arn"))
    assert result.faults == ()
    assert result.contacts == (
        Contact(
            recipient_id="ada",
            name="Ada",
            addresses={"email": "ada@example.com", "sms": "+15550001234", "voice": "+15550001234", "slack": "c1"},
            timezone="Europe/Berlin",
        ),
        Contact(recipient_id="bob", name="bob", addresses={"push": "arn"}, timezone="UTC"),
    )


def test_bad_recipients_do_not_silence_good_ones() -> None:
    result = checked(
        replace(ADA, phone="bad number"),
        Recipient(id="bob", email="bad", addresses={"pager": "5", "slak": "C1"}, timezone="Berlin"),
        replace(ADA, name="another Ada"),
        Recipient(id=" ", email="a@example.com"),
        Recipient(id="cy"),
    )
    assert [contact.recipient_id for contact in result.contacts] == ["ada", "bob", "cy"]
    assert result.contacts[0].name == "Ada"
    assert result.contacts[0].addresses == {"email": "ada@example.com"}
    assert result.contacts[1].addresses == result.contacts[2].addresses == {}
    assert result.contacts[1].timezone == "UTC"
    assert [str(fault) for fault in result.faults] == [
        "recipients[0].phone: 'bad…' (10 characters) is no address for a phone. Correct the address; ada is not notified there.",
        "recipients[1].email: 'b…' (3 characters) is no address for email. Correct the address; bob is not notified there.",
        "recipients[1].addresses.pager: 'pager' is not a known channel. Use one of email, push, slack, sms, teams, voice.",
        "recipients[1].addresses.slak: 'slak' is not a known channel. Use slack, if that was meant.",
        "recipients[1].timezone: 'Berlin' is not a time zone. Use an IANA name such as Europe/Berlin; times are shown in UTC.",
        "recipients[2].id: 'ada' is repeated. Name each recipient once; the first one counts.",
        "recipients[3].id: it is empty. Give it a name of its own.",
        "recipients[4]: cy has no address. Give one for one of email, push, slack, sms, teams, voice.",
    ]


def test_an_address_that_is_empty_is_called_so() -> None:
    def refuse(channel: str, address: str) -> str:
        raise ValueError(f"is no {channel} address, said in a sentence with its full stop.")

    _, faults = check_recipients([Recipient(id="ada", email=" ", slack="general")], refuse, CHANNELS)
    assert [fault.what for fault in faults] == [
        "it is empty",
        "'ge…' (7 characters) is no slack address, said in a sentence with its full stop",
    ]


def test_it_says_what_is_given_of_a_contact_and_what_is_emptied() -> None:
    full = replace(ADA, timezone="Asia/Tokyo", quiet="22:00-07:00", channels={"ERROR": ("email",)})
    empty = Recipient(id="ben", email="b@example.com", phone="", addresses={"pager": ""}, timezone="", quiet="", channels={})
    wrong = Recipient(id="cy", email="c@example.com", timezone="Berlin", quiet="at night", channels={"ERROR": ("fax",)})
    result = checked(full, empty, Recipient(id="dan", email="d@example.com"), wrong, replace(ADA, quiet=""))
    every = ("timezone", "quiet", "channels")
    assert result.given == (
        Given(recipient_id="ada", fields=every),
        Given(recipient_id="ben", fields=every, emptied=("sms", "voice", "pager")),
        Given(recipient_id="dan"),
        Given(recipient_id="cy"),
    )
    assert result.contacts[1] == Contact(recipient_id="ben", name="ben", addresses={"email": "b@example.com"})
    assert {fault.where.partition(".")[0] for fault in result.faults} == {"recipients[3]", "recipients[4]"}


def test_whoever_has_only_emptied_addresses_has_none() -> None:
    result = checked(ADA, Recipient(id="ben", email="", phone=""))
    assert [str(fault).partition(".")[0] for fault in result.faults] == ["recipients[1]: ben has no address"]


def test_an_empty_text_is_a_fault_where_contacts_are_whole() -> None:
    _, faults = check_recipients([replace(ADA, timezone="", quiet="")], check, CHANNELS)
    assert [fault.where for fault in faults] == ["recipients[0].timezone", "recipients[0].quiet"]


def test_quiet_hours_that_cannot_be_read_are_left_out() -> None:
    ben = Recipient(id="ben", email="ben@example.com", quiet="at night")
    result = checked(replace(ADA, quiet="22:00 - 07:00"), ben)
    assert [contact.quiet for contact in result.contacts] == ["22:00-07:00", None]
    assert [str(fault) for fault in result.faults] == [
        "recipients[1].quiet: 'at night' does not say when quiet hours begin and end. Write when they begin and end, such as "
        "22:00-07:00; until then pages come at any time."
    ]


def test_preferred_channels_need_an_address_and_a_severity() -> None:
    wishes = {"error": ["sms", "slack", "sms"], "WARNING": ("slack",), "INFO": [], "URGENT": ["sms"]}
    result = checked(replace(ADA, channels=wishes), Recipient(id="ben", email="ben@example.com", channels={"INFO": ("slack",)}))
    assert [contact.channels for contact in result.contacts] == [{"ERROR": ("sms",)}, None]
    assert [str(fault) for fault in result.faults] == [
        "recipients[0].channels.ERROR: there is no address for 'slack'. Give one, or leave the channel out; it is skipped.",
        "recipients[0].channels.WARNING: there is no address for 'slack'. Give one, or leave the channel out; it is skipped.",
        "recipients[0].channels.WARNING: no channel is left. Name one with an address; the policy's are used.",
        "recipients[0].channels.INFO: no channel is left. Name one with an address; the policy's are used.",
        "recipients[0].channels: 'URGENT' is not a known severity. Use one of CRITICAL, ERROR, WARNING, INFO.",
        "recipients[1].channels.INFO: there is no address for 'slack'. Give one, or leave the channel out; it is skipped.",
        "recipients[1].channels.INFO: no channel is left. Name one with an address; the policy's are used.",
    ]


@pytest.mark.parametrize("wrong", [{"ERROR": "sms"}, {"ERROR": (1,)}, {1: ("sms",)}])
def test_preferred_channels_of_another_form_are_a_fault(wrong: object) -> None:
    result = checked(ADA, Recipient(id="ben", email="ben@example.com", channels=wrong))  # type: ignore[arg-type]
    assert [fault.where for fault in result.faults] == ["recipients[1].channels"]


def test_strictness_refuses_the_whole_for_one_fault() -> None:
    assert refusal(ADA, Recipient(id="bob", email="bad"), is_strict=True) == ["recipients[1].email"]
    assert checked(ADA, is_strict=True).faults == ()


def test_channels_to_choose_from_are_named_in_order() -> None:
    nobody = [Recipient(id="ada", addresses={"fax": "1"}), Recipient(id="ben")]
    with pytest.raises(InvalidIncident) as refused:
        check_incident(INCIDENT, nobody, check, frozenset(CHANNELS))
    assert [fault.remedy.partition("one of ")[2] for fault in refused.value.faults] == [", ".join(sorted(CHANNELS))] * 3


def test_nobody_whom_anything_can_reach_is_refused() -> None:
    assert refusal() == ["recipients"]
    assert refusal(Recipient(id="bob", email="bad")) == ["recipients", "recipients[0].email"]


@pytest.mark.parametrize(
    ("where", "given", "kind", "sentence"),
    [
        ("recipients", ADA, Recipient, "recipients: it is one Recipient, not a list. Put it in a list: [Recipient(…)]."),
        ("recipients", {"id": "ada"}, Recipient, "recipients: it is dict, not a list. Give a list: [Recipient(…)]."),
        ("recipients", "ada", Recipient, "recipients: it is str, not a list. Give a list: [Recipient(…)]."),
        ("recipients", None, Recipient, "recipients: it is NoneType, not a list. Give a list: [Recipient(…)]."),
        ("then", Step(to=()), Step, "then: it is one Step, not a list. Put it in a list: [Step(…)]."),
    ],
)
def test_what_is_no_list_is_refused_with_what_to_write(where: str, given: object, kind: type, sentence: str) -> None:
    with pytest.raises(InvalidIncident) as refused:
        listed(where, given, kind)
    assert str(refused.value) == sentence


@pytest.mark.parametrize("given", [[ADA], (ADA,), iter([ADA]), {"ada": ADA}.values()])
def test_every_kind_of_list_is_one(given: object) -> None:
    assert listed("recipients", given, Recipient) == (ADA,)


@pytest.mark.parametrize(("given", "kind"), [({"id": "ben"}, "dict"), ("ben", "str"), (None, "NoneType")])
def test_what_is_no_recipient_is_a_fault_of_its_own(given: Any, kind: str) -> None:
    remedy = "Give Recipient(…); from a dict with the same names it is Recipient(**values)"
    result = checked(given, ADA)
    assert [contact.recipient_id for contact in result.contacts] == ["ada"]
    assert result.faults == (Fault("recipients[0]", f"it is {kind}, not Recipient", remedy),)
    assert refusal(given) == ["recipients", "recipients[0]"]


def test_what_is_no_incident_is_refused_with_what_to_write() -> None:
    given: Any = {"key": "db-1", "title": "orders db is down"}
    (fault,) = validate_incident(given)
    remedy = "from a dict with the same names it is Incident(**values)"
    assert str(fault) == f"incident: it is dict, not Incident. Give Incident(…); {remedy}."
    assert refusal(ADA, incident=given) == ["incident"]


def test_all_faults_are_listed_at_once() -> None:
    incident = Incident(
        key="\t",
        title=" \n ",
        body="x" * 1_000_000,
        severity="critical",  # type: ignore[arg-type]
        source="s" * 256,
        url="ftp://example.com",
        labels={"": "", "n" * 101: "v" * 1_001, **{str(number): "" for number in range(50)}},
        occurred_at=datetime(1, 1, 1),  # noqa: DTZ001 - what is to be refused
    )
    faults = validate_incident(incident)
    assert [fault.where for fault in faults] == [
        "key",
        "title",
        "body",
        "source",
        "severity",
        "url",
        "labels",
        "labels",
        f"labels.{'n' * 99}…",
        f"labels.{'n' * 99}…",
        "occurred_at",
        "occurred_at",
    ]
    assert faults[2] == Fault(
        "body", "it has 1,000,000 characters, 65,536 are allowed", "Shorten it, and put the rest where url points"
    )
    assert str(faults[4]) == "severity: 'critical' is not a known severity. Use CRITICAL, if that was meant."
    assert refusal(Recipient(id="bob", email="bad"), incident=incident)[-2:] == ["recipients", "recipients[0].email"]


@pytest.mark.parametrize("key", ["db\n1", " db-1", "db\x00", "db\ud800", "k" * 256])
def test_a_key_that_would_not_be_found_again_is_refused(key: str) -> None:
    assert [fault.where for fault in validate_incident(replace(INCIDENT, key=key))] == ["key"]


@pytest.mark.parametrize(
    "url", [" ", "example.com", "https://", "https://[::1", "javascript:alert(1)", "https://a b", "http://a/\n"]
)
def test_what_is_no_web_address_is_refused(url: str) -> None:
    assert [fault.where for fault in validate_incident(replace(INCIDENT, url=url))] == ["url"]


def test_a_web_address_that_is_too_long_is_refused_before_its_host_is_normalised() -> None:
    """Normalising takes time that grows with the square of the length."""

    def spent(length: int) -> float:
        before = time.process_time()
        assert validate_incident(replace(INCIDENT, url="https://a" + "\u0315\u0300" * (length // 2))) == () or length > 2_000
        return time.process_time() - before

    allowed = min(spent(1_900) for _ in range(5))
    assert min(spent(30_000) for _ in range(3)) < 5 * allowed


def test_a_web_address_that_is_too_long_is_refused() -> None:
    assert [fault.where for fault in validate_incident(replace(INCIDENT, url="https://example.com/" + "x" * 2_000))] == ["url"]


@pytest.mark.parametrize(
    ("field", "value", "what"),
    [
        ("title", None, "it is NoneType, not str"),
        ("body", b"raw", "it is bytes, not str"),
        ("severity", 1, "it is int, not str"),
        ("url", 5, "it is int, not str"),
        ("occurred_at", "now", "it is str, not datetime"),
        ("labels", ["a"], "it is list, not Mapping"),
        ("labels", {"retries": 3}, "'retries' is not text with text"),
    ],
)
def test_a_value_of_another_type_is_a_fault_and_no_crash(field: str, value: Any, what: str) -> None:
    wrong: Any = {field: value}
    assert [(fault.where, fault.what) for fault in validate_incident(replace(INCIDENT, **wrong))] == [(field, what)]


def test_a_recipient_of_another_type_silences_nobody() -> None:
    wrong: Any = 15550001234
    result = checked(ADA, replace(ADA, id="bob", phone=wrong))
    assert [(fault.where, fault.what) for fault in result.faults] == [("recipients[1].phone", "it is int, not str")]
    assert [contact.recipient_id for contact in result.contacts] == ["ada"]


def test_the_key_of_operations_is_reserved() -> None:
    assert [fault.where for fault in validate_incident(replace(INCIDENT, key=OPERATIONS_KEY))] == ["key"]


def test_the_keys_of_watched_jobs_are_reserved() -> None:
    assert [fault.where for fault in validate_incident(replace(INCIDENT, key="heartbeat/backup"))] == ["key"]


def test_what_is_not_given_stays_so_and_what_is_given_empty_is_no_fault() -> None:
    (given, bare) = (replace(INCIDENT, body="", source="", url="", labels={}), replace(INCIDENT, body=None, labels=None))
    for incident in (given, bare):
        stored = check_incident(incident, [Recipient(id="ada", email="ada@example.com")], check, frozenset(CHANNELS)).incident
        assert (stored.body, stored.source, stored.url, stored.labels) == (
            *(incident.body, incident.source),
            *(incident.url, incident.labels),
        )


@given(strategies.incidents)
def test_an_odd_byte_in_an_alert_silences_nobody(incident: Incident) -> None:
    stored = checked(ADA, incident=incident).incident
    texts = (stored.key, stored.title, stored.body, stored.source, *stored.labels, *stored.labels.values())
    assert all("\0" not in text and text.encode() is not None for text in texts)
    assert stored.title
    assert (stored.key, stored.severity, stored.url, stored.occurred_at) == (
        incident.key,
        incident.severity,
        incident.url,
        incident.occurred_at,
    )


@given(st.lists(strategies.recipients, max_size=4))
def test_whatever_recipients_are_given_each_is_kept_or_has_a_fault(recipients: list[Recipient]) -> None:
    contacts, faults = check_recipients(recipients, check, CHANNELS)
    assert all(one_line(text) == text for contact in contacts for text in (contact.recipient_id, contact.name, contact.timezone))
    for index, recipient in enumerate(recipients):
        kept = {contact.recipient_id: contact for contact in contacts}.get(recipient.id)
        is_whole = kept is not None and set(kept.addresses) == set(recipient.ways) != set()
        assert is_whole or any(fault.where.startswith(f"recipients[{index}]") for fault in faults)


def test_an_instant_may_be_in_any_zone() -> None:
    assert validate_incident(replace(INCIDENT, occurred_at=datetime(2026, 11, 25, 3, 14, tzinfo=UTC))) == ()


def test_direction_marks_are_stored_in_no_title_and_no_name_and_refuse_a_key() -> None:
    turned = replace(INCIDENT, title="all is \u202etnaw I sa", source="\u2066prometheus", labels={"te\u200fam": "or\u202cders"})
    result = checked(replace(ADA, name="A\u202dda"), incident=turned)
    assert (result.incident.title, result.incident.source) == ("all is tnaw I sa", "prometheus")
    assert result.incident.labels == {"team": "orders"}
    assert result.contacts[0].name == "Ada"
    assert refusal(ADA, incident=replace(INCIDENT, key="db\u202e-1")) == ["key"]
