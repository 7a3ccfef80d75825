"""The sandbox: every provider on loopback, a script that tells them what to do, and an inbox of what arrived.

All servers run on one event loop in one thread of their own. Each provider has a listener (a port); ``refuse`` closes it.
"""

import asyncio
import json
import ssl
import threading
from collections.abc import Callable, Collection, Coroutine, Mapping, Sequence
from dataclasses import asdict, replace
from functools import partial
from types import TracebackType
from typing import Literal, Self, TypeVar
from urllib.parse import quote

from notifyflow.errors import Fault, InvalidScript
from notifyflow.sandbox import page
from notifyflow.sandbox.aws import AmazonStandIn, endpoint_arn
from notifyflow.sandbox.http import HttpResponse, Request, Silence, as_json
from notifyflow.sandbox.inbox import Inbox, Message
from notifyflow.sandbox.listener import Listener, http
from notifyflow.sandbox.playbook import Playbook
from notifyflow.sandbox.script import Kind, Reaction
from notifyflow.sandbox.slack import HOOKS, SlackStandIn
from notifyflow.sandbox.smtp import MailServer
from notifyflow.sandbox.stand_in import Providers, StandIn
from notifyflow.sandbox.surroundings import Surroundings
from notifyflow.sandbox.teams import TeamsStandIn, workflow_path
from notifyflow.sandbox.twilio import TwilioStandIn
from notifyflow.sandbox.webhook import PATH, SECRET, SubscriberStandIn

T = TypeVar("T")

_ENDS_WITHIN_S = 30.0

SECRET_KEY = "sandbox-secret-key-that-everybody-knows"  # noqa: S105
MAIL_FROM = "notifyflow@sandbox.example"
_BUSY_MAIL, _UNAVAILABLE = "421", "503"


class _Running:
    """The thread with the event loop, from its first moment to its last."""

    def __init__(self, surroundings: Surroundings) -> None:
        self._surroundings = surroundings
        self._loop = surroundings.new_loop()
        self._thread = threading.Thread(target=self._run, name="notifyflow-sandbox", daemon=True)
        self._thread.start()

    def call(self, work: Callable[[], None]) -> None:
        """Have something done on the loop, and wait until it is."""

        async def do() -> None:
            work()

        asyncio.run_coroutine_threadsafe(do(), self._loop).result()

    def wait_for(self, work: Coroutine[None, None, T]) -> T:
        """Run something on the loop and wait for its result."""
        return self._surroundings.wait_for(asyncio.run_coroutine_threadsafe(work, self._loop))

    def end(self) -> None:
        """Stop the loop, which cancels its tasks, and join its thread."""
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(_ENDS_WITHIN_S)

    def _run(self) -> None:
        with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
            runner.get_loop().run_forever()


class Sandbox:
    """Stand-ins for all providers, as a context manager.

    Example::

        with Sandbox() as sandbox:
            sandbox.script("slack: 500 twice, then ok")
            with NotifyFlow(Settings.from_variables(sandbox.settings())) as flow:
                ...
            sandbox.inbox.wait_for(lambda message: message.channel == "slack" and message.is_accepted)

    Attributes:
        inbox: Everything that arrived.
    """

    def __init__(
        self,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        receipts_after_s: float = 0.2,
        mail_over: Literal["smtp", "ses"] = "smtp",
        has_spares: bool = False,
        failing: Collection[str] = (),
        login: tuple[str, str] | None = None,
        tls: ssl.SSLContext | None = None,
        surroundings: Surroundings | None = None,
    ) -> None:
        """Configure the sandbox; nothing is opened yet.

        Args:
            host: The IPv4 address to listen on.
            port: Of the inbox page, with the providers at the ports that follow; 0 picks free ones.
            receipts_after_s: How long Twilio takes from one status to the next, in seconds.
            mail_over: What carries mail, as ``settings`` says it.
            has_spares: Whether ``settings`` names every provider that is played, and not only the first of each channel.
            failing: Names of providers and channels that respond with an error to everything, whatever the script says.
            login: User and password that the mail server asks for; none lets everybody in.
            tls: The mail server's certificate; it asks for STARTTLS then.
            surroundings: Its event loop, time and network; those of the machine, where None.
        """
        self._surroundings = surroundings or Surroundings()
        self.inbox = Inbox(self._surroundings.now_s, self._surroundings.date)
        self._host = host
        self._mail_over = mail_over
        self._has_spares = has_spares
        self._failing = frozenset(failing)
        self._login = login
        ringing_s = self._surroundings.ringing_s(receipts_after_s)
        self._twilio = TwilioStandIn(self.inbox, receipts_after_s, ringing_s, self._surroundings.post)
        self._slack = SlackStandIn(self.inbox, self._surroundings.post)
        self._stand_ins: tuple[StandIn, ...] = (
            self._twilio,
            self._slack,
            TeamsStandIn(),
            AmazonStandIn(),
            SubscriberStandIn(),
        )
        mail_server = MailServer(self.inbox, partial(self._play, "smtp"), login=login, tls=tls)
        self._players = (mail_server, *self._stand_ins)
        protocols = {  # in the order of their ports
            "page": http(self._show),
            mail_server.name: mail_server.protocol,
            **{stand_in.name: http(partial(self._attend, stand_in)) for stand_in in self._stand_ins},
        }
        self._listeners = {
            name: Listener(host, port and port + number, protocol) for number, (name, protocol) in enumerate(protocols.items())
        }
        self._listener_of = {channel: stand_in.name for stand_in in self._stand_ins for channel in stand_in.channels}
        self._listener_of["email"] = "smtp" if mail_over == "smtp" else AmazonStandIn.name
        self._playbook = Playbook(self._listener_of)
        self._running: _Running | None = None
        self._following: set[asyncio.Task[None]] = set()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.stop()

    def start(self) -> None:
        """Open all listeners.

        Raises:
            OSError: When a port cannot be had.
        """
        if self._running is None:
            self._running = _Running(self._surroundings)
            try:
                self._running.call(self._settle_listeners)
            except OSError:
                self.stop()
                raise

    def stop(self) -> None:
        """Close all listeners and connections, and cancel pending callbacks; the inbox stays."""
        if self._running is not None:
            self._running.call(self._close_listeners)
            self._running.end()
            self._running = None

    def script(self, text: str) -> None:
        """Put a script in force; see ``docs/how-to/try-a-policy-in-the-sandbox.rst``.

        Raises:
            InvalidScript: When it cannot be read; nothing changes then.
        """
        self._playbook.load(text)
        if self._running is not None:
            self._running.call(self._settle_listeners)

    def reply(self, number: str, text: str) -> tuple[str, ...]:
        """Text back from a phone to the number that texted it last, and return what is texted in response.

        The text goes where the receipts of that text go, without the attempt: ``…/callbacks/twilio/sms``.

        Raises:
            LookupError: When no number that accepts replies has texted the number, or the sandbox does not run.
        """
        return self._wait_for(self._twilio.reply(number, text))

    def press(self, message: Message, url: str, *, button: str = "Acknowledge", user: str = "U00000001") -> int:
        """Press a button of a Slack message that acts in place, and give the status that comes back.

        Args:
            message: The message, as the inbox has it.
            url: The app's Request URL: ``…/callbacks/slack/actions``.
            button: Its label.
            user: Who presses.

        Raises:
            LookupError: When it has no such button, or the sandbox does not run.
        """
        return self._wait_for(self._slack.press(message, url, button=button, user=user))

    def _wait_for(self, work: Coroutine[None, None, T]) -> T:
        if self._running is None:
            work.close()
            raise LookupError("the sandbox does not run")
        return self._running.wait_for(work)

    @property
    def url(self) -> str:
        """Where the inbox page is."""
        return self._url("page")

    def slack_url(self, name: str) -> str:
        """Make the incoming webhook of a person or a channel."""
        return self._url("slack") + HOOKS + name

    def teams_url(self, name: str) -> str:
        """Make the Workflows URL of a person or a channel."""
        return self._url("teams") + workflow_path(name)

    def push_arn(self, name: str) -> str:
        """Make the SNS endpoint of a person's phone."""
        return endpoint_arn(name)

    def addresses(self, person: int) -> dict[str, str]:
        """Make the addresses of a person, by a number, on each channel that has a stand-in."""
        found = [each.addresses(self._url(each.name), person) for each in self._players]
        return {channel: address for addresses in found for channel, address in addresses.items()}

    @property
    def providers(self) -> Providers:
        """The providers that it plays, by channel, each with the settings without which it does not carry that channel."""
        found: dict[str, dict[str, tuple[str, ...]]] = {}
        for each in self._players:
            for channel, providers in each.providers.items():
                found.setdefault(channel, {}).update(providers)
        return found

    def webhooks(self, *names: str) -> str:
        """Make ``NOTIFYFLOW_WEBHOOKS`` for subscribers of these names, who listen here."""
        return json.dumps({name: {"url": self._url("webhook") + PATH + name, "secrets": [SECRET]} for name in names})

    def settings(self) -> dict[str, str]:
        """Give every ``NOTIFYFLOW_*`` setting that leads notifyflow here; public URL and database are the caller's affair."""
        login = f"{quote(self._login[0], safe='')}:{quote(self._login[1], safe='')}@" if self._login else ""
        mail = {
            "smtp": {"SMTP_URL": f"smtp://{login}{self._endpoint('smtp')}", "MAIL_FROM": MAIL_FROM},
            "ses": {"SES_FROM": MAIL_FROM},
        }[self._mail_over]
        if self._has_spares:
            mail |= {"SES_FROM": MAIL_FROM}
        settings = {
            "TRUSTED_ENDPOINTS": ",".join(self._endpoint(name) for name in self._listeners),
            "SECRET_KEY": SECRET_KEY,
            "NOTICE": "sandbox",
            **mail,
        }
        for stand_in in self._stand_ins:
            settings |= stand_in.settings(self._url(stand_in.name))
            settings |= stand_in.spares() if self._has_spares else {}
        return {f"NOTIFYFLOW_{name}": value for name, value in settings.items()}

    def _endpoint(self, listener: str) -> str:
        return f"{self._host}:{self._listeners[listener].port}"

    def _url(self, listener: str) -> str:
        return f"http://{self._endpoint(listener)}"

    def _play(self, provider: str, channel: str, to: str) -> Reaction:
        if self._failing & {provider, channel}:
            status = _BUSY_MAIL if provider == "smtp" else _UNAVAILABLE
            return Reaction(kind=Kind.STATUS, words=status, code=status)
        reaction = self._surroundings.carry_out(self._playbook.play(channel, to))
        self._settle_listeners()
        return reaction

    def _settle_listeners(self) -> None:
        """Close the listeners of the channels that refuse connections, and open the others."""
        closed = {self._listener_of[channel] for channel in self._playbook.refusing()}
        for name, listener in self._listeners.items():
            if name in closed:
                listener.close()
            else:
                listener.open()

    def _close_listeners(self) -> None:
        for listener in self._listeners.values():
            listener.close()

    async def _attend(self, stand_in: StandIn, request: Request) -> HttpResponse | Silence:
        """Let a stand-in read a request, store its message, and respond as the script says."""
        arrival = stand_in.read(request)
        if isinstance(arrival, HttpResponse):
            return arrival
        reaction = self._play(arrival.message.provider, arrival.message.channel, arrival.message.to)
        status = ("queued" if stand_in.name == "twilio" else "sent") if reaction.is_accepted else "refused"
        message = replace(arrival.message, reaction=reaction.words, is_accepted=reaction.is_accepted, status=status)
        arrival = replace(arrival, message=self.inbox.add(message))
        if reaction.is_accepted:
            self._spawn(stand_in.follow(arrival, reaction))
        await asyncio.sleep(reaction.delay_s)
        match reaction.kind:
            case Kind.HANG | Kind.CUT:
                return Silence(reaction.kind.value)
            case Kind.GARBAGE:
                return HttpResponse(content_type="text/html", body="<<< garbage >>>")
            case Kind.STATUS | Kind.CODE:
                response = stand_in.refuse(arrival, reaction)
                retry = {} if reaction.retry_after_s is None else {"Retry-After": str(reaction.retry_after_s)}
                return replace(response, headers={**response.headers, **retry})
        return stand_in.accept(arrival)

    async def _show(self, request: Request) -> HttpResponse:
        """Show the inbox, or replace the script."""
        match request.method, request.path:
            case "GET", "/":
                return self._page(request.query)
            case "GET", "/inbox.json":
                return as_json(200, page.as_values(page.find(self.inbox, request.query)))
            case "GET", "/script":
                return HttpResponse(body=self._playbook.script, headers=page.HEADERS)
            case "POST", "/script" | "/press" if not page.is_same_origin(request):
                return HttpResponse(status=403, body="Only this sandbox's own page may send this form.")
            case "POST", "/script":
                return self._replace_script(request)
            case "POST", "/press":
                return await self._press(request)
            case _, "/" | "/inbox.json" | "/script" | "/press":
                allowed = {"/script": "GET, POST", "/press": "POST"}.get(request.path, "GET")
                return HttpResponse(status=405, body=f"Only {allowed} is allowed here.", headers={"Allow": allowed})
        return HttpResponse(status=404, body="There is only /, /inbox.json, /press and /script.")

    async def _press(self, request: Request) -> HttpResponse:
        """Press a key of a call, at a line of it."""
        form = request.form()
        number, line, key = (form.last(name) for name in ("message", "line", "key"))
        try:
            await self._twilio.press(int(number), int(line), key)
        except (LookupError, ValueError):
            return HttpResponse(status=404, body="No call asks for a key there.")
        return HttpResponse(status=303, headers={"Location": f"/#m{number}"})

    def _replace_script(self, request: Request) -> HttpResponse:
        script = request.form().last("script")
        try:
            self._playbook.load(script, is_whole=True)
        except InvalidScript as error:
            if "text/html" not in request.headers.get("accept", ""):
                return as_json(400, {"faults": [asdict(fault) for fault in error.faults]})
            return replace(self._page({}, script, error.faults), status=400)
        self._settle_listeners()
        return HttpResponse(status=303, headers={"Location": "/"})

    def _page(self, query: Mapping[str, str], script: str | None = None, faults: Sequence[Fault] = ()) -> HttpResponse:
        script = self._playbook.script if script is None else script
        body = page.render(self.inbox, query, script, faults)
        return HttpResponse(content_type="text/html; charset=utf-8", body=body, headers=page.HEADERS)

    def _spawn(self, work: Coroutine[None, None, None]) -> None:
        """Run a task beside the response, and keep it until it is done, since the loop holds tasks only weakly."""
        task = asyncio.get_running_loop().create_task(work)
        self._following.add(task)
        task.add_done_callback(self._following.discard)
