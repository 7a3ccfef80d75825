"""Whatever an incident says, each channel's message keeps to its format and limits."""

import asyncio
import email
import email.policy
import json
import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from email.header import decode_header, make_header
from itertools import product
from pathlib import Path
from xml.etree import ElementTree

import pytest
import regex
from hypothesis import example, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from notifyflow.channels.http.guard import Guard
from notifyflow.channels.mail import MailWriter, encoded, parse_sender
from notifyflow.channels.slack import Slack, split
from notifyflow.channels.sms import TwilioSms
from notifyflow.channels.template_folder import escape_mrkdwn
from notifyflow.channels.templating import SAMPLE, SAMPLE_BUNDLE, Templates
from notifyflow.channels.voice import TwilioVoice
from notifyflow.core.delivery.model import Contact, Incident, Kind, Severity
from notifyflow.core.messages.content import Content, compose
from notifyflow.core.messages.links import sign
from notifyflow.core.messages.segments import count
from notifyflow.sandbox.phone import Callee
from notifyflow.settings import Settings
from tests.renderers import (
    AT,
    MAIL,
    PUSH,
    SETTINGS,
    SLACK,
    SMS,
    TEAMS,
    TEMPLATES,
    VOICE,
    a_message,
    blocks_of,
    elements_of,
    mail_of,
    title_of,
)
from tests.strategies import any_text, graphemes, hostile_contents, severities, titles

SPECIAL = re.compile(r"<[!@#]")
few = hypothesis_settings(max_examples=60)


@few
@given(hostile_contents())
def test_mail_headers_and_parts_survive_any_text(content: Content) -> None:
    raw = MAIL.write(a_message(content))
    message = email.message_from_bytes(raw, policy=email.policy.default)
    assert message.keys() == [
        "Subject", "From", "To", "Date", "Message-ID", "In-Reply-To", "References", "Auto-Submitted", "X-Notifyflow-Attempt",
        "MIME-Version", "Content-Type",
    ]  # fmt: skip
    assert [part.get_content_type() for part in message.iter_parts()] == ["text/plain", "text/html"]
    assert message["To"] == "ada@example.com"
    assert raw.isascii()
    assert all(len(line) <= 998 for line in raw.split(b"\r\n"))
    assert not message.defects
    assert content.title in message.get_body(("plain",)).get_content()


def test_all_mail_of_one_incident_is_one_thread_whoever_carries_it() -> None:
    page = replace(a_message(SAMPLE), attempt_id="a1")
    late = replace(a_message(replace(SAMPLE, delayed="delayed 7 m")), attempt_id="a2", notification_id="n2")
    update = replace(
        a_message(replace(SAMPLE, kind=Kind.STATUS_UPDATE, status_update="Ada acknowledged it", link=None)), attempt_id="a3"
    )
    elsewhere = MailWriter(TEMPLATES, parse_sender("pager@example.org"))
    writers = (MAIL, MAIL, MAIL, elsewhere)
    mails = [
        email.message_from_bytes(writer.write(each), policy=email.policy.default)
        for writer, each in zip(writers, (page, late, update, update), strict=True)
    ]
    assert {mail[name] for mail in mails for name in ("References", "In-Reply-To")} == {"<i1@incidents.notifyflow.invalid>"}
    assert len({mail["Message-ID"] for mail in mails}) == 4
    assert [mail["Subject"] for mail in mails] == [
        "[CRITICAL] orders db is down",
        "[CRITICAL] orders db is down",
        "Re: [CRITICAL] orders db is down",
        "Re: [CRITICAL] orders db is down",
    ]
    late_text, update_text = (mail.get_body(("plain",)).get_content() for mail in mails[1:3])
    assert "This message is delayed 7 m." in late_text
    assert update_text.splitlines()[0] == "Ada acknowledged it"


def test_mail_about_another_incident_or_none_is_in_no_thread() -> None:
    other, none = (MAIL.write(replace(a_message(SAMPLE), incident_id=each)) for each in ("i2", ""))
    assert b"References: <i2@incidents.notifyflow.invalid>" in other
    assert b"References" not in none


@pytest.mark.parametrize(
    ("sender", "name"),
    [
        ("Дежурный <pager@example.com>", "Дежурный"),
        ("当直 <pager@example.com>", "当直"),
        ('"Pager, the loud" <pager@example.com>', "Pager, the loud"),
        (f"{'Überwachung ' * 12}<pager@example.com>", ("Überwachung " * 12).strip()),
        ("pager@example.com", ""),
    ],
)
def test_a_senders_name_in_any_script_is_ascii_on_its_way_and_whole_when_it_is_read(sender: str, name: str) -> None:
    header = encoded(parse_sender(sender))
    assert header.isascii()
    assert all(len(word) <= 75 for word in header.split() if word.startswith("=?"))  # RFC 2047, section 2
    shown, _, address = header.rpartition(" ")
    assert str(make_header(decode_header(shown.strip('"')))) == name
    assert address.strip("<>") == "pager@example.com"


@few
@given(hostile_contents())
def test_markup_in_an_incident_stays_text_in_html(content: Content) -> None:
    html = TEMPLATES.render("email/body.html.jinja", content)
    plain = TEMPLATES.render("email/body.html.jinja", SAMPLE)
    assert set(re.findall(r"<(\w+)", html)) <= set(re.findall(r"<(\w+)", plain))


@few
@given(hostile_contents())
def test_a_text_takes_three_segments_at_most_and_keeps_its_link(content: Content) -> None:
    text = SMS.text(content)
    assert count(text) <= 3
    assert content.link is None or text.endswith(content.link)


DELAYS = ("", "delayed 7 m", "delayed 2 h 03 m", "delayed 1199 h 59 m by a silence")
NOTICES = ("", "staging", "test delivery only, nothing of this is real", "検証環境" * 10, "🔥" * 30)


@hypothesis_settings(max_examples=300)
@given(data=st.data(), title=titles(), severity=severities)
def test_a_text_says_the_beginning_of_any_title_and_tears_nothing(data: st.DataObject, title: str, severity: Severity) -> None:
    url = f"https://{'n' * data.draw(st.integers(1, 52))}"
    recipient = data.draw(st.sampled_from(("ada", "ada.lovelace@analytical-engines.example.com", "ä" * 255)))
    content = replace(
        SAMPLE,
        title=title,
        severity=severity,
        notice=data.draw(st.sampled_from(NOTICES)),
        delayed=data.draw(st.sampled_from(DELAYS)),
        reply=data.draw(st.sampled_from(("", "1", "999999999"))),
        body=data.draw(st.sampled_from(("", "障害が発生しています。" * 30, "word " * 60))),
        link=f"{url}/a/{sign(['k'], '0192f0c4a1b27c3d8e4f5a6b7c8d9e0f', recipient, AT + timedelta(days=7))}",
    )
    text = SMS.text(content)
    assert count(text) <= 3
    assert text.endswith(f"\n{content.link}")
    head, _, said = text.removesuffix(f"\n{content.link}").partition(f"{severity}")
    assert said, head
    said = said.partition(": ")[2]
    shown = next(title[:end] for end in range(len(title), -1, -1) if said.startswith(title[:end]))
    assert len(shown) >= min(len(title), 30)
    signs = regex.findall(r"\X", title)
    assert shown == title or shown in {"".join(signs[:number]) for number in range(len(signs))}


@few
@given(title=titles(), severity=severities, notice=st.sampled_from(NOTICES), delayed=st.sampled_from(DELAYS))
@example(title="o" * 60, severity=Severity.CRITICAL, notice="", delayed="")  # too long for the first line of a subject
def test_a_title_is_whole_where_it_fits_and_cut_between_visible_characters_elsewhere(
    title: str, severity: Severity, notice: str, delayed: str
) -> None:
    content = composed(title, severity, notice, delayed)
    mark = f"[{content.notice}] " if notice else ""
    mail = email.message_from_bytes(MAIL.write(a_message(content)), policy=email.policy.default)
    google = json.loads(json.loads(PUSH.payload(a_message(content)))["GCM"])["fcmV1Message"]["message"]
    heads = {
        "subject": (mail["Subject"], f"{mark}[{severity}] ", 200),
        "push": (google["notification"]["title"], f"{mark}{severity}: ", 150),
        "card": (title_of(TEAMS.card(content)), f"{content.look.sign} {mark}{severity}: ", 400),
        "slack": (elements_of(SLACK.payload(content))[0]["text"], f"{content.look.sign} {mark}{severity}: ", 3000),
    }
    signs = regex.findall(r"\X", title)
    whole = {"".join(signs[:number]) for number in range(len(signs) + 1)}
    for way, (head, before, limit) in heads.items():
        assert head.startswith(before), way
        shown = head.removeprefix(before)
        assert len(head) <= limit, way
        if len(before + title) <= limit:
            assert shown.startswith(title), way
        else:
            assert shown.endswith("…"), way
            assert len(shown) >= 30, way
            assert shown.removesuffix("…") in whole | {each.rstrip() for each in whole}, way


def composed(title: str, severity: Severity, notice: str, delayed: str) -> Content:
    made = compose(
        Incident(key="db-1", title=title),
        Contact(recipient_id="ada", name="Ada", addresses={}),
        severity=severity,
        now=AT,
        round_started_at=AT,
        due_at=AT,
        delayed_after=timedelta(minutes=5),
        link="https://example.com/a/token",
        notice=notice,
    )
    return replace(made, delayed=delayed)


def test_the_button_of_a_mail_is_a_cell_that_word_paints_and_pads() -> None:
    """Outlook on Windows ignores the background and the padding of a link, and rounds no corners; it knows those of a cell."""
    _, html = mail_of(SAMPLE)
    (button,) = re.findall(r"<table[^>]*>\s*<tr><td class=\"button\".*?</table>", html, re.DOTALL)
    cell, anchor = re.findall(r"<td class[^>]*>", button)[0], re.findall(r"<a [^>]*>", button)[0]
    assert re.search('bgcolor="(#[0-9a-f]{6})"', cell)[1] == re.search("background:(#[0-9a-f]{6})", cell)[1]
    assert "mso-padding-alt:14px 24px" in cell
    assert 'align="center"' in cell
    assert f'href="{SAMPLE.link}"' in anchor
    assert "display:block" in anchor


def test_a_long_title_is_cut_at_the_top_of_a_mail_and_whole_below() -> None:
    title = "orders db is down, and nobody knows why. " * 24
    content = replace(SAMPLE, title=title[:999].strip())
    plain, html = mail_of(content)
    assert re.search("<h1[^>]*>(.*)</h1>", html)[1].endswith("…")
    assert len(re.search("<h1[^>]*>(.*)</h1>", html)[1]) <= 150
    assert [part.find(content.title) > part.find(str(content.link)) > 0 for part in (plain, html)] == [True, True]
    assert max(map(len, plain.split("Acknowledge: ")[0].splitlines())) <= len("CRITICAL: ") + 150
    assert "Title" not in "".join(mail_of(SAMPLE))


def test_a_title_gets_a_third_segment_only_where_it_needs_one() -> None:
    link = "https://notify.example.com/a/" + "x" * 40
    long = {title: SMS.text(replace(SAMPLE, title=title, body="b" * 500, link=link)) for title in ("word " * 100, "障害" * 100)}
    assert [count(text) for text in long.values()] == [2, 2]
    far = "https://notifications.operations.example-company.com/a/" + "x" * 40
    needy = SMS.text(replace(SAMPLE, title="障害" * 100, link=far))
    assert count(needy) == 3
    assert SMS.text(replace(SAMPLE, title="障害" * 5, body="", link=far)).startswith("CRITICAL: " + "障害" * 5)


def test_the_marks_before_a_title_give_way_to_it() -> None:
    far = f"https://{'n' * 52}/a/{'x' * 40}"
    content = replace(SAMPLE, title="🔥" * 100, delayed="delayed 71 h 59 m", notice="a drill on the copy of production", link=far)
    assert SMS.text(replace(content, notice="")).startswith("CRITICAL (delayed 71 h 59 m): " + "🔥" * 30)
    assert SMS.text(content).startswith("[a drill on the…] CRITICAL: ".replace("…", "...") + "🔥" * 30)


@few
@given(hostile_contents())
def test_twiml_is_well_formed_and_short_enough(content: Content) -> None:
    without_url = TwilioVoice(Settings.from_variables({}), TEMPLATES, "+15005550006")
    bundle = replace(content, bundled=(content,) * 10, counts={content.severity: 12}, unnamed=2)
    for voice, told in product((VOICE, without_url), (content, bundle)):
        twiml = voice.twiml(told, "0" * 32)
        assert len(twiml) <= 4000
        response = ElementTree.fromstring(twiml.encode())
        assert response.tag == "Response"
        assert {element.tag for element in response.iter()} <= {"Response", "Pause", "Gather", "Say"}


@few
@given(st.lists(hostile_contents(), min_size=2, max_size=6), st.data())
def test_a_key_says_which_titles_of_a_call_were_heard(contents: list[Content], data: st.DataObject) -> None:
    contents = sorted(contents, key=lambda each: each.severity.rank)
    bundle = replace(contents[0], bundled=tuple(contents), counts=Counter(each.severity for each in contents))
    document = VOICE.twiml(bundle, "0" * 32)
    asked: list[tuple[str, str]] = []

    async def fetch(url: str, form: Mapping[str, str]) -> str | None:
        asked.append((re.findall(r"[?&]at=(\d+)", url)[0], form["Digits"]))
        return "<Response/>"

    callee = Callee(key="1", at=data.draw(st.integers(0, 8)))
    asyncio.run(callee.listen(document, "", fetch))
    heard = sum(line.startswith(tuple(f"{each.severity.capitalize()}: " for each in contents)) for line in callee.said[1:])
    assert asked == [(str(heard), "1")]


@few
@given(hostile_contents())
def test_slack_blocks_keep_to_their_limits_and_mention_nobody(content: Content) -> None:
    payload = SLACK.payload(content)
    assert json.loads(json.dumps(payload)) == payload
    assert 1 <= len(payload["text"]) <= 1000
    assert "<" not in payload["text"]
    assert not re.search(r"&(?!(amp|lt|gt);)", payload["text"])
    blocks = blocks_of(payload)
    assert 1 <= len(blocks) <= 50
    assert {block["type"] for block in blocks} <= {"rich_text", "actions"}
    assert [set(each) for each in payload["attachments"]] == [{"color", "blocks"}]
    for element in elements_of(payload):
        assert set(element) <= {"type", "text", "style"} or set(element) == {"type", "url"}
        assert element["type"] == ("link" if "url" in element else "text")
        assert "url" not in element or element["url"] in content.web_addresses
        assert 1 <= len(element.get("text", "-")) <= 3000
    for button in (element for block in blocks if block["type"] == "actions" for element in block["elements"]):
        assert len(button["text"]["text"]) <= 75
        assert len(button["url"]) <= 3000


@pytest.mark.parametrize(
    "text",
    ["<!channel> wake up", "<@U012>", "<https://evil.example|click>", "&lt;!here&gt;", "*bold* _it_ ~no~ `code`", ":fire:"],
)
def test_markup_and_mentions_in_an_incident_stay_text_at_slack(text: str) -> None:
    payload = SLACK.payload(hostile(text))
    assert not SPECIAL.search(payload["text"])
    assert text in "".join(element.get("text", "") for element in elements_of(payload))  # rich text is not parsed
    assert {element["type"] for element in elements_of(payload)} == {"text"}


@pytest.mark.parametrize("sign", ["😀", "<", "'", '"', "a", "a ", "\n", "&\n"])
def test_the_longest_message_of_one_sign_keeps_every_limit(sign: str) -> None:
    content = replace(
        hostile((sign * 1000)[:1000]),
        body=(sign * 65_536)[:65_536],
        labels={f"{number}{sign * 90}": sign * 500 for number in range(50)},
        url="https://example.com/" + "x" * 580,
    )
    assert count(SMS.text(content)) <= 3
    assert len(VOICE.twiml(content, "0" * 32)) <= 4000
    assert all(len(element.get("text", "")) <= 3000 for element in elements_of(SLACK.payload(content)))
    assert len(json.dumps(TEAMS.card(content), ensure_ascii=False).encode()) <= 28 * 1024
    for platform in ("GCM", "APNS"):
        assert len(json.loads(PUSH.payload(a_message(content)))[platform].encode()) <= 4096
    assert MAIL.write(a_message(content)).isascii()


@pytest.mark.parametrize(
    "title",
    [
        "データベースが応答しません" * 70,
        "数据库没有响应" * 140,
        "ฐานข้อมูลไม่ตอบสนอง" * 50,
        "orders-db-1." * 80 + "example.com",
        "👩\u200d👩\u200d👧\u200d👦" * 140,
    ],
    ids=["Japanese", "Chinese", "Thai", "a host", "emoji"],
)
def test_a_title_without_blanks_is_shown_as_far_as_it_fits_and_nothing_is_torn(title: str) -> None:
    content = replace(SAMPLE, title=title[:1000], body="", labels={})
    push = json.loads(json.loads(PUSH.payload(a_message(content)))["APNS"])["aps"]["alert"]["title"]
    mail = email.message_from_bytes(MAIL.write(a_message(content)), policy=email.policy.default)
    heads = {
        "subject": (mail["Subject"], 190),
        "card": (title_of(TEAMS.card(content)).removeprefix("🔴 "), 390),
        "push": (push, 140),
        "text": (SMS.text(content).partition("...")[0], 30),
    }
    for way, (head, at_least) in heads.items():
        shown = head.rstrip("…").partition(" ")[2]
        assert title.startswith(shown), way
        assert len(shown) >= at_least - len("[CRITICAL] "), way
        assert regex.findall(r"\X", title)[: len(regex.findall(r"\X", shown))] == regex.findall(r"\X", shown), way


def test_direction_marks_are_in_no_title_of_any_channel() -> None:
    content = compose(
        Incident(key="db-1", title="all is \u202etnaw I sa"),
        Contact(recipient_id="ada", name="Ada\u2066", addresses={}),
        severity=SAMPLE.severity,
        now=AT,
        round_started_at=AT,
        due_at=AT,
        delayed_after=timedelta(minutes=5),
        link=None,
    )
    mail = email.message_from_bytes(MAIL.write(a_message(content)), policy=email.policy.default)
    text = (
        mail["Subject"],
        *(part.get_content() for part in mail.iter_parts()),
        SMS.text(content),
        VOICE.twiml(content, "a1"),
        json.dumps(SLACK.payload(content), ensure_ascii=False),
        json.dumps(TEAMS.card(content), ensure_ascii=False),
        PUSH.payload(a_message(content)),
    )
    assert not [each for each in text if re.search("[\u202a-\u202e\u2066-\u2069]", each)]


@few
@given(graphemes)
def test_splitting_tears_no_character_that_people_see(signs: list[str]) -> None:
    places = {len("".join(signs[:count]).strip()) for count in range(len(signs) + 1)}
    text = "".join(signs).strip()
    first = next(split(text, limit=25), "").rstrip("…")
    assert len(first.rstrip()) in places or len(first) in places


@few
@given(any_text)
def test_splitting_tears_no_escape(text: str) -> None:
    for part in split(escape_mrkdwn(text), limit=20):
        assert 1 <= len(part) <= 20
        assert not re.search(r"&(?!(amp|lt|gt);)", part)


@few
@given(hostile_contents())
def test_an_adaptive_card_is_small_enough_and_made_of_text_runs(content: Content) -> None:
    card = TEAMS.card(content)
    assert len(json.dumps(card, ensure_ascii=False).encode("utf-8", "replace")) <= 28 * 1024
    assert card["type"] == "AdaptiveCard"
    head, *rest = card["body"]
    actions = [action for block in rest if block["type"] == "ActionSet" for action in block["actions"]]
    lines = [block for block in (*head["items"], *rest) if block["type"] != "ActionSet"]
    assert {block["type"] for block in lines} == {"RichTextBlock"}
    runs = [run for block in lines for run in block["inlines"]]
    assert all(run["type"] == "TextRun" and run["text"] for run in runs)
    actions += [run["selectAction"] for run in runs if "selectAction" in run]
    assert {action["type"] for action in actions} <= {"Action.OpenUrl"}
    assert {action["url"] for action in actions} <= content.web_addresses


@few
@given(hostile_contents())
def test_a_push_message_is_json_in_json_below_4_kb(content: Content) -> None:
    payload = json.loads(PUSH.payload(a_message(content)))
    assert set(payload) == {"default", "GCM", "APNS", "APNS_SANDBOX"}
    for platform in ("GCM", "APNS", "APNS_SANDBOX"):
        assert len(payload[platform].encode("utf-8", "replace")) <= 4096
        assert isinstance(json.loads(payload[platform]), dict)


@pytest.mark.parametrize("kind", [Kind.PAGE, Kind.STATUS_UPDATE])
def test_every_message_shows_the_mark_that_not_all_is_live(kind: Kind) -> None:
    content = replace(
        SAMPLE, kind=kind, status_update="Ada acknowledged it" if kind is Kind.STATUS_UPDATE else "", notice="redirected"
    )
    mail = email.message_from_bytes(MAIL.write(a_message(content)), policy=email.policy.default)
    slack, push = SLACK.payload(content), json.loads(PUSH.payload(a_message(content)))
    messages = {
        "subject": mail["Subject"],
        **{part.get_content_type(): part.get_content() for part in mail.iter_parts()},
        "text": SMS.text(content),
        "call": VOICE.twiml(content, "a1"),
        "summary at slack": slack["text"],
        "slack": json.dumps(slack["blocks"]),
        "card": json.dumps(TEAMS.card(content)),
        **push,
    }
    assert [way for way, text in messages.items() if "redirected" not in text] == []


def hostile(text: str) -> Content:
    return replace(SAMPLE, title=text, body=text, source=text, labels={text: text}, notice=text, key=text)


def test_a_template_of_the_operators_replaces_ours_and_is_escaped_alike(tmp_path: Path) -> None:
    (tmp_path / "slack").mkdir()
    (tmp_path / "slack" / "text.mrkdwn.jinja").write_text("Look: {{ title }} <{{ url }}|here>")
    templates = Templates(tmp_path)
    blocks = blocks_of(Slack(SETTINGS, templates, Guard(), None).payload(hostile("<!channel>")))
    assert [block["type"] for block in blocks] == ["section", "actions"]
    expected = "Look: &lt;!channel&gt; <https://example.com/db-1|here>"
    assert blocks[0]["text"] == {"type": "mrkdwn", "text": expected, "verbatim": True}
    assert templates.render("sms/text.txt.jinja", SAMPLE).startswith("CRITICAL: orders db is down")
    assert not templates.faults("slack")


def test_a_template_of_the_operators_that_says_nothing_leaves_no_empty_part_which_slack_would_refuse(tmp_path: Path) -> None:
    (tmp_path / "slack").mkdir()
    for name in ("title.txt.jinja", "text.txt.jinja", "text.mrkdwn.jinja"):
        (tmp_path / "slack" / name).write_text("{% if False %}x{% endif %}")
    payload = Slack(SETTINGS, Templates(tmp_path), Guard(), None).payload(replace(SAMPLE, link=None, url=None))
    (block,) = payload["blocks"]
    assert block["elements"][0]["elements"][0]["text"] == SAMPLE.title
    assert payload["attachments"] == []


@pytest.mark.parametrize("text", ["{{ titel }}", "{% if %}", "{{ 1 / 0 }}", "{{ title.x.y }}"])
def test_a_template_that_fails_is_a_warning_at_start_and_ours_is_used(tmp_path: Path, text: str) -> None:
    (tmp_path / "sms").mkdir()
    (tmp_path / "sms" / "text.txt.jinja").write_text(text)
    templates = Templates(tmp_path)
    (fault,) = templates.faults("sms")
    assert fault.where == "NOTIFYFLOW_TEMPLATES/sms/text.txt.jinja"
    assert not templates.faults("email")
    assert templates.render("sms/text.txt.jinja", SAMPLE).startswith("CRITICAL: orders db is down")


def test_a_template_that_fails_for_bundles_only_is_a_warning_at_start(tmp_path: Path) -> None:
    (tmp_path / "email").mkdir()
    (tmp_path / "email" / "body.txt.jinja").write_text("{{ title }}{% for each in bundled %}{{ each.titel.x }}{% endfor %}")
    (fault,) = Templates(tmp_path).faults("email")
    assert fault.where == "NOTIFYFLOW_TEMPLATES/email/body.txt.jinja"


def test_a_template_of_the_operators_for_bundles_is_used_for_texts(tmp_path: Path) -> None:
    (tmp_path / "sms").mkdir()
    (tmp_path / "sms" / "text.txt.jinja").write_text("{{ title }}")
    (tmp_path / "sms" / "bundle.txt.jinja").write_text("{{ counted }}{% if not is_short %} {{ 'ж' * 300 }}{% endif %}")
    templates = Templates(tmp_path)
    assert not templates.faults("sms", stops_texts=True, is_short=False)
    text = TwilioSms(SETTINGS, templates, "+15005550006").text(replace(SAMPLE_BUNDLE, reply=""))
    assert text.splitlines()[0] == "5 CRITICAL"


def test_a_template_that_replaces_nothing_is_a_warning_at_start(tmp_path: Path) -> None:
    (tmp_path / "sms").mkdir()
    (tmp_path / "sms" / "texte.txt.jinja").write_text("x")
    (fault,) = Templates(tmp_path).faults("sms")
    assert "replaces no template of ours" in fault.what
