"""What-ifs as people see them."""

from typing import Any

from scheduling.domain.whatif.comparison import PlanSummary, compare
from scheduling.models import WhatIf


def newest_what_ifs(most: int = 50) -> list[dict[str, Any]]:
    """This function will list the newest questions, without their moves."""
    return [card(asked) for asked in WhatIf.objects.order_by("-pk")[:most]]


def card(asked: WhatIf) -> dict[str, Any]:
    """This function will show one question, and of its answer the headline figures."""
    headline = None
    if asked.present and asked.altered:
        headline = {
            "present_usd": asked.present["objective_usd"],
            "altered_usd": asked.altered["objective_usd"],
        }
    return {
        "id": asked.pk,
        "name": asked.name,
        "author": asked.author,
        "state": asked.state,
        "created_at": asked.created_at.isoformat(),
        "as_of": asked.as_of.isoformat() if asked.as_of else None,
        "edits": asked.edits,
        "headline": headline,
        "solve_s": asked.solve_s,
        "failure": asked.failure,
    }


def full_card(asked: WhatIf) -> dict[str, Any]:
    """This function will show one question with both plans and what differs between them."""
    body = card(asked) | {"present": asked.present, "altered": asked.altered, "difference": None}
    if asked.present and asked.altered:
        body["difference"] = compare(PlanSummary(**asked.present), PlanSummary(**asked.altered))
    return body
