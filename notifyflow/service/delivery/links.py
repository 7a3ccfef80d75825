"""The links with which people acknowledge: checks them, and shows and acknowledges what the link of a bundle stands for."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeVar

from notifyflow.core.delivery.model import Contact, Severity, Via
from notifyflow.core.messages.carried import CarriedPage
from notifyflow.core.messages.links import LinkClaim, read_subject_id
from notifyflow.pipeline.delivery import links
from notifyflow.pipeline.delivery.acknowledge_many import Acknowledging, acknowledge_many
from notifyflow.service.delivery.use_cases import UseCases
from notifyflow.storage.reads import Reads
from notifyflow.storage.store import Store

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Bundle:
    """What a bundle carried, as it is now.

    Attributes:
        contact: Its recipient; personal.
        pages: Its pages, the most severe first.
        tokens: The last part of the link to each incident, valid as long as that of the bundle.
    """

    contact: Contact
    pages: tuple[CarriedPage, ...]
    tokens: Mapping[str, str]


class Links:
    """The links of messages."""

    def __init__(self, store: Store, use_cases: UseCases) -> None:
        self._store = store
        self._use_cases = use_cases

    def check(self, token: str) -> LinkClaim:
        """Verify the token of a link; raise ``InvalidLink``."""
        subject_id = read_subject_id(token)
        recipient_ids, of_bundle = self._read(
            lambda reads: (reads.recipient_ids(subject_id), reads.carried.recipient_of(subject_id))
        )
        deps = self._use_cases.deps
        return links.check(deps, token, recipient_ids, of_bundle, now=deps.clock.now())

    def bundle(self, claim: LinkClaim) -> Bundle:
        """Return what a bundle carried; what was deleted since is left out."""

        def read(reads: Reads) -> tuple[Contact | None, tuple[CarriedPage, ...]]:
            pages = reads.carried.of_bundle(claim.subject_id)
            return reads.carried.contact(pages), pages

        contact, pages = self._read(read)
        deps, recipient_id = self._use_cases.deps, claim.recipient_id
        contact = contact or Contact(recipient_id=recipient_id, name=recipient_id, addresses={})
        tokens = {
            each.incident_id: links.token(deps, each.incident_id, recipient_id, expires_at=claim.expires_at) for each in pages
        }
        return Bundle(contact=contact, pages=pages, tokens=tokens)

    def acknowledge(self, claim: LinkClaim, chosen: Mapping[str, Severity]) -> None:
        """Acknowledge some of the incidents that a bundle carried.

        Args:
            claim: The bundle's.
            chosen: The chosen incidents by their ids, each with the severity that the person saw; what has risen above it stays
                open, and what the bundle did not carry is left alone.
        """
        carried = {page.incident_id for page in self.bundle(claim).pages}
        wanted = [
            Acknowledging(incident_id=incident_id, by=claim.recipient_id, via=Via.LINK, shown=shown)
            for incident_id, shown in chosen.items()
            if incident_id in carried
        ]
        self._use_cases.run(acknowledge_many, wanted)

    def _read(self, body: Callable[[Reads], T]) -> T:
        self._use_cases.prepare()
        return self._store.read(body)
