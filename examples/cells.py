"""Cells behind one web service: several notifyflows, each with a database, a broker and workers of its own.

Each file NAME.env in the folder CELLS is a cell and is served below /NAME; the workers of the cell start with the same file.

CELLS=/etc/notifyflow/cells uvicorn examples.cells:app --no-access-log
"""

import asyncio
import logging
import os
import shlex
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from fastapi import FastAPI
from fastapi.responses import PlainTextResponse
from starlette.types import Receive, Scope, Send

from notifyflow import NotifyFlow, NotifyflowError, Settings

TRY_AGAIN_AFTER_S = 2


class Cell:
    """One notifyflow on a thread and an event loop of its own, so that its requests take no thread from another cell."""

    def __init__(self, file: Path) -> None:
        self.name = file.stem
        self._file = file
        self._app: FastAPI | None = None
        self._loop = asyncio.new_event_loop()
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._run, name=self.name, daemon=True)

    def start(self) -> None:
        """Begin to serve, as soon as the cell can start."""
        self._thread.start()

    def stop(self) -> None:
        """End the thread; no request is under way any more."""
        self._is_over.set()
        self._thread.join()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Hand a request over to the cell's event loop, or refuse it while the cell has not started."""
        if self._app is None:
            refusal = PlainTextResponse("This cell is not available. Try again in a moment.\n", 503, {"Retry-After": "5"})
            await refusal(scope, receive, send)
            return
        here = asyncio.get_running_loop()
        await on(self._loop, self._app)(scope, on(here, receive), on(here, send))

    def _run(self) -> None:
        while not self._is_over.is_set():
            try:
                lines = shlex.split(self._file.read_text(), comments=True)
                with NotifyFlow(Settings.from_variables(dict(line.split("=", 1) for line in lines))) as flow:
                    self._app = flow.asgi()
                    self._loop.run_until_complete(asyncio.to_thread(self._is_over.wait))
            except (NotifyflowError, OSError, ValueError) as error:  # of this cell alone; the others go on
                logging.getLogger("cells").error("The cell %s cannot start: %s", self.name, error)
                self._is_over.wait(TRY_AGAIN_AFTER_S)


def on(loop: asyncio.AbstractEventLoop, call: Callable[..., Any]) -> Callable[..., Awaitable[Any]]:
    """Return a function that calls another one on its event loop, and can be awaited on any."""

    async def there(*arguments: Any) -> Any:
        return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(call(*arguments), loop))

    return there


@asynccontextmanager
async def running(_: FastAPI) -> AsyncIterator[None]:
    for cell in cells:
        cell.start()
    yield
    for cell in cells:
        await asyncio.to_thread(cell.stop)


cells = [Cell(file) for file in sorted(Path(os.environ["CELLS"]).glob("*.env"))]
app = FastAPI(lifespan=running, openapi_url=None, redirect_slashes=False)
for cell in cells:
    app.mount(f"/{cell.name}", cell)
