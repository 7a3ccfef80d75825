"""Cards, pushes, mails and callbacks are read as their readers see them."""

import json
from email.message import EmailMessage
from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from notifyflow.sandbox import mail, page
from notifyflow.sandbox.aws import read_push
from notifyflow.sandbox.courier import ConnectionOverrides, read_overrides
from notifyflow.sandbox.inbox import Card, Inbox, Mail, Message, Piece, Push
from notifyflow.sandbox.slack import read_blocks, read_mrkdwn
from notifyflow.sandbox.teams import read_card


def test_slack_blocks_become_pieces() -> None:
    blocks = [
        {"type": "header", "text": {"type": "plain_text", "text": "orders db is down"}},
        {"type": "section", "text": {"type": "mrkdwn", "text": "*Now* &lt;3 <https://example.com/a|the dashboard>"}},
        {"type": "section", "fields": [{"type": "mrkdwn", "text": "*Severity*\nCRITICAL"}]},
        {"type": "divider"},
        {"type": "context", "elements": [{"type": "mrkdwn", "text": "one"}, {"type": "plain_text", "text": "two"}]},
        {"type": "actions", "elements": [{"type": "button", "text": {"text": "Acknowledge"}, "url": "https://example.com/a/t"}]},
        {
            "type": "section",
            "text": {"text": "more"},
            "accessory": {"type": "button", "text": {"text": "Open"}, "url": "https://e.com"},
        },
        {"type": "rich_text", "elements": []},
        {"type": "rich_text", "elements": [{"elements": [{"type": "text", "text": "db", "style": {"bold": True}}]}]},
        {
            "type": "rich_text",
            "elements": [{"elements": [{"type": "text", "text": "at "}, {"type": "link", "url": "https://e.com"}]}],
        },
    ]
    assert list(read_blocks(blocks)) == [
        Piece(kind="heading", text="orders db is down"),
        Piece(kind="text", text="*Now* <3 the dashboard https://example.com/a"),
        Piece(kind="fact", title="Severity", text="CRITICAL"),
        Piece(kind="divider"),
        Piece(kind="note", text="one · two"),
        Piece(kind="button", text="Acknowledge", url="https://example.com/a/t"),
        Piece(kind="text", text="more"),
        Piece(kind="button", text="Open", url="https://e.com"),
        Piece(kind="heading", text="db"),
        Piece(kind="text", text="at https://e.com"),
    ]


def test_slack_links_without_a_label_are_themselves() -> None:
    assert read_mrkdwn("see <https://example.com/?a=1&amp;b=2>") == "see https://example.com/?a=1&b=2"


def test_an_adaptive_card_becomes_pieces() -> None:
    card = {
        "type": "AdaptiveCard",
        "body": [
            {"type": "TextBlock", "size": "Large", "text": "orders db is down"},
            {"type": "RichTextBlock", "inlines": [{"type": "TextRun", "text": "*as "}, "is*"]},
            {"type": "Container", "items": [{"type": "TextBlock", "text": "Since 03:14"}]},
            {
                "type": "ColumnSet",
                "columns": [{"type": "Column", "items": [{"type": "TextBlock", "isSubtle": True, "text": "sandbox"}]}],
            },
            {"type": "FactSet", "facts": [{"title": "Severity", "value": "CRITICAL"}]},
            {"type": "ActionSet", "actions": [{"type": "Action.OpenUrl", "title": "Open", "url": "https://example.com"}]},
            {"type": "Image", "url": "https://example.com/i.png"},
        ],
        "actions": [{"type": "Action.OpenUrl", "title": "Acknowledge", "url": "https://example.com/a/t"}],
    }
    assert list(read_card(card)) == [
        Piece(kind="heading", text="orders db is down"),
        Piece(kind="text", text="*as is*"),
        Piece(kind="text", text="Since 03:14"),
        Piece(kind="note", text="sandbox"),
        Piece(kind="fact", title="Severity", text="CRITICAL"),
        Piece(kind="button", text="Open", url="https://example.com"),
        Piece(kind="button", text="Acknowledge", url="https://example.com/a/t"),
    ]


NOTIFICATION = {"title": "orders db is down", "body": "Since 03:14"}
DATA = {"attempt": "a1", "url": "https://example.com/db", "link": "https://example.com/a/t"}


@pytest.mark.parametrize(
    "message",
    [
        {"GCM": json.dumps({"fcmV1Message": {"message": {"notification": NOTIFICATION, "data": DATA}}}), "default": "x"},
        {"APNS": json.dumps({"aps": {"alert": NOTIFICATION}, **DATA}), "GCM": "{}", "default": "x"},
    ],
)
def test_a_push_is_read_from_the_platforms_own_payload(message: dict[str, str]) -> None:
    push, attempt_id = read_push(json.dumps(message))
    assert attempt_id == "a1"
    assert push == Push(title="orders db is down", text="Since 03:14", urls=("https://example.com/a/t", "https://example.com/db"))


def test_a_push_without_a_payload_is_its_text() -> None:
    assert read_push(json.dumps({"default": "orders db is down"})) == (Push(title="", text="orders db is down"), "")


def test_a_mail_is_taken_apart_and_its_attempt_found() -> None:
    message = EmailMessage()
    message["From"], message["Subject"], message["X-Notifyflow-Attempt"] = "Nöt <n@example.com>", "Überlast", "a1"
    message.set_content("text\n")
    message.add_alternative("<p>html</p>", subtype="html")
    parsed = mail.parse(message.as_bytes())
    assert mail.attempt_id(parsed) == "a1"
    assert mail.read(parsed) == Mail(sender="Nöt <n@example.com>", subject="Überlast", text="text", html="<p>html</p>")


@pytest.mark.parametrize(
    ("url", "overrides"),
    [
        ("https://n.example/c/1", ConnectionOverrides(url="https://n.example/c/1", retries=1, policies=frozenset({"ct"}))),
        (
            "https://n.example/c?a=1#rc=5&rp=all",
            ConnectionOverrides(url="https://n.example/c?a=1", retries=5, policies=frozenset({"all"})),
        ),
        (
            "https://n.example/c#rc=99&rp=5xx,rt",
            ConnectionOverrides(url="https://n.example/c", retries=5, policies=frozenset({"5xx", "rt"})),
        ),
        ("https://n.example/c#rc=x", ConnectionOverrides(url="https://n.example/c", retries=1, policies=frozenset({"ct"}))),
    ],
)
def test_connection_overrides_are_read_from_the_fragment(url: str, overrides: ConnectionOverrides) -> None:
    assert read_overrides(url) == overrides


@pytest.mark.parametrize(
    ("policies", "status", "wants"),
    [
        ("ct", None, True),
        ("ct", 500, False),
        ("5xx", 503, True),
        ("5xx", 404, False),
        ("4xx", 404, True),
        ("all", 500, True),
        ("all", 302, False),
        ("4xx", None, False),
    ],
)
def test_what_is_tried_again_is_what_the_policy_names(policies: str, status: int | None, *, wants: bool) -> None:
    assert ConnectionOverrides(url="", retries=1, policies=frozenset({policies})).wants_retry(status) is wants


def test_what_was_posted_is_shown_as_it_is_indented() -> None:
    inbox = Inbox()
    content = Card(summary="incident.opened", pieces=(Piece(kind="source", text='{\n  "a": 1\n}'),))
    inbox.add(Message(channel="webhook", provider="webhook", to="status", content=content))
    assert "<pre>{\n  &#34;a&#34;: 1\n}</pre>" in page.render(inbox, {}, "")


class _Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.text = ""

    def handle_starttag(self, tag: str, attrs: object) -> None:
        self.tags.add(tag)

    def handle_data(self, data: str) -> None:
        self.text += data


@given(st.one_of(st.text(), st.text(alphabet="<>&\"'*a https://x.y/").map("see https://example.com/a. ".__add__)))
def test_no_text_brings_markup_of_its_own_into_the_page(text: str) -> None:
    parser = _Tags()
    parser.feed(str(page.mark_up(text)) + "\n")
    parser.close()
    assert parser.tags <= {"a", "strong"}
    assert parser.text.replace("*", "").split() == text.replace("*", "").replace("\r", "\n").split()
