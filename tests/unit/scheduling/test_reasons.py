"""Every move and every wait has a reason, in two languages, with figures that are true."""

import json
from collections.abc import Sequence
from dataclasses import replace
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given, settings

from scheduling.domain.planner.facts import LossReason, MoveReason, RunnerUp, WaitReason, shortage
from scheduling.domain.planner.moves import draft_moves
from scheduling.domain.planner.outcome import PlanOutcome
from scheduling.domain.planner.problem import PlanningProblem, Weights
from scheduling.domain.planner.reasons import (
    MoveExplanation,
    PoolName,
    explain_moves,
    explain_waiting,
)
from scheduling.domain.planner.solver import do_nothing, solve
from tests.builders import a_group, a_home_freed_for_another, a_problem, a_short_home
from tests.strategies_planning import problems

SHANGHAI = ZoneInfo("Asia/Shanghai")
NAMES = {
    "beijing-gpu": PoolName(zh="北京", en="Beijing"),
    "horinger-gpu": PoolName(zh="和林格尔", en="Horinger"),
    "guian-gpu": PoolName(zh="贵安", en="Guian"),
}


def explained(
    problem: PlanningProblem, plan: PlanOutcome | None = None
) -> Sequence[MoveExplanation]:
    plan = plan or solve(problem)
    moves = draft_moves(problem, plan, do_nothing(problem)).moves
    return explain_moves(problem, plan, moves, names=NAMES, tz=SHANGHAI)


def waiting_code(problem: PlanningProblem) -> WaitReason:
    (line,) = explain_waiting(problem, solve(problem), names=NAMES)
    return line.code


def test_a_shortage_at_home_is_told_with_its_figures():
    free = np.array([[0.0] * 4, [16.0, 16.0, 16.0, 4.0], [8.0] * 4])
    problem = a_short_home(available=free)

    first = explained(problem)[0]

    assert first.code is MoveReason.SHORTAGE_AT_HOME
    assert first.text_en.startswith(
        "Horinger has 16 GPU free until 12:00 at 0.020 USD/GPU-h; "
        "Beijing is short 32 GPU from 09:00 with 90 %."
    )
    assert "和林格尔到 12:00 前有 16 GPU 空闲" in first.text_zh
    assert "北京从 09:00 起缺 32 GPU（按 90% 分位）" in first.text_zh
    assert first.figures["free_until"] == "2023-05-26T04:00:00+00:00"


def test_room_that_lasts_is_told_as_at_least():
    first = explained(a_short_home())[0]

    assert "free until at least 13:00" in first.text_en
    assert first.figures["free_until"] is None


def test_times_of_another_day_carry_their_date():
    problem = a_short_home(slots=24)

    first = explained(problem)[0]

    assert "until at least 05-27 09:00" in first.text_en


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        pytest.param({"energy": [0.2, 0.01, 0.2]}, MoveReason.CHEAPER_ENERGY, id="energy"),
        pytest.param({"carbon": [2.0, 0.1, 2.0]}, MoveReason.LOWER_CARBON, id="carbon"),
    ],
)
def test_the_part_that_saves_most_is_the_reason(changes, expected):
    (only,) = explained(a_problem(a_group(), **changes))

    assert only.code is expected
    assert only.figures["short_units"] == 0


def test_an_earlier_start_is_told_in_hours():
    busy_first = np.array([[0.0, 0.0, 8.0, 8.0], [8.0] * 4, [0.0] * 4])

    (only,) = explained(a_problem(a_group(), available=busy_first))

    assert only.code is MoveReason.EARLIER_START
    assert "starts there at 09:00, on average 2.0 h earlier than at Beijing" in only.text_en
    assert "平均早 2.0 小时" in only.text_zh


def test_a_shortage_of_lasting_room_is_told_without_a_number():
    gaps = np.array([[8.0, 0.0, 8.0, 0.0], [8.0] * 4, [0.0] * 4])
    problem = a_problem(a_group(latest_start=2, units=8), available=gaps)
    steady = replace(problem, available=np.maximum(problem.available, 8.0))
    plan = solve(problem)
    moves = draft_moves(problem, plan, do_nothing(problem)).moves

    (only,) = explain_moves(steady, plan, moves, names={}, tz=SHANGHAI)

    assert "beijing-gpu cannot fit the work within 4 h" in only.text_en
    assert "beijing-gpu在 4 小时内排不下这些作业" in only.text_zh


def test_a_move_that_only_makes_room_says_so():
    (only,) = explained(a_home_freed_for_another())

    assert only.code is MoveReason.MAKES_ROOM
    assert "it makes room at Beijing for work that has to stay" in only.text_en
    assert "为北京必须留下的作业腾出空间" in only.text_zh


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        pytest.param(
            {"available": [0.0, 32.0, 8.0]},
            RunnerUp("guian-gpu", LossReason.COSTS_MORE, pytest.approx(0.32)),
            id="dearer",
        ),
        pytest.param(
            {"available": [0.0, 32.0, 32.0], "max_in_units": {"CN-GZ": 8.0}, "jobs": 8},
            RunnerUp("guian-gpu", LossReason.REGION_LIMIT, None),
            id="limit reached",
        ),
        pytest.param(
            {"available": [0.0, 16.0, 8.0], "jobs": 6},
            RunnerUp("guian-gpu", LossReason.FULL, None),
            id="full",
        ),
        pytest.param({"available": [0.0, 32.0, 0.0]}, None, id="no other pool has room"),
    ],
)
def test_the_runner_up_is_named_with_why_it_lost(changes, expected):
    jobs = changes.pop("jobs", 4)
    problem = a_short_home(**changes)
    problem = replace(problem, groups=(replace(problem.groups[0], jobs=jobs),))

    to_horinger = [line for line in explained(problem) if line.text_en.startswith("Horinger")]

    assert to_horinger[0].runner_up == expected
    assert ("Next best" in to_horinger[0].text_en) == (expected is not None)
    assert ("次选" in to_horinger[0].text_zh) == (expected is not None)


def test_shortage_is_what_waiting_workloads_ask_for_beyond_what_is_free():
    groups = (
        a_group("a", jobs=2),
        a_group("b", duration_slots=1, duration_h=1.0),
        a_group("c", home=1),
    )
    problem = a_problem(*groups, available=10.0)

    lacking = shortage(problem, 0)

    assert lacking.tolist() == [14.0, 6.0, 0.0, 0.0]


def restricted(problem: PlanningProblem) -> PlanningProblem:
    allowed = np.zeros_like(problem.allowed)
    allowed[:, 0] = True
    return replace(problem, allowed=allowed)


def unknown_home(problem: PlanningProblem) -> PlanningProblem:
    return replace(problem, pools=(replace(problem.pools[0], is_known=False), *problem.pools[1:]))


@pytest.mark.parametrize(
    ("problem", "expected"),
    [
        pytest.param(unknown_home(a_short_home()), WaitReason.POOL_UNKNOWN, id="unknown"),
        pytest.param(
            a_problem(a_group(), energy=99.0), WaitReason.WAITING_COSTS_LESS, id="too dear at home"
        ),
        pytest.param(
            a_short_home(weights=Weights(churn_usd_per_job=999.0)),
            WaitReason.NOT_WORTH_MOVING,
            id="too dear elsewhere",
        ),
        pytest.param(
            a_short_home(max_out_units={"CN-BJ": 7.0}), WaitReason.REGION_LIMIT, id="limit"
        ),
        pytest.param(a_short_home(transfer_h_per_gb=9.0), WaitReason.TOO_LATE, id="late data"),
        pytest.param(restricted(a_short_home()), WaitReason.RULE_FORBIDS, id="rule"),
        pytest.param(a_short_home(available=0.0), WaitReason.NO_CAPACITY_ANYWHERE, id="nowhere"),
    ],
)
def test_waiting_workloads_are_told_why(problem, expected):
    assert waiting_code(problem) is expected


def test_workloads_that_start_late_at_home_wait_too():
    later = np.array([[0.0, 0.0, 8.0, 8.0], [0.0] * 4, [0.0] * 4])

    (line,) = explain_waiting(
        p := a_problem(a_group(jobs=2), available=later), solve(p), names=NAMES
    )

    assert (line.jobs_unplaced, line.jobs_late) == (1, 1)
    assert line.text_en == "No pool that is allowed has enough room."
    assert line.text_zh == "任何允许的资源池都没有足够余量。"


def test_nobody_waits_when_all_start_now():
    problem = a_problem(a_group())

    assert explain_waiting(problem, solve(problem), names=NAMES) == ()


@settings(max_examples=20)
@given(problem=problems())
def test_every_move_and_every_wait_is_explained_in_both_languages(problem):
    plan = solve(problem)

    lines = explained(problem, plan)
    waits = explain_waiting(problem, plan, names=NAMES)

    moved = [one for one in plan.placements if one.pool != problem.groups[one.group].home]
    assert len(lines) == len(moved)
    assert all(line.text_en and line.text_zh and json.dumps(line.figures) for line in lines)
    assert {wait.group for wait in waits} >= {g for g, jobs in enumerate(plan.unplaced) if jobs}
    assert all(wait.text_en and wait.text_zh for wait in waits)


@pytest.mark.parametrize(
    ("changes", "english", "chinese"),
    [
        ({"members": 4}, "A gang of 4 starts together.", "4 个成员同时启动"),
        (
            {"service": "north/chat/CN-SH", "user_zone": None},
            "Users in CN-SH are served there for",
            "CN-SH 的用户由该处服务",
        ),
    ],
)
def test_what_is_special_about_the_work_is_told(changes, english, chinese):
    problem = a_short_home()
    special = replace(problem, groups=tuple(replace(g, **changes) for g in problem.groups))

    first = explained(special)[0]

    assert english in first.text_en
    assert chinese in first.text_zh


def test_moving_running_work_says_what_is_done_again():
    problem = a_problem(a_group(is_running=True, lost_h=1.0), energy=[5.0, 0.01, 5.0])

    (only,) = explained(problem)

    assert "stopped at its last checkpoint, 1 h at most done again" in only.text_en
    assert "最多重做 1 小时" in only.text_zh
