"""A telephone: plays TwiML to a callee, who presses keys as the script says.

Sources: Twilio docs, "TwiML for Programmable Voice", "TwiML Voice: <Gather>", "<Say>", "<Redirect>", "<Hangup>".
"""

from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from urllib.parse import urljoin
from xml.etree import ElementTree

_LONGEST = 100
BROKEN = "We are sorry, an application error has occurred. Goodbye."

Fetch = Callable[[str, Mapping[str, str]], Awaitable[str | None]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Verb:
    """A TwiML verb with its nested verbs."""

    name: str
    text: str
    attributes: Mapping[str, str]
    nested: "tuple[Verb, ...]" = ()

    def heard(self) -> Iterator[str]:
        """Yield the lines that a listener hears."""
        match self.name:
            case "Say":
                yield from [" ".join(self.text.split())] * max(1, int(self.attributes.get("loop", "1")))
            case "Play":
                yield f"(plays {self.text.strip()})"
        for verb in self.nested:
            yield from verb.heard()


def read_twiml(document: str) -> tuple[Verb, ...] | None:
    """Parse a TwiML document; return None if it is not one."""
    try:
        root = ElementTree.fromstring(document.encode())  # noqa: S314 - on loopback, from the notifyflow that is being tried
    except ElementTree.ParseError:
        return None
    return tuple(_verb(element) for element in root) if root.tag == "Response" else None


def _verb(element: ElementTree.Element) -> Verb:
    nested = tuple(_verb(inner) for inner in element)
    return Verb(name=element.tag, text="".join(element.itertext()), attributes=dict(element.attrib), nested=nested)


class Callee:
    """A person who picked up.

    Attributes:
        said: The lines that they have heard so far.
        urls: For each line, where a key is reported that is pressed while it is said; empty where none is asked for.
        pressed: The keys that they have pressed so far.
    """

    def __init__(self, *, key: str = "", hangs_up: bool = False, at: int | None = None) -> None:
        """Set the reaction: press a key, hang up, or neither.

        Args:
            key: The key; it is pressed once.
            hangs_up: Whether they hang up instead.
            at: The question at which they react, from 0, or the last one if there are fewer; without it they hang up at the
                first question, and press the key at the last one.
        """
        self._key = key
        self._hangs_up = hangs_up
        self._at = 0 if at is None and hangs_up else at
        self._asked = 0
        self.said: tuple[str, ...] = ()
        self.urls: tuple[str, ...] = ()
        self.pressed = ""

    async def listen(self, document: str, url: str, fetch: Fetch) -> None:
        """Listen to the end of a TwiML document; ``fetch`` gets the next one, whose URL may be relative to this one's."""
        todo = self._begin(document)
        for _ in range(_LONGEST):
            if not todo:
                return
            verb = todo.popleft()
            action = urljoin(url, verb.attributes.get("action", "")) if verb.name == "Gather" else ""
            self._hear(*verb.heard(), url=action)
            reacts = verb.name == "Gather" and self._reacts(todo)
            match verb.name:
                case "Hangup" | "Reject":
                    return
                case "Redirect":
                    url = urljoin(url, verb.text.strip())
                    todo = self._begin(await fetch(url, {}))
                case "Gather" if self._hangs_up and reacts:
                    return
                case "Gather" if (self._key and reacts) or verb.attributes.get("actionOnEmptyResult") == "true":
                    url = action
                    todo = self._begin(await fetch(url, {"Digits": self._press() if reacts else ""}))

    def _begin(self, document: str | None) -> deque[Verb]:
        verbs = None if document is None else read_twiml(document)
        if verbs is None:
            self._hear(BROKEN)
        return deque(verbs or ())

    def _hear(self, *lines: str, url: str = "") -> None:
        self.said += lines
        self.urls += (url,) * len(lines)

    def _reacts(self, todo: Iterable[Verb]) -> bool:
        """Return whether this question is the one at which they react."""
        number, self._asked = self._asked, self._asked + 1
        return number == self._at or all(verb.name != "Gather" for verb in todo)

    def _press(self) -> str:
        """Press the key, once a call."""
        key, self._key = self._key, ""
        self.pressed += key
        return key
