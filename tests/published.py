"""Validates the responses of a web application against the OpenAPI document that it publishes."""

import re
from typing import Any

import httpx
import jsonschema
from fastapi import FastAPI

from tests.asgi import Client


class Publication:
    """An OpenAPI document that responses are validated against."""

    def __init__(self, document: dict[str, Any]) -> None:
        self.document = document

    def check(self, method: str, path: str, response: httpx.Response) -> None:
        """Validate a response against the document."""
        template = next((each for each in self.document["paths"] if _fits(each, path)), None)
        operation = self.document["paths"].get(template, {}).get(method.lower())
        if operation is None:  # an unknown path is answered with a problem
            assert response.status_code in (404, 405), response.text
            self.validate({"$ref": "#/components/schemas/Problem"}, response.json())
            return
        documented = operation["responses"].get(str(response.status_code))
        assert documented is not None, f"{method} {template} does not document {response.status_code}: {response.text}"
        kind = response.headers["content-type"].partition(";")[0]
        self.validate(documented["content"][kind]["schema"], response.json() if "json" in kind else response.text)
        for name, header in documented.get("headers", {}).items():
            if name not in response.headers and not header.get("required", True):
                continue
            value = response.headers[name]
            self.validate(header["schema"], int(value) if header["schema"]["type"] == "integer" else value)

    def validate(self, schema: dict[str, Any], value: object) -> None:
        """Validate a value against a schema of the document."""
        whole = {**schema, "components": self.document["components"]}
        jsonschema.Draft202012Validator(whole, format_checker=jsonschema.FormatChecker()).validate(value)


class Published(Client):
    """A client that validates every response."""

    def __init__(self, application: FastAPI, key: str = "") -> None:
        super().__init__(application)
        self.publication = published_by(application)
        self.key = key

    def request(self, method: str, path: str, **values: Any) -> httpx.Response:
        """Send a request with the key, and validate the response."""
        headers = ({"authorization": f"Bearer {self.key}"} if self.key else {}) | values.pop("headers", {})
        response = super().request(method, path, headers=headers, **values)
        self.publication.check(method, path.partition("?")[0], response)
        return response


_PUBLISHED: list[Publication] = []


def published_by(application: FastAPI) -> Publication:
    """Read the document once a process: it depends on nothing but the code."""
    if not _PUBLISHED:
        _PUBLISHED.append(Publication(Client(application).get("/v1/openapi.json").json()))
    return _PUBLISHED[0]


def _fits(template: str, path: str) -> bool:
    return re.fullmatch(re.sub(r"\\\{[^}]+\\\}", "[^/]+", re.escape(template)), path) is not None
