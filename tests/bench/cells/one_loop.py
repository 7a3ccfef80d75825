"""The cells of a folder mounted side by side on one event loop, whose threads they share: what ``examples/cells.py`` avoids."""

import os
import shlex
from pathlib import Path

from fastapi import FastAPI

from notifyflow import NotifyFlow, Settings

app = FastAPI()
for file in sorted(Path(os.environ["CELLS"]).glob("*.env")):
    lines = shlex.split(file.read_text(), comments=True)
    app.mount(f"/{file.stem}", NotifyFlow(Settings.from_variables(dict(line.split("=", 1) for line in lines))).asgi())
