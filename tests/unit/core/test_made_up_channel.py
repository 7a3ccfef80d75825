"""A channel that no module of the core knows is drawn, told and written to under its own name."""

from dataclasses import replace

from notifyflow.core.delivery.model import Kind, Recipient
from notifyflow.core.delivery.policy import DEFAULT, Tier
from notifyflow.core.diagrams import tier_picture
from notifyflow.core.insight.timeline import TimelineEntry
from notifyflow.core.insight.timeline_words import sentence
from tests.facts import NOW

CHANNEL = "pager"


def test_a_recipient_has_an_address_on_it() -> None:
    ada = Recipient(id="ada", email="ada@example.com", addresses={CHANNEL: "4711"})
    assert ada.ways == {"email": "ada@example.com", CHANNEL: "4711"}
    assert Recipient.from_dict(ada.to_dict()) == ada


def test_a_policy_that_uses_it_is_drawn_with_it() -> None:
    picture = tier_picture.of_policy(replace(DEFAULT, tiers=(Tier(name="primary", channels=("email", CHANNEL)),)))
    assert list(picture.boxes) == ["mail, pager"]
    assert "mail, pager" in tier_picture.svg(picture)


def test_what_happens_on_it_is_told() -> None:
    page = TimelineEntry(
        at=NOW, machine="notification", event="delivery_reported", row_id="n", recipient_id="ada", channel=CHANNEL, kind=Kind.PAGE
    )
    press = TimelineEntry(
        at=NOW, machine="incident", event="acknowledged", row_id="i", state="ACKNOWLEDGED", by="ada", via=CHANNEL
    )
    said = [sentence(each, name=str.title, brief=str) for each in (page, press)]
    assert said == ["pager message to Ada delivered", "Ada acknowledged through pager"]
