"""Makes the signed links by which people acknowledge incidents."""

from datetime import datetime, timedelta

from notifyflow.core import links
from notifyflow.pipeline.ports import Dependencies

_GOOD_FOR = timedelta(days=7)


def link(deps: Dependencies, incident_id: str, recipient_id: str, *, now: datetime) -> str | None:
    """Return the link by which a recipient acknowledges an incident; None without a public URL or a secret key.

    Args:
        deps: The dependencies of the use cases.
        incident_id: The incident.
        recipient_id: The recipient.
        now: When it is sent; it is valid for a week.
    """
    if deps.public_url is None or not deps.secret_keys:
        return None
    token = links.sign(deps.secret_keys, incident_id, recipient_id, now + _GOOD_FOR)
    return f"{deps.public_url.rstrip('/')}/a/{token}"
