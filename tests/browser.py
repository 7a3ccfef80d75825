"""A real Chromium, driven over a pipe (Chrome DevTools Protocol, `--remote-debugging-pipe`)."""

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

_TROUBLES = frozenset({"Runtime.exceptionThrown", "Page.javascriptDialogOpening"})


class Browser:
    """One page of a headless Chromium.

    Attributes:
        troubles: After ``watch``: the errors of the console, of scripts and of the network, and dialogs.
        visited: After ``watch``: the URLs of all requests.
    """

    def __init__(self, commands: BinaryIO, responses: BinaryIO) -> None:
        self._commands = commands
        self._responses = responses
        self._number = 0
        self._events: list[str] = []
        self._session: str | None = None
        self.troubles: list[str] = []
        self.visited: list[str] = []
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        self.call("Page.enable")

    def open(self, url: str) -> None:
        """Open a page and wait until it is loaded."""
        self._events.clear()
        self.call("Page.navigate", url=url)
        self._until("Page.loadEventFired")

    def watch(self) -> None:
        """Note from now on what goes wrong in the page, and what it requests."""
        for domain in ("Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")

    def click(self, selector: str) -> None:
        """Click the middle of an element, and wait for the next page."""
        self._events.clear()
        self.press(selector)
        self._until("Page.loadEventFired")

    def press(self, selector: str) -> None:
        """Click the middle of an element, which stays on the page."""
        box = self.evaluate(
            f"(() => {{ const found = document.querySelector({selector!r}); found.scrollIntoView({{block: 'center'}});"
            " const box = found.getBoundingClientRect(); return [box.x + box.width / 2, box.y + box.height / 2] })()"
        )
        for kind in ("mousePressed", "mouseReleased"):
            self.call("Input.dispatchMouseEvent", type=kind, x=box[0], y=box[1], button="left", clickCount=1)

    def write(self, selector: str, text: str) -> None:
        """Type a text into a field."""
        self.press(selector)
        self.call("Input.insertText", text=text)

    def evaluate(self, expression: str) -> Any:
        """Evaluate an expression in the page; a promise is awaited."""
        result = self.call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in result, result["exceptionDetails"]
        return result["result"].get("value")

    @property
    def text(self) -> str:
        """The page's visible text."""
        return str(self.evaluate("document.body.innerText"))

    @property
    def requests(self) -> list[str]:
        """The URLs of the resources that the page has loaded."""
        return list(self.evaluate("performance.getEntriesByType('resource').map(each => each.name)"))

    def emulate(self, width: int, height: int, *, scheme: str) -> None:
        """Emulate a screen of a size, dark or light."""
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=2, mobile=True)
        self.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])

    def call(self, method: str, **params: Any) -> dict[str, Any]:
        """Send a command and return its result."""
        self._number += 1
        command = {"id": self._number, "method": method, "params": params}
        if self._session is not None:
            command["sessionId"] = self._session
        self._commands.write(json.dumps(command).encode() + b"\0")
        self._commands.flush()
        while True:
            response = self._next()
            if response.get("id") == self._number:
                assert "error" not in response, response["error"]
                return dict(response["result"])

    def _until(self, event: str) -> None:
        while event not in self._events:
            self._next()

    def _next(self) -> dict[str, Any]:
        received = bytearray()
        while (byte := self._responses.read(1)) != b"\0":
            assert byte, "the browser is gone"
            received += byte
        message = dict(json.loads(received))
        if "method" in message:
            self._events.append(message["method"])
            self._note(message["method"], message["params"])
        return message

    def _note(self, method: str, params: dict[str, Any]) -> None:
        is_error = params.get("type") == "error" or params.get("entry", {}).get("level") == "error"
        if method in _TROUBLES or (method in ("Runtime.consoleAPICalled", "Log.entryAdded") and is_error):
            self.troubles.append(json.dumps(params)[:1000])
        if method == "Network.requestWillBeSent":
            self.visited.append(params["request"]["url"])


@contextmanager
def browser(folder: Path) -> Iterator[Browser]:
    """Start a browser, and stop it.

    Args:
        folder: Where it may keep its things.
    """
    program = shutil.which("chromium") or shutil.which("google-chrome")
    assert program is not None, "Chromium is needed (Debian: apt install chromium)"
    to_read, commands = os.pipe()
    responses, to_write = os.pipe()
    options = [
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-dev-shm-usage",
        "--no-first-run",
        f"--user-data-dir={folder}",
    ]
    process = subprocess.Popen(
        [
            "bash",
            "-c",
            f'exec "$@" 3<&{to_read} 4>&{to_write}',
            "bash",
            program,
            "--remote-debugging-pipe",
            *options,
            "about:blank",
        ],
        pass_fds=(to_read, to_write),
        stderr=subprocess.DEVNULL,
    )
    os.close(to_read)
    os.close(to_write)
    with process, os.fdopen(commands, "wb") as writing, os.fdopen(responses, "rb") as reading:
        try:
            page = Browser(writing, reading)
            yield page
        finally:
            process.terminate()
