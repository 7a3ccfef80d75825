"""Makes and checks the signed links with which people acknowledge incidents."""

from collections.abc import Iterable
from datetime import datetime, timedelta

from notifyflow.core.messages import links
from notifyflow.core.messages.links import LinkClaim
from notifyflow.pipeline.transaction.ports import Dependencies

_GOOD_FOR = timedelta(days=7)


def link(deps: Dependencies, incident_id: str, recipient_id: str, *, now: datetime) -> str | None:
    """Return a recipient's link to acknowledge an incident, valid for a week; None without a public URL or a secret key."""
    if deps.public_url is None or not deps.secret_keys:
        return None
    token = links.sign(deps.secret_keys, incident_id, recipient_id, now + _GOOD_FOR)
    return f"{deps.public_url.rstrip('/')}/a/{token}"


def check(deps: Dependencies, token: str, recipient_ids: Iterable[str], *, now: datetime) -> LinkClaim:
    """Return the claims of a link, which may be for a recipient of its incident, or for an operations recipient.

    Raises:
        InvalidLink: When it is not ours, is for somebody else, or has expired.
    """
    operations = (each.recipient_id for each in deps.operations)
    return links.check(deps.secret_keys, token, (*recipient_ids, *operations), now)
