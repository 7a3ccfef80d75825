"""Rehearses an incident: the real pipeline on a virtual clock, over the sandbox, while some providers fail; nothing leaves.

It plays the channels that the settings configure, each over one provider, and gives every recipient addresses of the sandbox.
"""

import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Literal

from notifyflow.channels.base import Channel
from notifyflow.channels.meanings import meanings
from notifyflow.core.drill_document import DrilledDocument
from notifyflow.core.model import Contact, Incident, Recipient, Severity
from notifyflow.core.policy import Policy
from notifyflow.sandbox import Sandbox
from notifyflow.settings import Settings
from notifyflow.testing.driver import Driver

_KEY = "drill"
_UNSET: Mapping[str, tuple[str, ...]] = {
    "email": ("SMTP_URL", "MAIL_FROM", "SES_FROM"),
    "sms": ("TWILIO_SMS_FROM", "TWILIO_SMS_REPLIES"),
    "voice": ("TWILIO_VOICE_FROM",),
    "push": ("SNS_IS_CONFIGURED",),
    "slack": (),
    "teams": (),
}
"""The channels that can be played, with the variables without which they have no provider."""
_KEPT = ("connect_timeout_s", "read_timeout_s", "lease_s", "concurrent_sends")
_BUSY_MAIL, _UNAVAILABLE = "421", "503"
_NUMBERS, _OPERATIONS = 25_000, 50_000


class Rehearsal:
    """Plays incidents as the settings would have them carried, one after the other, each in a world of its own.

    Args:
        settings: The settings that are rehearsed.
        channels: The channels that they make.
        operations: The operations recipients.
        failing: The names of providers and channels that respond with an error to everything.
        script: More faults, in the script language of the sandbox.
    """

    def __init__(
        self,
        settings: Settings,
        channels: Mapping[str, Channel],
        operations: Sequence[Contact],
        *,
        failing: Collection[str] = (),
        script: str = "",
    ) -> None:
        self._settings = settings
        self._channels = channels
        self._operations = operations
        self._mail_over: Literal["smtp", "ses"] = "ses" if self._first("email") == "ses" else "smtp"
        self._used: set[str] = set()
        self._script = "\n".join([*self._faults(failing), script])

    def warnings(self) -> Iterator[str]:
        """Yield what was not rehearsed so far: channels without a stand-in, and providers behind the first."""
        for name in sorted(self._used):
            providers = [provider.name for provider in self._channels[name].providers]
            if name not in _UNSET:
                yield f"{name} was left out: the sandbox has no stand-in for it"
            elif len(providers) > 1:
                yield f"{name} was rehearsed over {providers[0]} only, without {', '.join(providers[1:])}"

    def run(self, name: str, people: Sequence[Contact], policy: Policy, severity: Severity) -> DrilledDocument:
        """Play one incident until everything has come to rest, operations included.

        Args:
            name: Whom it is for, in words.
            people: The recipients; only their ids, their names and the channels of their addresses count.
            policy: The policy.
            severity: The severity.
        """
        self._used.update(name for each in people for name in each.addresses)
        with Driver(self._variables(), mail_over=self._mail_over, completed=self._paged_operations) as driver:
            driver.sandbox.script(self._script)
            recipients = [_moved(each, _addresses(driver.sandbox, number)) for number, each in enumerate(people)]
            driver.flow.notify(Incident(key=_KEY, title="A drill", severity=severity), recipients, policy=policy)
            is_settled = _settles(driver)
            status = driver.flow.status(_KEY)
            operations = driver.flow.status(status.operations_key) if status.operations_key else None
            return DrilledDocument.of_incident(
                name,
                status,
                operations,
                calling=frozenset(name for name, channel in driver.flow.channels.items() if channel.traits.is_call),
                explain=meanings(driver.flow.channels),
                is_settled=is_settled,
            )

    def _first(self, channel: str) -> str:
        """Return the preferred provider of a channel; empty if it has none."""
        return next((provider.name for provider in self._channels[channel].providers), "")

    def _faults(self, failing: Collection[str]) -> Iterator[str]:
        for name in _UNSET:
            if name in failing or self._first(name) in failing:
                yield f"{name}: {_BUSY_MAIL if (name, self._mail_over) == ('email', 'smtp') else _UNAVAILABLE}"

    def _variables(self) -> Mapping[str, str]:
        """Return the settings of a world: those that the rules of delivery depend on, and no provider that is not configured."""
        settings = self._settings
        played = {provider.name for name in _UNSET for provider in self._channels[name].providers[:1]}
        limits = {name: limit for name, limit in settings.provider_limits.items() if name in played}
        found: dict[str, object] = {
            **{name: "" for channel, names in _UNSET.items() if not self._first(channel) for name in names},
            **{name.upper(): getattr(settings, name) for name in _KEPT},
            "POLICIES": settings.policies or "",
            "PROVIDER_LIMITS": _pairs(limits),
            "RECIPIENT_CAPS": _pairs(settings.recipient_caps or {}),
            "STATUS_UPDATES": str(settings.status_updates).lower(),
            **({} if settings.public_url else {"PUBLIC_URL": ""}),
        }
        return {f"NOTIFYFLOW_{name}": str(value) for name, value in found.items()}

    def _paged_operations(self, sandbox: Sandbox) -> Mapping[str, str]:
        """Return the setting of the operations recipients, at addresses of the sandbox."""
        people = [_moved(each, _addresses(sandbox, number)) for number, each in enumerate(self._operations, start=_OPERATIONS)]
        document = [{"id": each.id, "name": each.name, "addresses": dict(each.addresses)} for each in people]
        return {"NOTIFYFLOW_OPS_RECIPIENTS": json.dumps(document)}


def _addresses(sandbox: Sandbox, number: int) -> Mapping[str, str]:
    """Return the addresses of one person in the sandbox."""
    name, phone = f"person-{number}", f"+4930231{_NUMBERS + number}"
    return {
        "email": f"{name}@sandbox.example",
        "slack": sandbox.slack_url(name),
        "teams": sandbox.teams_url(name),
        "push": sandbox.push_arn(name),
        "sms": phone,
        "voice": phone,
    }


def _moved(person: Contact, addresses: Mapping[str, str]) -> Recipient:
    """Return a person with addresses of the sandbox on the channels on which they have some."""
    known = {channel: address for channel, address in addresses.items() if channel in person.addresses}
    return Recipient(id=person.recipient_id, name=person.name, addresses=known, timezone=person.timezone)


def _pairs(limits: Mapping[str, int]) -> str:
    return ",".join(f"{name}={limit}" for name, limit in limits.items())


def _settles(driver: Driver) -> bool:
    """Let time pass until everything has come to rest, also rounds of operations; return whether it did."""

    def is_settled() -> bool:
        waiting = (summary.facts.round_at for summary, _ in driver.flow.overview.unresolved())
        return driver.flow.is_settled() and not any(waiting)

    try:
        driver.run_until(is_settled)
    except TimeoutError:
        return False
    return True
