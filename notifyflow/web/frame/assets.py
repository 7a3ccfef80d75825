"""The files that pages load: style, scripts, an icon; each under an address that changes with its content."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files

from fastapi import APIRouter, HTTPException
from fastapi.responses import Response

from notifyflow.web.frame import pages

_KINDS = {"css": "text/css", "js": "text/javascript", "svg": "image/svg+xml"}
_DIGITS = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class Asset:
    """A file that pages load.

    Attributes:
        path: Its address below the dashboard's root, with a digest of its content.
    """

    path: str
    content: bytes
    media_type: str


def _read(name: str, content: bytes) -> Asset:
    stem, _, ending = name.rpartition(".")
    digest = hashlib.sha256(content).hexdigest()[:_DIGITS]
    return Asset(path=f"assets/{stem}-{digest}.{ending}", content=content, media_type=_KINDS[ending])


def _stored(name: str) -> bytes:
    return files("notifyflow.web").joinpath("assets", name).read_bytes()


ASSETS: Mapping[str, Asset] = {
    name: _read(name, content)
    for name, content in {
        "dashboard.css": pages.stylesheet("dashboard").encode(),
        **{name: _stored(name) for name in ("dashboard.js", "htmx.min.js", "icon.svg")},
    }.items()
}
"""Every asset by its name; read once, when the web service starts."""


def address(name: str) -> str:
    """Return the address of an asset below the dashboard's root."""
    return ASSETS[name].path


def router() -> APIRouter:
    """Build the route of ``/assets``."""
    routes = APIRouter()
    found = {asset.path.removeprefix("assets/"): asset for asset in ASSETS.values()}

    @routes.get("/assets/{name}")
    async def load(name: str) -> Response:
        if name not in found:
            raise HTTPException(404, "There is no such file. Reload the page.")
        headers = {"Cache-Control": "public, max-age=31536000, immutable"}
        return Response(found[name].content, headers=headers, media_type=found[name].media_type)

    return routes
