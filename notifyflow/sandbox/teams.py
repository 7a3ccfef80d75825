"""Teams: the URL of a Workflow that begins "When a Teams webhook request is received".

Sources: Microsoft Learn, "Create incoming webhooks with Workflows for Microsoft Teams"; adaptivecards.io, "Schema Explorer".
202 means that the flow was started, not that anything was posted.
"""

from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

from notifyflow.sandbox.http import HttpResponse, Request, as_json, read_object
from notifyflow.sandbox.inbox import Card, Message, Piece
from notifyflow.sandbox.script import Reaction, short_name
from notifyflow.sandbox.stand_in import Arrival, Providers, StandIn, new_reference

_BEFORE, _AFTER = "/workflows/", "/triggers/manual/paths/invoke"


def workflow_path(name: str) -> str:
    """Return the path and query of a workflow by its name, in Power Automate's form."""
    return f"{_BEFORE}{name}{_AFTER}?api-version=2016-06-01&sp=%2Ftriggers%2Fmanual%2Frun&sv=1.0&sig=sandbox"


class TeamsStandIn(StandIn):
    """Accepts posts to workflow URLs."""

    name = "teams"
    channels = ("teams",)
    providers: ClassVar[Providers] = {"teams": {"teams": ()}}

    def addresses(self, url: str, person: int) -> Mapping[str, str]:
        """Return the URL of a workflow; see ``StandIn.addresses``."""
        return {"teams": url + workflow_path(f"person-{person}")}

    def read(self, request: Request) -> Arrival | HttpResponse:
        """Read a post; the workflow's name is in its path."""
        if request.method != "POST" or not request.path.startswith(_BEFORE) or not request.path.endswith(_AFTER):
            return _no(404, "WorkflowNotFound", "The workflow could not be found.")
        if request.query.get("sig") != "sandbox":
            return _no(401, "DirectApiAuthorizationRequired", "The request must be authenticated by its signature.")
        match read_object(request.body):
            case {
                "type": "message",
                "attachments": [{"contentType": "application/vnd.microsoft.card.adaptive", "content": dict(card)}],
            }:
                content = Card(summary=str(card.get("fallbackText", "")), pieces=tuple(read_card(card)))
            case _:
                return _no(400, "TriggerInputSchemaMismatch", "The input body does not match the trigger's schema.")
        to = short_name(request.path)
        return Arrival(message=Message(channel="teams", provider="teams", to=to, reference=new_reference(), content=content))

    def accept(self, arrival: Arrival) -> HttpResponse:
        """Answer 202 with the id of the flow's run."""
        return HttpResponse(status=202, headers={"x-ms-workflow-run-id": arrival.message.reference})

    def refuse(self, arrival: Arrival, reaction: Reaction) -> HttpResponse:
        """Refuse as the gateway in front of the flow does."""
        del arrival
        status = int(reaction.code)
        code = "TooManyRequests" if status == 429 else "WorkflowTriggerFailed"
        return _no(status, code, "Refused by the script.")


def _no(status: int, code: str, message: str) -> HttpResponse:
    return as_json(status, {"error": {"code": code, "message": message}})


def read_card(card: Mapping[str, Any]) -> Iterator[Piece]:
    """Read an adaptive card as its reader sees it."""
    for element in card.get("body", ()):
        yield from _read_element(element)
    for action in card.get("actions", ()):
        yield Piece(kind="button", text=action.get("title", ""), url=action.get("url", ""))


def _read_element(element: Mapping[str, Any]) -> Iterator[Piece]:
    match element:
        case {"type": "TextBlock", "text": str(text)}:
            yield Piece(kind=_kind_of(element), text=text)
        case {"type": "RichTextBlock", "inlines": [first, *_] as inlines}:
            runs = [inline if isinstance(inline, str) else str(inline.get("text", "")) for inline in inlines]
            yield Piece(kind=_kind_of(first if isinstance(first, dict) else {}), text="".join(runs))
        case {"type": "FactSet", "facts": list(facts)}:
            yield from (Piece(kind="fact", title=fact.get("title", ""), text=fact.get("value", "")) for fact in facts)
        case {"type": "ActionSet", "actions": list(actions)}:
            yield from (Piece(kind="button", text=action.get("title", ""), url=action.get("url", "")) for action in actions)
        case {"items": list(inner)} | {"columns": list(inner)}:
            for part in inner:
                yield from _read_element(part)


def _kind_of(block: Mapping[str, Any]) -> str:
    if block.get("style") == "heading" or block.get("size") in {"Large", "ExtraLarge", "large", "extraLarge"}:
        return "heading"
    return "note" if block.get("isSubtle") or block.get("size") in {"Small", "small"} else "text"
