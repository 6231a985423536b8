"""The planner's and the dispatcher's loops; each finds its work in the database."""

from celery import shared_task

from controlplane.lib import clock
from controlplane.lib.loops import one_at_a_time
from scheduling.domain.fair import LOOK_BACK
from scheduling.services import (
    commands,
    consent,
    dispatching,
    planning,
    settling,
    whatifs,
    workloads,
)

# what ran lately is what fair shares are counted by
KEEP_DONE_WORKLOADS = LOOK_BACK + settling.SETTLE_AFTER


@shared_task(name="scheduling.tasks.plan_if_due", soft_time_limit=90, time_limit=120)
def plan_if_due() -> None:
    """Plan when the interval has passed."""
    with one_at_a_time("scheduling.plan") as mine:
        if mine:
            planning.plan_if_due(clock.now())


@shared_task(name="scheduling.tasks.advance_plans", soft_time_limit=45, time_limit=60)
def advance_plans() -> None:
    """Take every plan as far as it can go: expire, start, send, track, close, settle."""
    with one_at_a_time("scheduling.advance") as mine:
        if not mine:
            return
        consent.expire_overdue(clock.now())
        dispatching.start_plans(clock.now())
        dispatching.start_moves(clock.now())
        commands.sweep(clock.now())
        commands.track(clock.now())
        dispatching.close_moves(clock.now())
        settling.settle_plans(clock.now())
        workloads.prune_workloads(clock.now(), keep=KEEP_DONE_WORKLOADS)


@shared_task(name="scheduling.tasks.answer_what_ifs", soft_time_limit=300, time_limit=330)
def answer_what_ifs() -> None:
    """Solve the what-ifs that wait."""
    with one_at_a_time("scheduling.what_ifs") as mine:
        if mine:
            whatifs.answer_waiting(clock.now())
