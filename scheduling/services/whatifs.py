"""Answers "what if": solves an edited copy of the situation beside the present one."""

import datetime as dt
import logging
import time
from dataclasses import asdict, replace
from typing import Any

from django.conf import settings
from django.db import transaction

from controlplane.auth import audit
from controlplane.auth.roles import Actor, Permission
from controlplane.lib.errors import ErrorKind, GridError
from scheduling.domain.planner import checks, solver
from scheduling.domain.planner.explain.rule_costs import rule_costs, told
from scheduling.domain.planner.moves import draft_moves
from scheduling.domain.planner.outcome import PlanOutcome
from scheduling.domain.planner.problem import PlanningProblem
from scheduling.domain.planner.sanity import check_problem
from scheduling.domain.whatif.comparison import PlanSummary, summarize
from scheduling.domain.whatif.edits import (
    Edits,
    apply_edits,
    apply_rules,
    read_edits,
    without_each,
)
from scheduling.domain.whatif.states import WhatIfState
from scheduling.models import WhatIf
from scheduling.selectors.rules import rules_in_force
from scheduling.selectors.situation import Situation, allowed_places, situation
from scheduling.services.planning import SLOTS

logger = logging.getLogger(__name__)

SOLVE_LIMIT_S = 10.0
RULE_LIMIT_S = 3.0
MOST_WAITING = 20
KEEP = dt.timedelta(days=30)


class NotAllowedToAsk(GridError):
    """This person may not ask for solves."""

    code = "not-allowed"
    kind = ErrorKind.NOT_ALLOWED


class TooManyWaiting(GridError):
    """So many what-ifs wait already that another would only wait longer."""

    code = "too-many-what-ifs"
    kind = ErrorKind.TOO_MANY


class CheckerDisagrees(GridError):
    """The independent checker found fault with a plan, so it is not shown."""

    code = "checker-disagrees"
    kind = ErrorKind.CONFLICT


@transaction.atomic
def ask(
    actor: Actor,
    body: dict[str, Any],
    *,
    name: str,
    now: dt.datetime,
    request_key: str | None = None,
) -> WhatIf:
    """This function will store a question; a worker answers it.

    Args:
        actor: who asks; whoever may view the grid.
        body: the edits, as `read_edits` takes them.
        name: of the question, for people.
        now: grid time.
        request_key: name of the request; the same again gives the same question.

    Raises:
        InvalidField: an edit cannot be read, or names a rule that there is not.
        NotAllowedToAsk: the role may not view the grid.
        TooManyWaiting: 20 questions wait already.
    """
    if not actor.may(Permission.VIEW_GRID):
        raise NotAllowedToAsk("Only who may view the grid may ask what if.")
    if request_key:
        asked = WhatIf.objects.filter(request_key=request_key).first()
        if asked is not None:
            return asked
    edits = read_edits(body)
    apply_rules(rules_in_force().sovereignty, edits)
    if WhatIf.objects.filter(state=WhatIfState.WAITING).count() >= MOST_WAITING:
        raise TooManyWaiting(f"{MOST_WAITING} what-ifs wait to be solved; ask again in a minute.")
    asked = WhatIf.objects.create(
        name=name,
        author=actor.username,
        request_key=request_key,
        edits=body,
        state=WhatIfState.WAITING,
        created_at=now,
    )
    audit.record(actor.username, "ask-what-if", f"what-if:{asked.pk}", {"edits": body})
    return asked


def answer_waiting(now: dt.datetime) -> int:
    """This function will answer every question that waits, oldest first, and forget old ones.

    Returns:
        How many were answered, those that could not be among them.
    """
    waiting = list(WhatIf.objects.filter(state=WhatIfState.WAITING).order_by("pk"))
    for asked in waiting:
        try:
            _answer(asked, now)
        except GridError as error:
            asked.state = WhatIfState.FAILED
            asked.failure = {"code": error.code, "detail": error.detail, **error.extra}
            asked.save()
    WhatIf.objects.filter(created_at__lt=now - KEEP).delete()
    return len(waiting)


def _answer(asked: WhatIf, now: dt.datetime) -> None:
    edits = read_edits(asked.edits)
    present_risk = settings.PLAN_RISK_QUANTILE
    rules = rules_in_force()
    altered_rules = replace(rules, sovereignty=apply_rules(rules.sovereignty, edits))
    seen = situation(now, slots=SLOTS, risk_quantile=present_risk)
    altered = situation(
        now,
        slots=SLOTS,
        risk_quantile=edits.risk_quantile or present_risk,
        rules=altered_rules,
    )
    began = time.perf_counter()
    summary, plan = _plan(apply_edits(altered.problem, edits))
    if edits.with_rule_costs:
        summary = replace(summary, rule_costs=_rule_costs(altered, edits, plan))
    asked.altered = asdict(summary)
    asked.present = asdict(_plan(seen.problem)[0])
    asked.solve_s = time.perf_counter() - began
    asked.as_of, asked.state = now, WhatIfState.DONE
    asked.save()
    logger.info("what_if.answered", extra={"what_if": asked.pk, "solve_s": asked.solve_s})


def _plan(problem: PlanningProblem) -> tuple[PlanSummary, PlanOutcome]:
    check_problem(problem)
    baseline = solver.do_nothing(problem, time_limit_s=SOLVE_LIMIT_S)
    plan = solver.solve(problem, time_limit_s=SOLVE_LIMIT_S, baseline=baseline)
    violations = checks.verify(problem, plan.placements)
    if violations:
        logger.error("what_if.refused_by_checker", extra={"violations": len(violations)})
        raise CheckerDisagrees(f"{violations[0].rule}: {violations[0].detail}")
    moves = draft_moves(problem, plan, baseline).moves
    return summarize(problem, plan, baseline, moves), plan


def _rule_costs(altered: Situation, edits: Edits, plan: PlanOutcome) -> list[dict[str, object]]:
    problem = apply_edits(altered.problem, edits)
    without = {}
    for name, rules in without_each(altered.rules.sovereignty).items():
        allowed = allowed_places(altered.demand, altered.pools, rules)
        # an edit may have left groups out: it is made once more, on what would be allowed
        without[name] = apply_edits(replace(altered.problem, allowed=allowed), edits).allowed
    costs = rule_costs(problem, plan, without=without, time_limit_s=RULE_LIMIT_S)
    return [asdict(cost) | dict(zip(("zh", "en"), told(cost), strict=True)) for cost in costs]
