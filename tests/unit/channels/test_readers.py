"""What somebody who was woken up reads first, on any channel: the button, the links, who else knows, how to get no more."""

import json
import re
from dataclasses import replace
from importlib import resources

import pytest

from notifyflow.channels.templating import SAMPLE
from notifyflow.core.delivery.model import Kind, Severity
from notifyflow.core.messages.content import Content
from notifyflow.core.messages.looks import ACKNOWLEDGED, RESOLVED, SEVERITIES
from tests.renderers import PUSH, SLACK, SMS, SNS_SMS, TEAMS, VOICE, a_message, elements_of, mail_of, title_of


@pytest.mark.parametrize(
    ("content", "sign", "colour", "style"),
    [
        (SAMPLE, "🔴", "#c4152f", "attention"),
        (replace(SAMPLE, severity=Severity.ERROR), "🟠", "#c2410c", "attention"),
        (replace(SAMPLE, severity=Severity.WARNING), "🟡", "#8a6100", "warning"),
        (replace(SAMPLE, severity=Severity.INFO), "🔵", "#1d5fbf", "accent"),
        (replace(SAMPLE, kind=Kind.STATUS_UPDATE, status_update="Ada acknowledged it"), "👀", "#5b6472", "emphasis"),
        (replace(SAMPLE, kind=Kind.STATUS_UPDATE, status_update="resolved", is_resolved=True), "✅", "#14713d", "good"),
    ],
)
def test_every_message_has_one_sign_and_the_colour_of_what_it_says(content: Content, sign: str, colour: str, style: str) -> None:
    slack, card = SLACK.payload(content), TEAMS.card(content)
    assert slack["attachments"][0]["color"] == colour
    assert card["body"][0]["style"] == style
    for text in (slack["text"], slack["blocks"][0]["elements"][0]["elements"][0]["text"], title_of(card)):
        assert text.startswith(f"{sign} ")
        assert len(re.findall("[🔴🟠🟡🔵👀✅]", text)) == 1
    assert f"border-top:6px solid {colour}" in mail_of(content)[1]


def test_pages_and_mail_have_the_same_colours() -> None:
    style = (resources.files("notifyflow.web") / "templates" / "colours.css").read_text()
    names = {"acknowledged": "soft", "resolved": "good"}
    for look in (*SEVERITIES.values(), ACKNOWLEDGED, RESOLVED):
        assert re.findall(rf"--{names.get(look.name, look.name)}: (#\w+);", style) == [look.colour, look.dark]


def test_the_button_comes_before_the_body_everywhere() -> None:
    content = replace(SAMPLE, body="No answer for 30 s.")
    slack, card = SLACK.payload(content), TEAMS.card(content)
    texts = (*mail_of(content), json.dumps(slack["attachments"]), json.dumps(card["body"]))
    for text in texts:
        assert 0 < text.index(str(content.link)) < text.index("No answer for 30 s."), text


def test_a_label_that_is_a_web_address_is_a_link_everywhere() -> None:
    runbook, ops = "https://example.com/runbooks/db?a=1&b=2", "https://example.com/ops"
    content = replace(SAMPLE, labels={"team": "orders", "runbook_url": runbook}, ops_contact=ops)
    text, html = mail_of(content)
    assert f"runbook_url: {runbook}\n" in text
    for url in (runbook, ops):
        assert f'href="{url.replace("&", "&amp;")}"' in html
        assert {"type": "link", "url": url} in elements_of(SLACK.payload(content))
        runs = [run for block in TEAMS.card(content)["body"] for run in block.get("inlines", ())]
        (link,) = (run for run in runs if run["text"] == url)
        assert link["selectAction"] == {"type": "Action.OpenUrl", "url": url}


def test_a_url_that_others_wrote_within_a_text_is_no_link() -> None:
    content = replace(SAMPLE, body="see https://evil.example/x now", labels={"note": "at https://evil.example/y"})
    assert not [each for each in elements_of(SLACK.payload(content)) if "evil" in each.get("url", "")]
    assert not re.search(r'"url": "[^"]*evil', json.dumps(TEAMS.card(content)))
    assert not re.search(r'href="[^"]*evil', mail_of(content)[1])


def test_every_message_says_who_else_is_paged_who_has_it_and_how_to_get_no_more() -> None:
    content = replace(SAMPLE, also_paged="Ben and Cleo", acknowledged="Cleo, Wed 25 Nov 03:20 CET", ops_contact="the pager desk")
    text, html = mail_of(content)
    messages = {
        "mail": text,
        "mail in HTML": html,
        "slack": json.dumps(elements_of(SLACK.payload(content))),
        "card": json.dumps(TEAMS.card(content)),
        "push": PUSH.payload(a_message(content)),
        "call": VOICE.twiml(content, "a1"),
        "text": SMS.text(replace(content, body="")),
    }
    hints = dict.fromkeys(messages, "the pager desk") | {"text": "Reply STOP to end texts."}
    for way, message in messages.items():
        assert "Ben and Cleo" in message, way
        assert "Cleo, " in message, way
        assert hints[way] in message, way


def test_a_text_over_a_provider_that_does_not_honour_stop_says_whom_to_ask() -> None:
    text = SNS_SMS.text(replace(SAMPLE, ops_contact="the pager desk"))
    assert "To end texts, ask the pager desk" in text
    assert "STOP" not in text
