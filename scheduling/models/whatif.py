"""Stores what-ifs: what was asked, and both plans side by side. Nothing here can be dispatched."""

from django.db import models

from scheduling.domain.whatif.states import WhatIfState


class WhatIf(models.Model):
    """One question "what if", asked of the situation at one moment."""

    name = models.TextField()
    author = models.TextField()
    request_key = models.TextField(  # noqa: DJ001 (unique: empty texts would clash)
        null=True, unique=True, help_text="Idempotency-Key of the request that asked for it"
    )
    edits = models.JSONField(help_text="as they were sent")
    state = models.TextField(choices=[(s.value, s.value) for s in WhatIfState])
    created_at = models.DateTimeField(help_text="grid time of the question")
    as_of = models.DateTimeField(null=True, help_text="grid time of the situation")
    present = models.JSONField(null=True)
    altered = models.JSONField(null=True)
    solve_s = models.FloatField(null=True)
    failure = models.JSONField(null=True, help_text="code, detail and field of what went wrong")

    class Meta:
        db_table = "scheduling_what_if"
        indexes = [
            models.Index(fields=["state", "created_at"], name="what_if_by_state"),
        ]

    def __str__(self) -> str:
        return f"what-if {self.pk} {self.name} {self.state}"
