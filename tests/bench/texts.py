"""Texts that Twilio has accepted, its callbacks about them, and a plain model of the states in which they have to end."""

import random
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from itertools import count
from urllib.parse import urlencode

from twilio.request_validator import RequestValidator

from notifyflow.storage.store import Store
from tests.bench.load import Post
from tests.builders import ACCEPTED, a_recipient, an_incident
from tests.driver import Driver

PUBLIC_URL = "https://notify.example"
TOKEN = "token-of-the-account"
_PEOPLE = 50  # of an incident
_STRENGTH = ("accepted", "temporary_failure", "delivered", "permanent_failure")
_MEANING = {
    "queued": "accepted",
    "sending": "accepted",
    "sent": "accepted",
    "undelivered 30003": "temporary_failure",  # the phone is off
    "delivered": "delivered",
    "failed 30005": "permanent_failure",  # nobody has the number any more
}
_STATES = {"accepted": "SENT", "temporary_failure": "QUEUED", "delivered": "DELIVERED", "permanent_failure": "FAILED"}


@dataclass(frozen=True, slots=True)
class Callback:
    """A status callback of Twilio about a text."""

    attempt_id: str
    event: str

    @property
    def event_id(self) -> str:
        """The callback's event id in the inbox."""
        return f"SM{self.attempt_id}:{self.event.split()[0]}"

    def signed(self) -> Post:
        """Return the request, signed as Twilio signs it."""
        status, *code = self.event.split()
        form = {"AccountSid": "AC0", "From": "+15005550006", "MessageSid": f"SM{self.attempt_id}", "MessageStatus": status}
        form |= {"ErrorCode": code[0]} if code else {}
        path = f"/callbacks/twilio/sms/{self.attempt_id}"
        return Post(path=path, signature=RequestValidator(TOKEN).compute_signature(PUBLIC_URL + path, form), body=urlencode(form))


class Texts:
    """Texts to different people that the pipeline brings to SENT without a real provider."""

    def __init__(self, store: Store) -> None:
        self._driver = Driver(store)
        self._driver.deps = replace(self._driver.deps, limits={"twilio": 1_000_000})
        self._keys = (f"incident-{number}" for number in count())
        self._people = (f"p{number}" for number in count())  # nobody gets a third text within a minute, which would wait

    def send(self, number: int) -> list[str]:
        """Send texts now; return their attempts."""
        self._driver.clock.at = datetime.now(UTC)
        for first in range(0, number, _PEOPLE):
            people = [a_recipient(next(self._people), "sms") for _ in range(first, min(first + _PEOPLE, number))]
            self._driver.notify(an_incident(next(self._keys)), *people)
        sent: list[str] = []
        while claimed := self._driver.claim("sms", providers=["twilio"]):
            for each in claimed:
                self._driver.record(each, replace(ACCEPTED, provider_ref=f"SM{each.message.attempt_id}"))
                sent.append(each.message.attempt_id)
        assert len(sent) == number
        return sent


def as_they_come(attempt_ids: Iterable[str]) -> list[Callback]:
    """Return the usual callbacks: all texts reach the carrier, then all reach the phones."""
    return [Callback(attempt_id, event) for event in ("sent", "delivered") for attempt_id in attempt_ids]


def in_disorder(attempt_ids: Sequence[str], *, number: int, seed: int) -> list[Callback]:
    """Return callbacks in disorder: some results of each text, in any order, with repetitions."""
    chance = random.Random(seed)
    events = sorted(_MEANING)
    once = [Callback(each, event) for each in attempt_ids for event in chance.sample(events, chance.randint(1, len(events)))]
    callbacks = once + chance.choices(once, k=number - len(once))
    chance.shuffle(callbacks)
    return callbacks


def states(callbacks: Iterable[Callback]) -> Mapping[str, str]:
    """Return the state in which each text has to end, by attempt: the strongest result counts."""
    strongest: dict[str, str] = {}
    for each in callbacks:
        results = (strongest.get(each.attempt_id, "accepted"), _MEANING[each.event])
        strongest[each.attempt_id] = max(results, key=_STRENGTH.index)
    return {attempt_id: _STATES[result] for attempt_id, result in strongest.items()}
