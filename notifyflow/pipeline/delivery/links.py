"""Makes and checks the signed links with which people acknowledge incidents."""

from collections.abc import Iterable
from datetime import datetime, timedelta

from notifyflow.core.messages import links
from notifyflow.core.messages.links import LinkClaim, Subject
from notifyflow.pipeline.transaction.ports import Dependencies

_GOOD_FOR = timedelta(days=7)


def link(
    deps: Dependencies, subject_id: str, recipient_id: str, *, now: datetime, subject: Subject = Subject.INCIDENT
) -> str | None:
    """Return a recipient's link to acknowledge an incident or a bundle; None without a public URL or a secret key.

    It is valid for a week.
    """
    if deps.public_url is None or not deps.secret_keys:
        return None
    return f"{deps.public_url.rstrip('/')}/a/{token(deps, subject_id, recipient_id, expires_at=now + _GOOD_FOR, subject=subject)}"


def token(
    deps: Dependencies, subject_id: str, recipient_id: str, *, expires_at: datetime, subject: Subject = Subject.INCIDENT
) -> str:
    """Return the last part of a recipient's link, valid to the end of the hour in which it expires."""
    return links.sign(deps.secret_keys, subject_id, recipient_id, expires_at, subject=subject)


def check(deps: Dependencies, token: str, recipient_ids: Iterable[str], of_bundle: str | None, *, now: datetime) -> LinkClaim:
    """Return the claims of a link.

    Args:
        deps: The dependencies of the use cases.
        token: The link's token.
        recipient_ids: The recipients of the incident with the id in the token; an operations recipient may have its link, too.
        of_bundle: The recipient of the bundle with the id in the token, or None.
        now: The time.

    Raises:
        InvalidLink: When it is not ours, is for somebody else, or has expired.
    """
    if of_bundle is not None:
        return links.check(deps.secret_keys, token, (of_bundle,), now, subject=Subject.BUNDLE)
    operations = (each.recipient_id for each in deps.operations)
    return links.check(deps.secret_keys, token, (*recipient_ids, *operations), now)
