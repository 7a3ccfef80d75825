"""What `explain` says of a chain: whom each step would page, at which time, and what cannot happen."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from notifyflow.core.delivery.model import Contact, Severity
from notifyflow.core.delivery.policy import INSISTENT, SHIPPED, Acknowledgement, Policy, Tier, Unacknowledged
from notifyflow.core.diagrams import tier_picture
from notifyflow.core.diagrams.diagram import dot, mermaid
from notifyflow.core.oncall.directory import read_directory
from notifyflow.core.oncall.roster import Resolved, Roster
from notifyflow.core.upkeep.chain_document import ExpectedChainDocument
from notifyflow.core.upkeep.chain_forecast import ExpectedChain, expected_chain
from notifyflow.core.upkeep.forecast import ChannelModel, fresh_escalation
from tests.capabilities import CALLING

MONDAY = datetime(2026, 12, 7, 8, 55, tzinfo=UTC)
DIRECTORY = read_directory(
    """
recipients = { ada = { name = "Ada", email = "ada@example.com" }, ben = { name = "Ben", email = "ben@example.com" }, cy = {} }
groups.leads = ["ada", "ben"]
default.to = ["ada"]
schedules.primary.timezone = "UTC"
schedules.primary.layers = [{ who = ["ada", "ben"], from = 2026-12-06T09:00:00, every = "1d" }]
schedules.weekend.timezone = "UTC"
schedules.weekend.layers = [{ who = ["ben"], from = 2026-12-06T09:00:00, every = "1d", only = "Sat-Sun" }]
[[routes]]
match = { team = "orders" }
to = ["ada"]
then = [{ after = "10m", to = ["@primary"] }, { after = "20m", to = ["leads"] }, { after = "5m", to = ["operations"] }]
[[routes]]
match = { team = "quiet" }
to = ["cy"]
then = [{ after = "10m", to = ["@weekend"] }]
over_after = "30m"
""",
    SHIPPED,
)
OLGA = Contact(recipient_id="ops", name="Olga", addresses={"email": "ops@example.com"})
MODELS = {"email": ChannelModel(providers=("smtp",))}


def contacts_of(found: Resolved) -> Sequence[Contact]:
    people = (each for each in found.recipients if each.email)
    return [Contact(recipient_id=each.id, name=each.name or each.id, addresses=dict(each.ways)) for each in people]


def expected(number: int = 0, policy: Policy = INSISTENT, severity: Severity = Severity.CRITICAL) -> ExpectedChain:
    return expected_chain(
        DIRECTORY.routes[number],
        Roster(directory=DIRECTORY),
        operations=[OLGA],
        contacts_of=contacts_of,
        fresh=lambda contact: fresh_escalation(contact, policy, severity, CALLING),
        models=MODELS,
        begins_at=MONDAY,
    )


def told(number: int = 0, policy: Policy = INSISTENT, severity: Severity = Severity.CRITICAL) -> list[str]:
    found = expected(number, policy, severity)
    return list(ExpectedChainDocument.of_chain(found, policy, severity).lines("team=orders"))


def test_each_step_pages_who_is_on_duty_at_its_time_and_nobody_twice() -> None:
    assert told() == [
        "team=orders: a chain of 4 steps, unless somebody acknowledges",
        "  1. at once: Ada",
        "  2. after 10 m, or at once if every message before is refused: Ben (@primary)",
        "  3. after 30 m, or at once if every message before is refused: nobody (leads)",
        "  4. after 30 m, or at once if every message before is refused: Olga (operations)",
        "  operations is told after 45 m that nobody has acknowledged",
        "  ! step 3 pages nobody, and the next one starts at once: its people are paged already",
    ]


def test_a_step_waits_its_time_where_not_every_way_can_fail_before() -> None:
    phone = Tier(name="phone", channels=("sms",), rules=(Unacknowledged(after=timedelta(minutes=20)),))
    slow = replace(INSISTENT, tiers=(INSISTENT.tiers[0], phone))
    eva = Contact(recipient_id="eva", name="Eva", addresses={"email": "e@example.com", "sms": "+1"})
    found = expected_chain(
        DIRECTORY.routes[0],
        Roster(directory=DIRECTORY),
        operations=[],
        contacts_of=lambda _: [eva],
        fresh=lambda each: fresh_escalation(each, slow, Severity.CRITICAL, CALLING),
        models=MODELS,
        begins_at=MONDAY,
    )
    assert found.steps[1].soonest == found.steps[1].after == timedelta(minutes=10)
    document = ExpectedChainDocument.of_chain(found, slow, Severity.CRITICAL)
    assert list(document.lines("team=orders"))[2].startswith("  2. after 10 m: nobody")


def test_a_step_waits_until_quiet_hours_are_over_if_it_is_asked_for_a_severity() -> None:
    def times(quiet_for: Severity | None) -> list[float]:
        found = expected_chain(
            DIRECTORY.routes[0],
            Roster(directory=DIRECTORY),
            operations=[OLGA],
            contacts_of=lambda found: [replace(each, quiet="08:00-10:00") for each in contacts_of(found)],
            fresh=lambda contact: fresh_escalation(contact, INSISTENT, Severity.ERROR, CALLING),
            models=MODELS,
            begins_at=MONDAY,
            quiet_for=quiet_for,
        )
        return [each.total_seconds() / 60 for each in (*(step.after for step in found.steps), found.over_after)]

    assert times(None) == times(Severity.CRITICAL) == [0, 10, 30, 30, 45]
    assert times(Severity.ERROR) == [0, 75, 95, 95, 110], "Ada's hours end 65 minutes after the beginning"


def test_what_cannot_happen_is_warned_of() -> None:
    each = replace(INSISTENT, name="announce", acknowledgement=Acknowledgement.EACH)
    assert [line for line in told(1, each, Severity.INFO) if line.startswith("  !")] == [
        "  ! the policy announce asks everybody to acknowledge, so that it refuses a chain",
        "  ! INFO starts no later step",
        "  ! step 1 pages nobody, and the next one starts at once: none of its people can be paged",
        "  ! step 2: nobody is on duty for @weekend then",
        "  ! step 2 pages nobody, and the next one starts at once: none of its people can be paged",
        "  ! the chain pages nobody at all",
    ]


def test_a_document_has_the_same_as_data() -> None:
    document = ExpectedChainDocument.of_chain(expected(), INSISTENT, Severity.CRITICAL).as_json()
    assert document["steps"][1] == {
        "number": 2,
        "to": ["@primary"],
        "after_s": 600.0,
        "soonest_s": 0.0,
        "people": ["ben"],
        "duty": {"@primary": ["ben"]},
    }
    assert (document["over_after_s"], document["names"]["ben"]) == (2700.0, "Ben")


def test_a_chain_is_drawn_with_its_people_and_times() -> None:
    picture = tier_picture.of_chain("team=orders", expected())
    drawing, svg = tier_picture.drawing(picture), tier_picture.svg(picture)
    for text in ("Ben (@primary)", "10 m, or all fail", "20 m, or", "at once", "operations is told"):
        assert all(text in each for each in (mermaid([drawing]), dot([drawing]), svg))
    assert drawing.states["step_3"] == "nobody"
    long = replace(picture, boxes=[*picture.boxes[:-1], "x" * 90])
    assert "x" * 31 not in tier_picture.svg(long)
