"""Makes the signed links by which people take incidents."""

from datetime import datetime, timedelta

from notifyflow.core import links
from notifyflow.pipeline.ports import Tools

_GOOD_FOR = timedelta(days=7)


def link(tools: Tools, incident_id: str, recipient_id: str, *, now: datetime) -> str | None:
    """Make the link by which somebody takes an incident; None without a public URL or a secret key.

    Args:
        tools: What every use case needs.
        incident_id: What it takes.
        recipient_id: Who is sent it.
        now: When it is sent; it is good for a week.
    """
    if tools.public_url is None or not tools.secret_keys:
        return None
    token = links.sign(tools.secret_keys, incident_id, recipient_id, now + _GOOD_FOR)
    return f"{tools.public_url.rstrip('/')}/a/{token}"
