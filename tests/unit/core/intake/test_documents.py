import json
from contextlib import suppress
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from notifyflow.core.delivery.model import Notified, Recipient, Severity
from notifyflow.core.delivery.policy import (
    DEFAULT,
    SHIPPED,
    Acknowledgement,
    Failed,
    Policy,
    Repeat,
    Retries,
    RetrySchedule,
    Tier,
    Unacknowledged,
)
from notifyflow.core.intake.documents import dump, dump_policy, load, load_policy, read_policies, read_recipients
from notifyflow.core.intake.requests import read_incident
from notifyflow.errors import Fault, InvalidIncident, InvalidPolicy
from tests import strategies

EVERYTHING = """
[night]
is_suspicion_on = false
suspected_after_attempts = 3
suspected_after_deferral = "45s"
acknowledgement = "each"
delayed_after = "10m"
fresh_for = "12h"
fresh_for_critical = "2d"
escalate_within = "30 m"
overdue_after = { sms = "1.5m" }
unconfirmed_after = "20m"
critical_channels = ["sms"]
repeat = { every = "15m", rounds = 3, never_for = ["INFO", "WARNING"] }

[[night.tiers]]
name = "chat"
channels = ["slack", "teams"]

[[night.tiers]]
name = "phone"
channels = ["sms", "voice"]
rules = [{ failed = 1 }, { unacknowledged_after = "5m" }]
shut_for = ["INFO"]

[night.retries]
normal = { delays = ["30s", "1m"], jitter = 0.5, window = "5m" }
critical = { delays = [], window = "1m" }
by_channel = { voice = { delays = ["60s"] } }

[[day.tiers]]
name = "mail"
channels = ["email"]
"""


def test_every_field_of_a_policy_can_be_written_in_toml() -> None:
    night = Policy(
        name="night",
        tiers=(
            Tier(name="chat", channels=("slack", "teams")),
            Tier(
                name="phone",
                channels=("sms", "voice"),
                rules=(Failed(at_least=1), Unacknowledged(after=timedelta(minutes=5))),
                shut_for=(Severity.INFO,),
            ),
        ),
        retries=Retries(
            normal=RetrySchedule(delays=(timedelta(seconds=30), timedelta(minutes=1)), jitter=0.5, window=timedelta(minutes=5)),
            critical=RetrySchedule(delays=(), window=timedelta(minutes=1)),
            by_channel={"voice": RetrySchedule(delays=(timedelta(minutes=1),))},
        ),
        is_suspicion_on=False,
        suspected_after_attempts=3,
        suspected_after_deferral=timedelta(seconds=45),
        acknowledgement=Acknowledgement.EACH,
        repeat=Repeat(every=timedelta(minutes=15), rounds=3, never_for=(Severity.INFO, Severity.WARNING)),
        delayed_after=timedelta(minutes=10),
        fresh_for=timedelta(hours=12),
        fresh_for_critical=timedelta(days=2),
        escalate_within=timedelta(minutes=30),
        overdue_after={"sms": timedelta(seconds=90)},
        unconfirmed_after=timedelta(minutes=20),
        critical_channels=("sms",),
    )
    day = Policy(name="day", tiers=(Tier(name="mail", channels=("email",)),))
    assert read_policies(EVERYTHING, strategies.CHANNELS) == {"night": night, "day": day}


def test_a_severity_is_read_in_any_case_and_written_in_one() -> None:
    later = '{ name = "b", channels = ["sms"], rules = [{ failed = 1 }], shut_for = ["%s"] }'
    tiers = f'tiers = [{{ name = "a", channels = ["email"] }}, {later}]'
    for written in ("info", "Info", "INFO"):
        policy = read_policies(f"[night]\n{tiers}" % written)["night"]
        assert policy.tiers[1].shut_for == (Severity.INFO,)
        assert '"shut_for":["INFO"]' in dump_policy(policy)
    with pytest.raises(InvalidPolicy, match="'ınfo' is not a known severity"):
        read_policies(f"[night]\n{tiers}" % "ınfo")


def policy_faults(document: str) -> list[str]:
    with pytest.raises(InvalidPolicy) as refused:
        read_policies(document, strategies.CHANNELS)
    return [str(fault) for fault in refused.value.faults]


def test_every_fault_of_every_policy_is_listed() -> None:
    faults = policy_faults(
        """
stray = 5
[night]
acknowledgment = "any"
acknowledgement = "everyone"
is_suspicion_on = "yes"
suspected_after_attempts = true
fresh_for = "5 minutes"
suspected_after_deferral = 30
critical_channels = "sms"
overdue_after = { sms = "0s", email = "soon" }
repeat = { rounds = 2 }
[[night.tiers]]
name = "primary"
channels = ["email", "smss", 5]
[[night.tiers]]
name = "secondary"
channels = ["sms"]
rules = [{ faild = 2 }, { failed = 1, unacknowledged_after = "5m" }, {}, 7, { failed = "two" }]
shut_for = ["inof"]
[[night.tiers]]
channels = ["voice"]
[night.retries]
normal = { delays = ["1m", "20m"] }
critical = { jitter = "some" }
[empty]
"""
    )
    assert faults == [
        "stray: 5 is not a table. Give fields and their values.",
        "night.acknowledgment: 'acknowledgment' is not a known field. Use acknowledgement, if that was meant.",
        "night.tiers[0].channels[2]: 5 is not text. Put it in quotes.",
        "night.tiers[1].rules[0]: 'faild' is not a known rule. Use failed, if that was meant.",
        'night.tiers[1].rules[1]: {"failed": 1, "unacknowledged_after": "5m"} has to be one rule. Put each in its own braces.',
        "night.tiers[1].rules[2]: {} has to be one rule. Put each in its own braces.",
        "night.tiers[1].rules[3]: 7 is not a table. Give fields and their values.",
        "night.tiers[1].rules[4].failed: 'two' is not a whole number. Write a number such as 2.",
        "night.tiers[1].shut_for[0]: 'inof' is not a known severity. Use INFO, if that was meant.",
        "night.tiers[2].name: it is missing. Give it a value.",
        "night.retries.critical.delays: it is missing. Give it a value.",
        "night.retries.critical.jitter: 'some' is not a number. Write a number such as 0.1.",
        "night.is_suspicion_on: 'yes' is neither true nor false. Write true or false.",
        "night.suspected_after_attempts: true is not a whole number. Write a number such as 2.",
        'night.suspected_after_deferral: 30 is not a duration. Write a number and d, h, m or s, such as "90s" or "5m".',
        "night.acknowledgement: 'everyone' is not a known acknowledgement. Use one of any, each.",
        "night.repeat.every: it is missing. Give it a value.",
        'night.fresh_for: \'5 minutes\' is not a duration. Write a number and d, h, m or s, such as "90s" or "5m".',
        'night.overdue_after.email: \'soon\' is not a duration. Write a number and d, h, m or s, such as "90s" or "5m".',
        "night.critical_channels: 'sms' is not a list. Put it in [ ].",
        "empty.tiers: it is missing. Give it a value.",
        "night.tiers[2].rules: nothing ever opens this tier. Give a rule, such as { failed = 1 }.",
        "night.retries.normal.window: the delays add up to 21 m, the window is 10 m. Widen the window or shorten the delays.",
        "night.overdue_after.sms: 0:00:00 is out of range. Give more than 0 s and at most 366 d.",
    ]


@pytest.mark.parametrize("document", ["night = ", "[a]\n[a]", "a = " + "[" * 100_000, "\x00"])
def test_what_is_no_toml_is_refused_in_one_sentence(document: str) -> None:
    (fault,) = policy_faults(document)
    assert fault.startswith("document: it is not valid TOML: ")


@pytest.mark.parametrize(
    "written", ["", "5", "s", "-5s", "+5s", "5 weeks", "5mm", "1e3s", "٥s", "5s ", "1.s", "100000000d", "99999999999.9d"]
)
def test_what_is_no_duration_is_refused(written: str) -> None:
    assert policy_faults(f'[a]\nfresh_for = "{written}"\ntiers = [{{ name = "a", channels = ["sms"] }}]')[0].startswith(
        "a.fresh_for: "
    )


@pytest.mark.parametrize("policy", SHIPPED.values(), ids=SHIPPED)
def test_a_snapshot_spells_out_every_value(policy: Policy) -> None:
    written = json.loads(dump_policy(policy))[policy.name]
    assert written["retries"]["critical"] == {"delays": ["2s", "10s", "1m", "8m"], "jitter": 0.1, "window": "10m"}
    assert written["tiers"][0] == {
        "name": "primary",
        "channels": ["email", "slack", "teams", "push"],
        "rules": [],
        "shut_for": [],
    }
    assert ("repeat" in written) == (policy.repeat is not None)


@given(strategies.policies())
def test_a_snapshot_is_read_back_exactly(policy: Policy) -> None:
    assert load_policy(dump_policy(policy)) == policy


def test_a_snapshot_of_another_make_is_refused() -> None:
    with pytest.raises(InvalidPolicy, match=r"default\.tiers: it is missing"):
        load_policy('{"default": {}}')
    with pytest.raises(InvalidPolicy, match="tires"):
        load_policy(dump_policy(DEFAULT).replace('"tiers"', '"tires"'))
    for damaged in ("{}", "[]", '{"one": {}, "two": {}}', "{", "[" * 100_000):
        with pytest.raises(InvalidPolicy, match=r"document: it is not (one policy|valid JSON)"):
            load_policy(damaged)


WORDS = (
    *(
        "tiers",
        "name",
        "channels",
        "rules",
        "failed",
        "unacknowledged_after",
        "shut_for",
        "retries",
        "normal",
        "delays",
        "window",
    ),
    *("jitter", "repeat", "every", "rounds", "acknowledgement", "overdue_after", "is_suspicion_on", "fresh_for", "key", "title"),
    *("severity", "labels", "occurred_at", "recipients", "id", "url", "addresses", "other"),
)
VALUES = ("5m", "CRITICAL", "any", "email", "2026-11-25T03:14:00+01:00", "0s", "\x00", "https://[")
documents = st.recursive(
    st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.sampled_from(VALUES),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(WORDS), inner, max_size=5),
    max_leaves=20,
)


def toml(value: object) -> str:
    match value:
        case dict():
            return "{" + ", ".join(f"{name} = {toml(inner)}" for name, inner in value.items()) + "}"
        case list():
            return "[" + ", ".join(map(toml, value)) + "]"
        case _:
            return json.dumps(value)


@given(documents)
def test_whatever_is_written_is_read_or_refused(document: object) -> None:
    with suppress(InvalidPolicy):
        read_policies(f"night = {toml(document)}", strategies.CHANNELS)
    with suppress(InvalidIncident):
        read_incident(json.dumps(document))
    with suppress(InvalidIncident):
        read_recipients(json.dumps(document))


def test_recipients_may_stand_in_a_file_of_their_own() -> None:
    assert read_recipients('[{"id": "bob", "email": "bob@example.com"}]') == [Recipient(id="bob", email="bob@example.com")]


@pytest.mark.parametrize("document", ["", "{}", '[{"id": 5}]', '[{"id": "a", "mail": "b"}]'])
def test_what_is_no_file_of_recipients_is_refused(document: str) -> None:
    with pytest.raises(InvalidIncident):
        read_recipients(document)


NOTIFIED = Notified(incident_id="i", is_new=True, added=("ada",), faults=(Fault("recipients[1]", "it is empty", "Give it", 2),))


@pytest.mark.parametrize("value", [NOTIFIED, Notified(incident_id="i", is_new=False)])
def test_a_value_is_read_back_as_it_was_written(value: Notified) -> None:
    assert load(Notified, dump(value)) == value


@pytest.mark.parametrize("document", ["[]", '{"incident_id": "i"}', '{"incident_id": "i", "is_new": 1}'])
def test_a_damaged_value_is_refused(document: str) -> None:
    with pytest.raises(ValueError, match="the document is not of the type Notified"):
        load(Notified, document)


def test_a_shipped_policy_is_read_back_as_it_was_stored() -> None:
    assert [load_policy(dump_policy(each)) for each in SHIPPED.values()] == list(SHIPPED.values())
