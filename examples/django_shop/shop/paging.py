"""The flow of this process, and who is on call."""

from functools import cache

from django.conf import settings

from notifyflow import NotifyFlow, Recipient, Settings

ON_CALL = [Recipient(id="ada", name="Ada", email="ada@example.com", phone="+4930901820")]


@cache
def flow() -> NotifyFlow:
    return NotifyFlow(Settings.from_variables(settings.NOTIFYFLOW))
