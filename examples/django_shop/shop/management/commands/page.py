"""Pages whoever is on call, and waits until everybody is reached."""

from django.core.management.base import BaseCommand, CommandError, CommandParser

from notifyflow import Incident, Severity
from shop.paging import ON_CALL, flow


class Command(BaseCommand):
    """``manage.py page TITLE``."""

    help = __doc__

    def add_arguments(self, parser: CommandParser) -> None:
        """Take the title."""
        parser.add_argument("title")

    def handle(self, *, title: str, **_: object) -> None:
        """Page; fail if nobody knows after two minutes."""
        key = f"shop/{title}"
        with flow():
            flow().notify(Incident(key=key, title=title, severity=Severity.CRITICAL), ON_CALL)
            if not flow().wait(key, timeout_s=120):
                raise CommandError("nobody was reached yet; the shop goes on trying")
        self.stdout.write(f"paged: {title}")
