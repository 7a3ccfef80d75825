"""The state of the running script: its rules, and how many requests each has answered."""

import threading
from collections.abc import Collection

from notifyflow.sandbox.script import ALL, OK, Kind, Reaction, Rule, is_for, read_script


class Playbook:
    """The rules in force for some channels, with a count of the requests each has answered; used by several threads."""

    def __init__(self, channels: Collection[str]) -> None:
        self._channels = channels
        self._lock = threading.Lock()
        self._rules: dict[tuple[str, str], Rule] = {}
        self._counts: dict[tuple[str, str], int] = {}

    def load(self, script: str, *, is_whole: bool = False) -> None:
        """Load a script: a line restarts its target, and one about ``all`` replaces every earlier line it covers.

        A whole script replaces all earlier lines.

        Raises:
            InvalidScript: When it cannot be parsed; the rules in force stay.
        """
        rules = read_script(script, self._channels)
        with self._lock:
            if is_whole:
                self._rules.clear()
            for rule in rules:
                if rule.channel == ALL:
                    self._rules = {key: old for key, old in self._rules.items() if rule.address and key[1] != rule.address}
                self._rules[rule.channel, rule.address] = rule
                self._counts[rule.channel, rule.address] = 0

    @property
    def script(self) -> str:
        """The rules in force, as a script; it does not say how many requests they have answered."""
        with self._lock:
            return "\n".join(map(str, self._rules.values()))

    def play(self, channel: str, to: str) -> Reaction:
        """Return the reaction to the next request; a line for the address precedes one for the channel, that one ``all``."""
        with self._lock:
            rule = self._find(channel, to)
            if rule is None:
                return OK
            number = self._counts[rule.channel, rule.address]
            self._counts[rule.channel, rule.address] = number + 1
            return rule.reaction(number)

    def refusing(self) -> frozenset[str]:
        """Return the channels whose next connection is to be refused."""
        with self._lock:
            return frozenset(name for name in self._channels if self._is_refusing(self._find(name, "")))

    def _is_refusing(self, rule: Rule | None) -> bool:
        return rule is not None and rule.reaction(self._counts[rule.channel, rule.address]).kind is Kind.REFUSE

    def _find(self, channel: str, to: str) -> Rule | None:
        rules = [rule for rule in self._rules.values() if rule.channel in {channel, ALL}]
        fitting = [rule for rule in rules if not rule.address or is_for(rule.address, to)]
        return max(fitting, key=lambda rule: (bool(rule.address), rule.channel != ALL), default=None)
