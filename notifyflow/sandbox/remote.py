"""Changes the script of a sandbox that runs in another process."""

import json
from http.client import HTTPConnection, HTTPException
from urllib.parse import urlencode, urlsplit

from notifyflow.errors import Fault, InvalidScript

_TIMEOUT_S = 10


def replace_script(url: str, script: str) -> None:
    """Replace the script of the sandbox whose inbox page is at a URL.

    Raises:
        InvalidScript: When it cannot be parsed, with every fault; the script in force stays.
        OSError: When no sandbox responds there.
    """
    parts = urlsplit(url)
    connection = HTTPConnection(parts.hostname or "", parts.port, timeout=_TIMEOUT_S)
    headers = {"Content-Type": "application/x-www-form-urlencoded", "Accept": "application/json"}
    try:
        connection.request("POST", "/script", urlencode({"script": script}), headers)
        response = connection.getresponse()
        body = response.read()
    except HTTPException as error:
        raise ConnectionError("it does not speak HTTP") from error
    finally:
        connection.close()
    if response.status == 400:
        raise InvalidScript(Fault(**fault) for fault in json.loads(body)["faults"])
    if response.status != 303:
        raise ConnectionError(f"it responded with {response.status}")
