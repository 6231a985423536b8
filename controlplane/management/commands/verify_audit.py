"""`manage.py verify_audit`: checks the audit chain and names the first bad position."""

import json
from argparse import ArgumentParser
from dataclasses import asdict
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from controlplane.auth.audit import verify
from controlplane.auth.models import AuditEntry


class Command(BaseCommand):
    """Verifies the audit chain."""

    help = "Verify the audit chain; exit 0 only when every link holds."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Take where to write JSON."""
        parser.add_argument("--json", type=Path, help="write the result here as JSON")

    def handle(self, *args: Any, **options: Any) -> None:
        """Walk the chain from its first entry.

        Raises:
            CommandError: a link does not hold; the message names it.
        """
        report = verify(AuditEntry.objects.order_by("sequence").iterator(chunk_size=5000))
        if options["json"]:
            body = json.dumps(asdict(report), indent=2) + "\n"
            options["json"].write_text(body, encoding="utf-8")
        if report.bad_sequence is not None:
            message = (
                f"{report.verified} entries hold; entry {report.bad_sequence} does not: "
                f"{report.reason}"
            )
            raise CommandError(message)
        self.stdout.write(f"the audit chain holds: {report.verified} entries")
