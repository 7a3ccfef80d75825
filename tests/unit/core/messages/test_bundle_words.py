"""A message about several incidents says how many waited, and how to acknowledge each; no channel lets one stand for all."""

import json
from dataclasses import replace

from notifyflow.channels.templating import SAMPLE
from notifyflow.core.delivery.model import Severity
from notifyflow.core.messages.bundle_words import bundle_of
from notifyflow.core.messages.segments import count
from tests.renderers import PUSH, SLACK, SMS, TEAMS, a_message, elements_of, mail_of

PAGES = [
    replace(SAMPLE, key="db-1", severity=Severity.ERROR, title="orders db is down", link="https://example.com/a/1", reply="12"),
    replace(
        SAMPLE,
        key="disk-2",
        severity=Severity.WARNING,
        title="disk is full",
        occurred="Tue 24 Nov 23:50 CET",
        delayed="delayed 7 m",
        link="https://example.com/a/2",
    ),
]
BOTH = bundle_of(PAGES, oldest=PAGES[1])
LONG = [
    replace(SAMPLE, key=f"k{n}" * 40, title="long title " * 90, link=f"https://example.com/a/{n:0180}", severity=Severity.ERROR)
    for n in range(20)
]
MANY = bundle_of(LONG, oldest=LONG[0])


def test_it_says_how_many_waited_since_when_and_has_nothing_of_only_one() -> None:
    assert (BOTH.title, BOTH.occurred, BOTH.key) == (
        "2 incidents waited while you were quiet",
        "since Tue 24 Nov 23:50 CET",
        "db-1 and disk-2",
    )
    assert (BOTH.severity, BOTH.link, BOTH.url, BOTH.reply, BOTH.labels, BOTH.details) == (Severity.ERROR, None, None, "", {}, {})
    assert BOTH.body.splitlines() == [
        "ERROR: orders db is down, Wed 25 Nov 03:14 CET · db-1 · reply 12 · acknowledge: https://example.com/a/1",
        "WARNING: disk is full, Tue 24 Nov 23:50 CET, delayed 7 m · disk-2 · acknowledge: https://example.com/a/2",
    ]
    assert (BOTH.first_link, SAMPLE.first_link) == ("https://example.com/a/1", SAMPLE.link)


def test_without_links_each_line_has_its_key() -> None:
    bare = [replace(each, link=None, reply="") for each in PAGES]
    assert bundle_of(bare, oldest=bare[0]).body.startswith("ERROR: orders db is down, Wed 25 Nov 03:14 CET · db-1\n")


def test_mail_has_a_link_for_each() -> None:
    for content in (BOTH, MANY):
        plain, html = mail_of(content)
        for each in content.bundled:
            assert f"acknowledge: {each.link}" in plain.replace("=\n", "")
            assert f'href="{each.link}"' in html
        assert 'class="button"' not in html


def test_slack_and_teams_have_a_link_for_each_and_no_button() -> None:
    for content in (BOTH, MANY):
        addresses = {each.link for each in content.bundled}
        elements = list(elements_of(SLACK.payload(content)))
        assert {element["url"] for element in elements if "url" in element} == addresses
        assert "actions" not in json.dumps(SLACK.payload(content))
        card = TEAMS.card(content)
        runs = [run for block in card["body"][1:] for run in block.get("inlines", ())]
        assert {run["selectAction"]["url"] for run in runs if "selectAction" in run} == addresses
        assert len(json.dumps(card).encode()) <= 28 * 1024
        assert not any(block["type"] == "ActionSet" for block in card["body"])


def test_a_text_lists_what_fits_and_says_whose_link_it_has() -> None:
    assert SMS.text(BOTH).splitlines()[:3] == [
        "2 incidents waited while you were quiet. The link is for the first:",
        "ERROR: orders db is down (reply 12)",
        "WARNING: disk is full",
    ]
    assert SMS.text(BOTH).splitlines()[-1] == "https://example.com/a/1"
    assert count(SMS.text(MANY)) == 2
    assert SMS.text(MANY).splitlines()[-1] == LONG[0].link


def test_a_push_message_lists_what_fits() -> None:
    google = json.loads(json.loads(PUSH.payload(a_message(BOTH)))["GCM"])["fcmV1Message"]["message"]
    assert google["notification"]["title"] == "ERROR: 2 incidents waited while you were quiet"
    assert "ERROR: orders db is down\nWARNING: disk is full\n" in google["notification"]["body"]
    assert google["data"]["link"] == "https://example.com/a/1"
