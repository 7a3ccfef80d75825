"""The traits of the channels that are built in."""

from collections.abc import Mapping

from notifyflow.channels.email import EmailChannel
from notifyflow.channels.push import PushChannel
from notifyflow.channels.slack import SlackChannel
from notifyflow.channels.sms import SmsChannel
from notifyflow.channels.teams import TeamsChannel
from notifyflow.channels.voice import VoiceChannel
from notifyflow.core.traits import Traits

_BUILT_IN = (EmailChannel, SlackChannel, TeamsChannel, PushChannel, SmsChannel, VoiceChannel)
TRAITS: Mapping[str, Traits] = {channel.name: channel.traits for channel in _BUILT_IN}
CALLING = frozenset({"voice"})
