"""A message about several incidents counts them all, names the worst, and says how to acknowledge; none stands for all."""

import json
import re
from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from notifyflow.channels.templating import SAMPLE
from notifyflow.core.delivery.model import Kind, Severity
from notifyflow.core.messages.bundle_words import bundle_of
from notifyflow.core.messages.content import Content
from notifyflow.core.messages.segments import count, plain
from tests.renderers import MAIL, PUSH, SLACK, SMS, SNS_SMS, TEAMS, a_message, elements_of, mail_of, title_of
from tests.strategies import hostile_contents, severities, titles

ALL = "https://page.example.com/a/" + "x" * 40
PAGES = [
    replace(SAMPLE, key="db-1", severity=Severity.ERROR, title="orders db is down", link="https://example.com/a/1"),
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
BOTH = bundle_of(PAGES, named=20, oldest=PAGES[1], is_after_quiet=True, link=ALL, reply="ALL 42")
STORM = [
    replace(SAMPLE, key=f"k{n}", title=f"host-{n} does not answer", link=f"https://example.com/a/{n}", severity=severity)
    for n, severity in enumerate([Severity.CRITICAL] * 3 + [Severity.ERROR] * 34)
]
LONG = [
    replace(SAMPLE, key=f"k{n}" * 40, title="долгий титул " * 90, link=f"https://example.com/a/{n:0180}", severity=Severity.ERROR)
    for n in range(23)
]
MANY = bundle_of(LONG, named=20, oldest=LONG[0], link=ALL)


def storm(named: int, **more: object) -> Content:
    return bundle_of(STORM, named=named, oldest=STORM[0], link=ALL, reply="ALL 42", **more)


def push_of(content: Content) -> tuple[str, str, dict[str, str]]:
    google = json.loads(json.loads(PUSH.payload(a_message(content)))["GCM"])["fcmV1Message"]["message"]
    return google["notification"]["title"], google["notification"]["body"], google["data"]


def test_it_says_how_many_waited_since_when_and_has_nothing_of_only_one() -> None:
    assert (BOTH.title, BOTH.occurred, BOTH.key) == (
        "2 incidents waited while you were quiet: 1 ERROR, 1 WARNING",
        "since Tue 24 Nov 23:50 CET",
        "db-1 and disk-2",
    )
    assert (BOTH.severity, BOTH.url, BOTH.labels, BOTH.details, BOTH.unnamed) == (Severity.ERROR, None, {}, {}, 0)
    assert (BOTH.link, BOTH.reply, BOTH.delayed, BOTH.action) == (ALL, "ALL 42", "delayed 7 m", "Acknowledge all 2")
    assert BOTH.body.splitlines() == [
        "ERROR: orders db is down, Wed 25 Nov 03:14 CET · db-1 · acknowledge: https://example.com/a/1",
        "WARNING: disk is full, Tue 24 Nov 23:50 CET, delayed 7 m · disk-2 · acknowledge: https://example.com/a/2",
    ]


def test_the_counts_are_of_all_and_what_is_not_named_is_a_number() -> None:
    content = storm(20)
    assert content.title == "37 incidents: 3 CRITICAL, 34 ERROR"
    assert content.counts == {Severity.CRITICAL: 3, Severity.ERROR: 34}
    assert [each.key for each in content.bundled] == [f"k{n}" for n in range(20)]
    assert (content.unnamed, content.body.splitlines()[-1], len(content.body.splitlines())) == (17, "and 17 more", 21)


def test_without_links_each_line_has_its_key() -> None:
    bare = [replace(each, link=None) for each in PAGES]
    content = bundle_of(bare, named=20, oldest=bare[0])
    assert content.body.startswith("ERROR: orders db is down, Wed 25 Nov 03:14 CET · db-1\n")
    assert (content.link, content.reply) == (None, "")


def test_status_updates_say_together_what_they_have_in_common_and_apart_what_not() -> None:
    updates = [
        replace(each, kind=Kind.STATUS_UPDATE, link=None, reply="", status_update="resolved", is_resolved=True) for each in PAGES
    ]
    content = bundle_of(updates, named=20, oldest=updates[0])
    assert (content.status_update, content.is_resolved) == ("resolved", True)
    assert title_of(TEAMS.card(content)) == "✅ resolved: 2 incidents: 1 ERROR, 1 WARNING"
    assert b"Subject: [resolved] 2 incidents: 1 ERROR, 1 WARNING\r\n" in MAIL.write(a_message(content))
    mixed = [updates[0], replace(updates[1], status_update="Ben acknowledged it", is_resolved=False)]
    content = bundle_of(mixed, named=20, oldest=mixed[0])
    assert (content.status_update, content.is_resolved) == ("changed", False)
    assert [line.partition(":")[0] for line in content.body.splitlines()] == ["resolved", "Ben acknowledged it"]
    assert ">Ben acknowledged it</span> disk is full" in mail_of(content)[1]


def test_mail_has_a_link_for_each_that_it_names_and_one_for_all() -> None:
    for content in (BOTH, MANY):
        plain_text, html = mail_of(content)
        for each in content.bundled:
            assert f"acknowledge: {each.link}" in plain_text
            assert f'href="{each.link}"' in html
        total = len(content.bundled) + content.unnamed
        assert plain_text.startswith(f"{total} incidents")
        assert plain_text.count("\n\n\n") == 0
        assert f"\nAcknowledge all {total}: {ALL}\n" in plain_text
        assert re.search(f'<a class="button" href="{ALL}"[^>]*>Acknowledge all {total}</a>', html)
        assert [("and 3 more" in part) for part in (plain_text, html)] == [content is MANY] * 2


def test_slack_and_teams_have_a_link_for_each_that_they_name_and_a_button_for_all() -> None:
    for content in (BOTH, MANY):
        addresses = {each.link for each in content.bundled}
        payload = SLACK.payload(content, acts_in_place=True)
        elements = list(elements_of(payload))
        assert {element["url"] for element in elements if "url" in element} == addresses
        (actions,) = (block for block in payload["attachments"][0]["blocks"] if block["type"] == "actions")
        words = f"Acknowledge all {len(content.bundled) + content.unnamed}"
        assert [(each["text"]["text"], each["url"], "value" in each) for each in actions["elements"]] == [(words, ALL, False)]
        assert elements[0]["text"] == f"🟠 {content.title}"
        card = TEAMS.card(content)
        runs = [run for block in card["body"][1:] for run in block.get("inlines", ())]
        assert {run["selectAction"]["url"] for run in runs if "selectAction" in run} == addresses
        (buttons,) = (block["actions"] for block in card["body"] if block["type"] == "ActionSet")
        assert [(each["title"], each["url"]) for each in buttons] == [(words, ALL)]
        assert title_of(card) == f"🟠 {content.title}"
        assert len(json.dumps(card, ensure_ascii=False).encode()) <= 28 * 1024
        said = ["".join(element.get("text", "") for element in elements), "".join(run["text"] for run in runs)]
        assert [("and 3 more" in each) for each in said] == [content is MANY] * 2


def test_a_text_counts_all_names_three_and_has_the_reply_and_the_link_of_all() -> None:
    assert SMS.text(storm(3)).splitlines() == [
        "37 incidents: 3 CRITICAL, 34 ERROR",
        "- host-0 does not answer",
        "- host-1 does...",
        "- host-2 does...",
        "and 34 more",
        "Reply ALL 42 to acknowledge.",
        "Reply STOP to end texts.",
        ALL,
    ]
    assert SMS.text(BOTH).splitlines()[:3] == [
        "2 incidents waited while you were quiet: 1 ERROR, 1 WARNING (delayed 7 m)",
        "- orders db is down",
        "- disk is full",
    ]
    assert SMS.text(replace(storm(3), notice="staging")).startswith("[staging] 37 incidents: 3 CRITICAL, 34 ERROR\n")


def test_twenty_cyrillic_incidents_are_one_text_of_three_segments_with_counts_a_title_the_code_and_the_link() -> None:
    twenty = [replace(each, title=f"Сервер {n} базы данных заказов не отвечает на запросы") for n, each in enumerate(STORM[:20])]
    text = SMS.text(bundle_of(twenty, named=3, oldest=twenty[0], link=ALL, reply="ALL 42"))
    assert text.splitlines() == [
        "3 CRITICAL, 17 ERROR",
        "- Сервер 0 базы данных заказов н...",
        "- Сервер 1 баз...",
        "- Сервер 2 баз...",
        "and 17 more",
        "Reply ALL 42 to acknowledge.",
        ALL,
    ]
    assert count(text) == 3


@pytest.mark.parametrize("reply", ["ALL 42", ""])
def test_words_give_way_to_the_titles_and_the_link_to_the_reply(reply: str) -> None:
    kinds = [Severity.CRITICAL] * 120 + [Severity.ERROR] * 180 + [Severity.WARNING] * 150 + [Severity.INFO] * 50
    crowd = [replace(SAMPLE, title=f"Сервер {n} не отвечает на запросы заказов", severity=kind) for n, kind in enumerate(kinds)]
    content = bundle_of(crowd, named=3, oldest=crowd[0], is_after_quiet=True, link=ALL, reply=reply)
    text = SMS.text(replace(content, notice="a drill on the copy of production", delayed="delayed 2 h 03 m"))
    assert count(text) <= 3
    assert text.splitlines()[0] == "120 CRITICAL, 180 ERROR, 150 WARNING, 50 INFO"
    assert (
        text.splitlines()[1:5]
        == ["- Сервер 0 не отвечает на запрос...", "- Сервер 1 не...", "- Сервер 2 не...", "and 497 more"][:4]
    )
    assert text.splitlines()[5] == ("Reply ALL 42." if reply else ALL)
    assert (ALL in text) is not bool(reply)


def test_without_a_link_and_a_reply_a_text_counts_and_names() -> None:
    bare = [replace(each, link=None) for each in PAGES]
    assert SNS_SMS.text(bundle_of(bare, named=3, oldest=PAGES[1])).splitlines()[1:3] == ["- orders db is down", "- disk is full"]


def shown(text: str) -> list[Content]:
    return [replace(SAMPLE, title=text)] * 5


@pytest.mark.parametrize(
    "title", ["🔥" * 500, "👩\u200d👩\u200d👧\u200d👦" * 140, "a" * 900, "データベースが応答しません" * 70, "e\u0301" * 400]
)
def test_a_text_names_what_it_says_it_names(title: str) -> None:
    text = SMS.text(bundle_of(shown(title), named=3, oldest=SAMPLE, link=ALL, reply="ALL 999999999"))
    check_text(text, shown(title), ALL, "ALL 999999999")


@hypothesis_settings(max_examples=300)
@given(data=st.data(), all_titles=st.lists(titles(), min_size=2, max_size=8), more=st.integers(0, 492))
def test_a_text_counts_and_names_in_any_script(data: st.DataObject, all_titles: list[str], more: int) -> None:
    kinds = sorted(
        data.draw(st.lists(severities, min_size=len(all_titles), max_size=len(all_titles))), key=lambda each: each.rank
    )
    link = data.draw(st.sampled_from((ALL, f"https://{'n' * 52}/a/{'x' * 40}", "https://" + "n" * 180)))
    contents = [replace(SAMPLE, title=title, severity=kind) for title, kind in zip(all_titles, kinds, strict=True)]
    contents += [replace(SAMPLE, title="the last", severity=kinds[-1])] * more
    content = bundle_of(
        contents, named=3, oldest=contents[-1], link=link, reply="ALL 42", is_after_quiet=data.draw(st.booleans())
    )
    notice = data.draw(st.sampled_from(("", "staging", "検証環境" * 10)))
    check_text(
        SMS.text(replace(content, notice=notice, delayed=data.draw(st.sampled_from(("", "delayed 7 m"))))),
        contents,
        link,
        "ALL 42",
    )


def check_text(text: str, contents: Sequence[Content], link: str, reply: str) -> None:
    """Check a text against what it is about, line by line."""
    assert count(text) <= 3
    head, *lines = text.splitlines()
    said = {kind: int(number) for number, kind in re.findall(r"(\d+) (CRITICAL|ERROR|WARNING|INFO)", head)}
    assert said == {str(kind): n for kind in Severity if (n := sum(each.severity is kind for each in contents))}
    assert list(said) == sorted(said, key=lambda kind: Severity(kind).rank)
    for place, (line, content) in enumerate(zip(lines, contents[:3], strict=False)):
        title, kept = content.title, 12 if place else 30
        if plain(f"- {title}").strip() == line:
            assert len(title) <= kept
        else:
            end = next(end for end in range(kept, -1, -1) if plain(f"- {title[:end].rstrip()}…") == line)
            assert end >= kept - 12 or end >= kept / 2
    rest = lines[min(3, len(contents)) :]
    assert (f"and {len(contents) - 3} more" in rest) is (len(contents) > 3)
    assert any(line.startswith(f"Reply {reply}") for line in rest)
    assert rest[-1] == link or link not in text


def test_a_push_message_counts_all_and_names_three() -> None:
    title, body, data = push_of(storm(3))
    assert title == "37 incidents: 3 CRITICAL, 34 ERROR"
    assert body.splitlines()[:5] == [
        "- host-0 does not answer",
        "- host-1 does…",
        "- host-2 does…",
        "and 34 more",
        "since Wed 25 Nov 03:14 CET",
    ]
    assert data["link"] == ALL


@hypothesis_settings(max_examples=60)
@given(st.lists(hostile_contents(), min_size=2, max_size=4), st.integers(0, 300))
def test_whatever_incidents_say_each_channel_keeps_to_its_limits(contents: list[Content], more: int) -> None:
    contents = [replace(each, kind=Kind.PAGE, status_update="") for each in contents]
    contents.sort(key=lambda each: each.severity.rank)
    contents += [contents[-1]] * more
    content = bundle_of(contents, named=20, oldest=contents[0], link=ALL, reply="ALL 42")
    short = bundle_of(contents, named=3, oldest=contents[0], link=ALL, reply="ALL 42")
    assert count(SMS.text(short)) <= 3
    for platform in ("GCM", "APNS"):
        assert len(json.loads(PUSH.payload(a_message(short)))[platform].encode("utf-8", "replace")) <= 4096
    assert len(json.dumps(TEAMS.card(content), ensure_ascii=False).encode("utf-8", "replace")) <= 28 * 1024
    assert all(len(element.get("text", "")) <= 3000 for element in elements_of(SLACK.payload(content)))
    mail_of(content)


@pytest.mark.parametrize("sign", ["a", "ж", "数", "🔥", '"', "\\"])
def test_the_longest_list_of_twenty_is_whole_in_mail_and_chat(sign: str) -> None:
    contents = [
        replace(SAMPLE, title=sign * 900, key=sign * 250, delayed="delayed 1199 h 59 m", link=f"https://{'n' * 60}/a/{n:040}")
        for n in range(37)
    ]
    content = bundle_of(contents, named=20, oldest=contents[0], link=ALL)
    links = {each.link for each in contents[:20]}
    payload, card = SLACK.payload(content), TEAMS.card(content)
    runs = [run for block in card["body"][1:] for run in block.get("inlines", ())]
    assert {each["url"] for each in elements_of(payload) if "url" in each} == links
    assert {run["selectAction"]["url"] for run in runs if "selectAction" in run} == links
    said = [
        *mail_of(content),
        "".join(each.get("text", "") for each in elements_of(payload)),
        "".join(run["text"] for run in runs),
    ]
    assert ["and 17 more" in each for each in said] == [True] * 4
