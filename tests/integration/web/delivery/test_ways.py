"""Every way to acknowledge × both kinds, over real HTTP against the sandbox; and what follows an acknowledgement."""

import json
import re
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
import requests
from slack_sdk.signature import SignatureVerifier
from twilio.request_validator import RequestValidator
from typer.testing import CliRunner

from notifyflow import Incident, NotifyFlow, Recipient, Settings
from notifyflow.cli.commands import app as commands
from notifyflow.cli.frame.serving import listen, served, url_of
from notifyflow.core.accounts.keys import KeyScope
from notifyflow.core.delivery.model import Ended, EscalationState, IncidentState, Kind, NotificationState
from notifyflow.core.delivery.policy import DEFAULT, Acknowledgement, Policy, Tier
from notifyflow.core.insight.views import IncidentStatus
from notifyflow.core.namespaces import ALL
from notifyflow.sandbox.inbox import Card, Message
from notifyflow.sandbox.slack import SIGNING_SECRET
from notifyflow.sandbox.system import Sandbox
from notifyflow.sandbox.twilio import AUTH_TOKEN, SMS_FROM
from tests.log_lines import capture_logs
from tests.waiting import wait_until

DEADLINE_S = 30
ADA, BOB = "+15005550011", "+15005550012"
CHANNELS = {"ada": "D0000ADA", "bob": "D0000BOB"}
RESPONSE = re.compile(r"<Message>(.*)</Message>", re.DOTALL)


@dataclass
class System:
    """A flow with its web service, and the sandbox."""

    flow: NotifyFlow
    sandbox: Sandbox
    url: str
    variables: Mapping[str, str]

    def notify(
        self, *channels: str, key: str = "db-1", mode: Acknowledgement = Acknowledgement.ANY, who: str = "ada bob"
    ) -> None:
        """Page recipients over some channels, in one tier."""
        policy = replace(DEFAULT, name="all at once", tiers=(Tier(name="primary", channels=channels),), acknowledgement=mode)
        self.page(policy, key=key, who=who)

    def page(self, policy: Policy, *, key: str = "db-1", who: str = "ada bob") -> None:
        people = [
            Recipient(
                id=each,
                name=each.title(),
                email=f"{each}@example.com",
                phone={"ada": ADA, "bob": BOB}[each],
                addresses={"slack": CHANNELS[each]},
            )
            for each in who.split()
        ]
        self.flow.notify(Incident(key=key, title=f"{key} is down"), people, policy=policy)

    def status(self, key: str = "db-1") -> IncidentStatus:
        return self.flow.status(key)

    def escalation(self, who: str, key: str = "db-1") -> EscalationState:
        return next(each.facts.state for each in self.status(key).escalations if each.contact.recipient_id == who)

    def arrived(self, channel: str, who: str, key: str = "db-1") -> Message:
        to = {"sms": {"ada": ADA, "bob": BOB}, "voice": {"ada": ADA, "bob": BOB}, "slack": CHANNELS}.get(channel, {}).get(
            who, who
        )
        return self.sandbox.inbox.wait_for(
            lambda message: (
                message.channel == channel and message.to.startswith(to) and key in message.text and message.is_accepted
            )
        )

    def text(self, body: str, sender: str = ADA, *, token: str = AUTH_TOKEN, sid: str = "SM1", **more: str) -> requests.Response:
        """Post a text to our number, as Twilio does."""
        url = f"{self.url}/callbacks/twilio/sms"
        form = {"MessageSid": sid, "From": sender, "To": SMS_FROM, "Body": body, **more}
        headers = {"X-Twilio-Signature": RequestValidator(token).compute_signature(url, form)}
        return requests.post(url, data=form, headers=headers, timeout=DEADLINE_S)

    def press(self, body: str, headers: Mapping[str, str]) -> requests.Response:
        form = {"Content-Type": "application/x-www-form-urlencoded"}
        return requests.post(
            f"{self.url}/callbacks/slack/actions", data=body.encode(), headers={**form, **headers}, timeout=DEADLINE_S
        )


@pytest.fixture
def system(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[System]:
    more: Mapping[str, str] = getattr(request, "param", {})
    with listen("127.0.0.1", 0) as listening, Sandbox(receipts_after_s=0.01) as sandbox:
        url = url_of(listening)
        variables = sandbox.settings() | {
            "NOTIFYFLOW_DATABASE_URL": f"sqlite:///{tmp_path / 'test.db'}",
            "NOTIFYFLOW_PUBLIC_URL": url,
            "NOTIFYFLOW_DRAIN_S": "0",
            "NOTIFYFLOW_BUNDLING": "false",  # otherwise the third text within a minute waits for others
            "NOTIFYFLOW_NOTICE": "",
            **more,
        }
        with NotifyFlow(Settings.from_variables(variables)) as flow, served(flow.asgi(), listening):
            yield System(flow, sandbox, url, variables)


def sign(body: str, *, secret: str = SIGNING_SECRET, at: float | None = None) -> dict[str, str]:
    """Sign as Slack does."""
    timestamp = str(int(time.time() if at is None else at))
    signature = SignatureVerifier(secret).generate_signature(timestamp=timestamp, body=body)
    return {"X-Slack-Request-Timestamp": timestamp, "X-Slack-Signature": signature or ""}


def reply_text(response: requests.Response) -> str:
    found = RESPONSE.search(response.text)
    return found[1] if found else ""


def by_link(system: System, who: str, monkeypatch: pytest.MonkeyPatch) -> None:
    del monkeypatch
    (link,) = (url for url in system.arrived("email", who).links if "/a/" in url)
    with requests.Session() as scanner:
        for _ in range(50):
            assert scanner.get(link, timeout=DEADLINE_S).ok
        assert scanner.head(link, timeout=DEADLINE_S).ok
    assert system.escalation(who) is not EscalationState.ACKNOWLEDGED
    assert requests.post(link, timeout=DEADLINE_S).ok


def by_text(system: System, who: str, monkeypatch: pytest.MonkeyPatch) -> None:
    del monkeypatch
    system.arrived("sms", who)
    (reply,) = system.sandbox.reply({"ada": ADA, "bob": BOB}[who], "Ack")
    assert reply.startswith("You acknowledged it: db-1 is down.")


def by_key(system: System, who: str, monkeypatch: pytest.MonkeyPatch) -> None:
    del system, who, monkeypatch  # the person who is called presses it


def by_button(system: System, who: str, monkeypatch: pytest.MonkeyPatch) -> None:
    del monkeypatch
    assert system.sandbox.press(system.arrived("slack", who), f"{system.url}/callbacks/slack/actions") == 200


def by_library(system: System, who: str, monkeypatch: pytest.MonkeyPatch) -> None:
    del monkeypatch
    assert system.flow.acknowledge("db-1", by=who)


def by_command(system: System, who: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in system.variables.items():
        monkeypatch.setenv(name, value)
    shown = CliRunner().invoke(commands, ["ack", "db-1", "--by", who])
    assert shown.exit_code == 0, shown.output
    assert "Cancelled: nothing." in shown.output
    assert f"mail to {who}" in shown.output


def by_api(system: System, who: str, monkeypatch: pytest.MonkeyPatch) -> None:
    del monkeypatch
    _, secret = system.flow.access().create("test", [KeyScope.OPERATE], valid_for=None, namespace=ALL)
    url = f"{system.url}/v1/incidents/{system.status().facts.id}/acknowledge"
    assert requests.post(url, json={"by": who}, headers={"Authorization": f"Bearer {secret}"}, timeout=DEADLINE_S).ok


Way = Callable[[System, str, pytest.MonkeyPatch], None]
WAYS: Mapping[str, tuple[Way, str]] = {
    "link": (by_link, "email"),
    "sms": (by_text, "sms"),
    "key": (by_key, "voice"),
    "slack": (by_button, "slack"),
    "library": (by_library, "email"),
    "cli": (by_command, "email"),
    "api": (by_api, "email"),
}


@pytest.mark.parametrize("mode", Acknowledgement)
@pytest.mark.parametrize("via", WAYS)
def test_every_channel_acknowledges_for_all_or_for_each(
    system: System, via: str, mode: Acknowledgement, monkeypatch: pytest.MonkeyPatch
) -> None:
    way, channel = WAYS[via]
    system.sandbox.script(f"voice to {ADA}: key 1; voice to {BOB}: nobody answers")
    system.notify(channel, mode=mode)
    wait_until(lambda: not any(row.state is NotificationState.QUEUED for row in pages(system.status())) or channel == "voice")
    way(system, "ada", monkeypatch)
    wait_until(lambda: system.escalation("ada") is EscalationState.ACKNOWLEDGED)
    status = system.status()
    if mode is Acknowledgement.ANY:
        assert (status.facts.state, status.facts.acknowledged_by) == (IncidentState.ACKNOWLEDGED, "ada")
        assert system.escalation("bob") is EscalationState.ACKNOWLEDGED
    else:
        assert status.facts.state is IncidentState.OPEN
        assert system.escalation("bob") is not EscalationState.ACKNOWLEDGED
        if via == "key":
            system.sandbox.script(f"voice to {BOB}: key 1")
            system.flow.page_again("db-1", "bob", by="ops")
        way(system, "bob", monkeypatch)
        wait_until(lambda: system.status().facts.state is IncidentState.ACKNOWLEDGED)
    facts = system.status().facts
    assert facts.acknowledged_via == via
    assert facts.acknowledged_by == ("ada" if mode is Acknowledgement.ANY else "bob")


def pages(status: IncidentStatus) -> list:
    return [row for each in status.escalations for row in each.notifications if row.kind is Kind.PAGE]


def test_a_code_selects_one_of_several_incidents(system: System) -> None:
    system.notify("sms", key="db-1", who="ada")
    assert "Reply 1 to acknowledge." in system.arrived("sms", "ada", "db-1").text
    system.notify("sms", key="db-2", who="ada")
    second = system.arrived("sms", "ada", "db-2").text
    assert "Reply 11 to acknowledge." in second
    response = reply_text(system.text("ack"))
    assert "2 are open, nothing was acknowledged" in response
    assert "10 db-1 is down" in response
    assert "11 db-2 is down" in response
    assert reply_text(system.text("11", sid="SM2")).startswith("You acknowledged it: db-2 is down.")
    assert system.status("db-1").facts.state is IncidentState.OPEN
    assert system.status("db-2").facts.state is IncidentState.ACKNOWLEDGED
    assert reply_text(system.text("ack 11", sid="SM3")) == "You acknowledged it already: db-2 is down. Nothing was changed."
    assert reply_text(system.text("1", sid="SM4")) == "", "a number gets three responses an hour"
    assert system.status("db-1").facts.state is IncidentState.ACKNOWLEDGED
    system.notify("sms", key="db-3", who="ada")
    system.arrived("sms", "ada", "db-3")
    for number, words in enumerate(("ack 10", "ack 99")):  # a code is not used again
        assert reply_text(system.text(words, sid=f"SM{5 + number}")) == ""
    assert system.status("db-3").facts.state is IncidentState.OPEN
    wait_until(lambda: system.flow.wait("db-3", timeout_s=DEADLINE_S))


def test_a_code_followed_by_letters_acknowledges_nothing(system: System) -> None:
    """In another tool ``100aa`` acknowledges all, and one letter less acknowledges one."""
    for key in ("db-1", "db-2"):
        system.notify("sms", key=key, who="ada")
        system.arrived("sms", "ada", key)
    for number, words in enumerate(("11aa", "100aa", "ALL 11aa")):
        assert reply_text(system.text(words, sid=f"SM{number}")).startswith("Reply ACK")
    assert [system.status(key).facts.state for key in ("db-1", "db-2")] == [IncidentState.OPEN] * 2
    system.text("ALL 11", sid="SM3")
    assert [system.status(key).facts.state for key in ("db-1", "db-2")] == [IncidentState.OPEN, IncidentState.ACKNOWLEDGED]


def test_a_repeated_event_counts_once_even_after_a_new_round(system: System) -> None:
    system.notify("sms", who="ada")
    system.arrived("sms", "ada")
    assert reply_text(system.text("1")).startswith("You acknowledged it")
    system.flow.page_again("db-1", "ada", by="ops")
    assert reply_text(system.text("1")) == ""
    assert system.status().facts.state is IncidentState.OPEN


@pytest.mark.parametrize(
    "word", ["STOP", "stop.", "Unsubscribe", "END", "hello", "11 or so", "help", "start", "nack", "1111111111"]
)
def test_other_texts_acknowledge_nothing(system: System, word: str) -> None:
    system.notify("sms", who="ada")
    system.arrived("sms", "ada")
    assert system.text(word).ok
    assert system.status().facts.state is IncidentState.OPEN


def test_stop_blocks_the_pair_of_numbers_and_opens_the_next_tier(system: System) -> None:
    system.sandbox.script("slack: 404; email: 550; voice: nobody answers")
    system.notify("sms", key="db-1", who="ada")
    system.arrived("sms", "ada")
    assert reply_text(system.text("STOP")) == ""
    system.page(DEFAULT, key="db-2", who="ada")
    wait_until(lambda: any(row.channel == "voice" for row in pages(system.status("db-2"))))
    (text,) = (row for row in pages(system.status("db-2")) if row.channel == "sms")
    assert (text.state, text.ended, text.attempts) == (NotificationState.FAILED, Ended.OPTED_OUT, ())
    assert not [each for each in system.sandbox.inbox.messages(channel="sms", to=ADA) if "db-2" in each.text]
    assert "again" in reply_text(system.text("START", sid="SM2"))
    system.notify("sms", key="db-3", who="ada")
    system.arrived("sms", "ada", "db-3")


def test_stop_ends_queued_texts_at_once(system: System) -> None:
    system.sandbox.script("sms: 503")
    system.notify("sms", who="ada")
    wait_until(lambda: bool(pages(system.status())[0].attempts) and pages(system.status())[0].state is NotificationState.QUEUED)
    assert system.text("STOP").ok
    assert (pages(system.status())[0].state, pages(system.status())[0].ended) == (NotificationState.FAILED, Ended.OPTED_OUT)


def test_a_text_without_twilios_signature_changes_nothing(system: System) -> None:
    system.notify("sms", who="ada")
    system.arrived("sms", "ada")
    assert system.text("ack", token="another").status_code == 403
    assert system.text("ack", To="+15005550099").status_code == 200
    assert system.status().facts.state is IncidentState.OPEN


@pytest.mark.parametrize(
    ("system", "number", "expected"),
    [
        ({"NOTIFYFLOW_DELIVERY": f"redirect:sms={BOB}"}, BOB, "[redirected] You acknowledged it: db-1 is down."),
        ({"NOTIFYFLOW_DELIVERY": f"allow:{ADA}"}, ADA, "[limited delivery] You acknowledged it: db-1 is down."),
    ],
    indirect=["system"],
)
def test_a_response_follows_the_delivery_mode_and_the_number_that_received_the_text(
    system: System, number: str, expected: str
) -> None:
    system.notify("sms", who="ada")
    wait_until(lambda: pages(system.status())[0].state is not NotificationState.QUEUED)
    assert reply_text(system.text("ack", {ADA: BOB, BOB: ADA}[number])) == ""
    assert system.status().facts.state is IncidentState.OPEN
    assert reply_text(system.text("ack", number, sid="SM2")).startswith(expected)
    assert system.status().facts.acknowledged_by == "ada"


def test_a_phone_of_the_sandbox_replies_as_scripted(system: System) -> None:
    system.sandbox.script("sms: reply ack")
    system.notify("sms", who="ada")
    wait_until(lambda: system.status().facts.state is IncidentState.ACKNOWLEDGED)


def test_after_a_press_the_message_has_no_button_and_names_who_acknowledged(system: System) -> None:
    system.notify("slack")
    ada, bob = system.arrived("slack", "ada"), system.arrived("slack", "bob")
    wait_until(lambda: all(row.state is NotificationState.SENT for row in pages(system.status())))
    assert system.sandbox.press(ada, f"{system.url}/callbacks/slack/actions", user="U0000ADA") == 200
    for message in (ada, bob):
        edited = system.sandbox.inbox.wait_for(lambda now, number=message.number: now.number == number and now.status == "edited")
        assert isinstance(edited.content, Card)
        assert "Ada acknowledged it" in edited.text
        assert not [piece for piece in edited.content.pieces if piece.kind == "button"]
    assert len(system.sandbox.inbox.messages(channel="slack")) == 2
    (line,) = (line for line in system.status().transitions if line.machine == "incident" and line.event == "acknowledged")
    assert (line.detail["by"], line.detail["via"], line.detail["who"]) == ("ada", "slack", "U0000ADA")


@pytest.mark.parametrize(
    ("headers", "body"),
    [
        ({}, "payload={}"),
        ({"X-Slack-Request-Timestamp": "x", "X-Slack-Signature": "v0=1"}, "payload={}"),
        ({"X-Slack-Request-Timestamp": "9" * 400, "X-Slack-Signature": "v0=1"}, "payload={}"),
        ({"X-Slack-Request-Timestamp": str(int(time.time())), "X-Slack-Signature": "v0=é"}, "payload={}"),
        (sign("payload={}", secret="another"), "payload={}"),
        (sign("payload={}", at=time.time() - 3600), "payload={}"),
        (sign("payload=["), "payload=["),
        (sign("payload=[]"), "payload=[]"),
        (sign("nothing"), "nothing"),
        (sign("payload={}"), "payload={}x"),
    ],
)
def test_an_unsigned_or_unreadable_press_is_refused(system: System, headers: dict[str, str], body: str) -> None:
    encoded = {name: value.encode() for name, value in headers.items()}
    assert system.press(body, encoded).status_code == 401  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "payload",
    [
        {"type": "view_closed"},
        {"type": "block_actions", "actions": [{"action_id": "look"}]},
        {"type": "block_actions", "actions": [{"action_id": "acknowledge", "value": "forged"}]},
    ],
)
def test_other_presses_get_a_response_and_change_nothing(system: System, payload: object) -> None:
    system.notify("slack", who="ada")
    body = urlencode({"payload": json.dumps(payload)})
    assert system.press(body, sign(body)).status_code == 200
    assert system.status().facts.state is IncidentState.OPEN


def test_a_press_that_is_replayed_counts_once(system: System) -> None:
    system.notify("slack", who="ada")
    message = system.arrived("slack", "ada")
    assert isinstance(message.content, Card)
    token = next(piece.value for piece in message.content.pieces if piece.value)
    press = {"type": "block_actions", "user": {"id": "U1"}, "actions": [{"action_id": "acknowledge", "value": token}]}
    body = urlencode({"payload": json.dumps(press)})
    headers = sign(body)
    assert system.press(body, headers).ok
    system.flow.page_again("db-1", "ada", by="ops")
    assert system.press(body, headers).ok
    assert system.status().facts.state is IncidentState.OPEN
    with capture_logs() as lines:
        assert system.press(body, headers).ok
    assert [line["effect"] for line in lines if line["event"] == "app.reply_handled"] == ["repeated"]
    assert token not in str(lines)


@pytest.mark.parametrize("system", [{"NOTIFYFLOW_SLACK_SIGNING_SECRET": ""}], indirect=True)
def test_without_a_signing_secret_the_button_is_a_link_and_presses_are_refused(system: System) -> None:
    system.notify("slack", who="ada")
    message = system.arrived("slack", "ada")
    assert [url for url in message.links if "/a/" in url]
    assert system.press("payload={}", sign("payload={}")).status_code == 401


@pytest.mark.parametrize("system", [{"NOTIFYFLOW_SLACK_SIGNING_SECRET": f"the-next-one,{SIGNING_SECRET}"}], indirect=True)
def test_two_signing_secrets_are_valid_at_the_same_time(system: System) -> None:
    body = 'payload={"type":"view_closed"}'
    for secret in ("the-next-one", SIGNING_SECRET):
        assert system.press(body, sign(body, secret=secret)).status_code == 200
    assert system.press(body, sign(body, secret="third")).status_code == 401


def recalls(lines: list[dict[str, Any]]) -> list[str]:
    return [line["event"] for line in lines if "recall" in line["event"]]


@pytest.mark.parametrize("ends", ["acknowledge", "resolve"])
def test_a_ringing_call_is_ended(system: System, ends: str) -> None:
    system.sandbox.script("voice: rings")
    system.notify("voice")
    wait_until(lambda: all(row.state is NotificationState.SENT for row in pages(system.status())))
    with capture_logs() as lines:
        stopped = getattr(system.flow, ends)("db-1", by="ops")
        assert {page.recipient_id for page in stopped.on_their_way} == {"ada", "bob"}
        for who in ("ada", "bob"):
            number = system.arrived("voice", who, key="").number
            system.sandbox.inbox.wait_for(lambda now, number=number: now.number == number and now.status == "canceled")
        wait_until(lambda: len(recalls(lines)) == 2)
    assert recalls(lines) == ["engine.attempt_recalled"] * 2


def test_a_call_that_cannot_be_ended_is_logged_without_other_effects(system: System) -> None:
    system.sandbox.script("voice: rings")
    system.notify("voice", who="ada")
    wait_until(lambda: pages(system.status())[0].state is NotificationState.SENT)
    system.sandbox.script("voice: refuse")
    with capture_logs() as lines:
        assert system.flow.acknowledge("db-1", by="ops")
        wait_until(lambda: any(line["event"] == "engine.recall_failed" for line in lines))
    assert system.status().facts.state is IncidentState.ACKNOWLEDGED


def test_an_acknowledgement_lists_cancelled_and_sent_pages(system: System) -> None:
    system.sandbox.script("sms: 503")
    system.notify("email", "sms", who="ada")
    wait_until(lambda: {row.channel for row in pages(system.status()) if row.attempts} == {"email", "sms"})
    wait_until(lambda: {row.state for row in pages(system.status())} == {NotificationState.SENT, NotificationState.QUEUED})
    stopped = system.flow.acknowledge("db-1", by="ops")
    assert [(page.channel, page.recipient_id) for page in stopped.cancelled] == [("sms", "ada")]
    assert [(page.channel, page.recipient_id) for page in stopped.on_their_way] == [("email", "ada")]
    assert not system.flow.acknowledge("db-1", by="ops")


@pytest.mark.parametrize("system", [{"NOTIFYFLOW_STATUS_UPDATES": "false"}], indirect=True)
def test_without_status_updates_messages_are_still_edited(system: System) -> None:
    system.notify("email", "slack")
    wait_until(lambda: all(row.state is NotificationState.SENT for row in pages(system.status())))
    system.flow.acknowledge("db-1", by="ada")
    assert {
        row.channel for each in system.status().escalations for row in each.notifications if row.kind is Kind.STATUS_UPDATE
    } == {"slack"}
