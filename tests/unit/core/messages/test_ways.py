"""Channels are called what people call them; one of a plug-in keeps its name."""

import pytest

from notifyflow.core.messages.ways import message, messages, way


@pytest.mark.parametrize(
    ("channel", "name", "noun"),
    [
        ("email", "mail", "mail"),
        ("sms", "text", "text"),
        ("voice", "call", "call"),
        ("push", "push", "push message"),
        ("slack", "Slack", "Slack message"),
        ("teams", "Teams", "Teams message"),
        ("pager", "pager", "pager message"),
    ],
)
def test_a_channel_has_one_name_for_people(channel: str, name: str, noun: str) -> None:
    assert (way(channel), message(channel)) == (name, noun)


def test_messages_on_several_channels_are_listed() -> None:
    assert messages(("email", "sms", "slack")) == "mail, text and Slack message"
    assert messages(()) == ""
