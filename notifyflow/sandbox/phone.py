"""A telephone: plays TwiML to a callee, who presses keys as the script says.

Sources: Twilio docs, "TwiML for Programmable Voice", "TwiML Voice: <Gather>", "<Say>", "<Redirect>", "<Hangup>".
"""

from collections import deque
from collections.abc import Awaitable, Callable, Iterator, Mapping
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
        pressed: The keys that they have pressed so far.
    """

    def __init__(self, *, key: str = "", hangs_up: bool = False) -> None:
        """Set the reaction to the first question: press a key, hang up, or neither."""
        self._key = key
        self._hangs_up = hangs_up
        self.said: tuple[str, ...] = ()
        self.pressed = ""

    async def listen(self, document: str, url: str, fetch: Fetch) -> None:
        """Listen to the end of a TwiML document; ``fetch`` gets the next one, whose URL may be relative to this one's."""
        todo = self._begin(document)
        for _ in range(_LONGEST):
            if not todo:
                return
            verb = todo.popleft()
            self._hear(*verb.heard())
            match verb.name:
                case "Hangup" | "Reject":
                    return
                case "Redirect":
                    url = urljoin(url, verb.text.strip())
                    todo = self._begin(await fetch(url, {}))
                case "Gather" if self._hangs_up:
                    return
                case "Gather" if self._key or verb.attributes.get("actionOnEmptyResult") == "true":
                    url = urljoin(url, verb.attributes.get("action", ""))
                    todo = self._begin(await fetch(url, {"Digits": self._press()}))

    def _begin(self, document: str | None) -> deque[Verb]:
        verbs = None if document is None else read_twiml(document)
        if verbs is None:
            self._hear(BROKEN)
        return deque(verbs or ())

    def _hear(self, *lines: str) -> None:
        self.said += lines

    def _press(self) -> str:
        """Press the key, once a call."""
        key, self._key = self._key, ""
        self.pressed += key
        return key
