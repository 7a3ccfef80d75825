"""Sends requests to a web application in this process, without a socket."""

import asyncio
from typing import Any

import httpx
from fastapi import FastAPI


class Client:
    """A client of an application in this process."""

    def __init__(self, application: FastAPI, *, host: str = "127.0.0.1") -> None:
        self.application = application
        self._transport = httpx.ASGITransport(application, client=(host, 123))

    def request(self, method: str, path: str, **values: Any) -> httpx.Response:
        async def ask() -> httpx.Response:
            async with httpx.AsyncClient(transport=self._transport, base_url="https://notify.example") as client:
                return await client.request(method, path, **values)

        return asyncio.run(ask())

    def get(self, path: str) -> httpx.Response:
        return self.request("GET", path)

    def post(self, path: str, **values: Any) -> httpx.Response:
        return self.request("POST", path, **values)
