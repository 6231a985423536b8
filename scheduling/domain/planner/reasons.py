"""Puts the reasons of moves and of waiting into plain words, Chinese and English, with figures.

Which reason applies, and the figures, come from `scheduling.domain.planner.facts`.
"""

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass

from scheduling.domain.planner.facts import (
    LossReason,
    MoveFacts,
    MoveReason,
    RunnerUp,
    WaitFacts,
    WaitReason,
    move_facts,
    wait_facts,
)
from scheduling.domain.planner.moves import MoveDraft
from scheduling.domain.planner.outcome import PlanOutcome
from scheduling.domain.planner.problem import PlanningProblem

LOSS_ZH = {
    LossReason.COSTS_MORE: "次选 {name}：每个作业贵 {extra:.2f} 美元。",
    LossReason.FULL: "次选 {name}：余量已被本计划用完。",
    LossReason.REGION_LIMIT: "次选 {name}：已达地区单次调度上限。",
}
LOSS_EN = {
    LossReason.COSTS_MORE: "Next best: {name}, {extra:.2f} USD dearer per workload.",
    LossReason.FULL: "Next best: {name}, but this plan has used up its room.",
    LossReason.REGION_LIMIT: "Next best: {name}, but a region's limit per plan is reached.",
}
WAIT_ZH = {
    WaitReason.POOL_UNKNOWN: "{name} 的状态未知，其作业不作安排。",
    WaitReason.WAITING_COSTS_LESS: "{name} 有余量，但此时启动的成本高于等待。",
    WaitReason.NOT_WORTH_MOVING: "别处有余量，但调度的成本高于等待。",
    WaitReason.REGION_LIMIT: "别处有余量，但已达地区单次调度上限。",
    WaitReason.QUOTA_OR_CAP: "资源池有余量，但租户配额或地区碳排放上限已用完。",
    WaitReason.TOO_LATE: "别处有余量，但数据传输或截止时间不允许。",
    WaitReason.RULE_FORBIDS: "别处有余量，但规则不允许这类作业前往。",
    WaitReason.NO_CAPACITY_ANYWHERE: "任何允许的资源池都没有足够余量。",
}
WAIT_EN = {
    WaitReason.POOL_UNKNOWN: "The state of {name} is unknown, so its workloads are not planned.",
    WaitReason.WAITING_COSTS_LESS: "{name} has room, but starting then costs more than waiting.",
    WaitReason.NOT_WORTH_MOVING: "There is room elsewhere, but moving costs more than waiting.",
    WaitReason.REGION_LIMIT: "There is room elsewhere, but a region's limit per plan is reached.",
    WaitReason.QUOTA_OR_CAP: "Pools have room, but a tenant's quota or a carbon cap is used up.",
    WaitReason.TOO_LATE: "There is room elsewhere, but not between data arrival and deadline.",
    WaitReason.RULE_FORBIDS: "There is room elsewhere, but the rules keep this work from it.",
    WaitReason.NO_CAPACITY_ANYWHERE: "No pool that is allowed has enough room.",
}


@dataclass(frozen=True)
class PoolName:
    """What people call a pool."""

    zh: str
    en: str


@dataclass(frozen=True)
class MoveExplanation:
    """Why one move is proposed.

    Attributes:
        code: which effect weighs most.
        text_zh, text_en: the same in words, the runner-up included.
        figures: what the words rest on, ready for JSON; times are RFC 3339 in UTC.
        runner_up: the next best destination, None if there is none.
    """

    code: MoveReason
    text_zh: str
    text_en: str
    figures: dict[str, float | int | str | None]
    runner_up: RunnerUp | None


@dataclass(frozen=True)
class WaitExplanation:
    """Why workloads of one group wait; counts as in `facts.WaitFacts`."""

    group: int
    group_key: str
    code: WaitReason
    jobs_unplaced: int
    jobs_late: int
    text_zh: str
    text_en: str


@dataclass(frozen=True)
class _Words:
    """How times, names and shares are told."""

    problem: PlanningProblem
    names: Mapping[str, PoolName]
    tz: dt.tzinfo
    risk_quantile: float
    unit: str

    def name(self, code: str) -> PoolName:
        return self.names.get(code, PoolName(zh=code, en=code))

    def clock(self, moment: dt.datetime) -> str:
        """Return the local time, with the date when it is not that of slot 0."""
        local = moment.astimezone(self.tz)
        is_same_day = local.date() == self.problem.starts_at.astimezone(self.tz).date()
        return local.strftime("%H:%M" if is_same_day else "%m-%d %H:%M")

    def slot(self, slot: int) -> str:
        return self.clock(self.problem.starts_at + dt.timedelta(hours=slot))


def explain_moves(
    problem: PlanningProblem,
    plan: PlanOutcome,
    moves: tuple[MoveDraft, ...],
    *,
    names: Mapping[str, PoolName],
    tz: dt.tzinfo,
    risk_quantile: float = 0.9,
    unit: str = "GPU",
) -> tuple[MoveExplanation, ...]:
    """This function will explain every move in words, in their order.

    Args:
        problem: the situation.
        plan: outcome of `solver.solve` on it.
        moves: moves of that plan.
        names: what people call each pool, by code; a pool without a name is called by its code.
        tz: zone of the times in the words.
        risk_quantile: quantile behind `problem.available`, 0..1.
        unit: what one unit of capacity is called.

    Returns:
        One explanation per move.
    """
    words = _Words(problem, names, tz, risk_quantile, unit)
    found = move_facts(problem, plan, moves)
    return tuple(
        MoveExplanation(
            code=facts.code,
            text_zh=_move_zh(words, move, facts),
            text_en=_move_en(words, move, facts),
            figures=_figures(move, facts, risk_quantile),
            runner_up=facts.runner_up,
        )
        for move, facts in zip(moves, found, strict=True)
    )


def explain_waiting(
    problem: PlanningProblem, plan: PlanOutcome, *, names: Mapping[str, PoolName]
) -> tuple[WaitExplanation, ...]:
    """This function will say in words, for every group with waiting workloads, why they wait.

    Args:
        problem: the situation.
        plan: outcome of `solver.solve` on it.
        names: what people call each pool, by code.

    Returns:
        One explanation per group that has waiting workloads.
    """

    def told(facts: WaitFacts) -> WaitExplanation:
        name = names.get(facts.home_pool, PoolName(zh=facts.home_pool, en=facts.home_pool))
        return WaitExplanation(
            group=facts.group,
            group_key=facts.group_key,
            code=facts.code,
            jobs_unplaced=facts.jobs_unplaced,
            jobs_late=facts.jobs_late,
            text_zh=WAIT_ZH[facts.code].format(name=name.zh),
            text_en=WAIT_EN[facts.code].format(name=name.en),
        )

    return tuple(told(facts) for facts in wait_facts(problem, plan))


def _figures(
    move: MoveDraft, facts: MoveFacts, risk_quantile: float
) -> dict[str, float | int | str | None]:
    return {
        "free_units": facts.free_units,
        "free_until": facts.free_until.isoformat() if facts.free_until else None,
        "price_usd_per_unit_h": facts.price_usd_per_unit_h,
        "home_price_usd_per_unit_h": facts.home_price_usd_per_unit_h,
        "short_units": facts.short_units,
        "short_from": facts.short_from.isoformat() if facts.short_from else None,
        "hours_earlier": facts.hours_earlier,
        "risk_quantile": risk_quantile,
        "saving_usd": move.saving_usd,
        "energy_change_usd": move.change.energy_usd,
        "carbon_change_kg": move.change.carbon_kg,
    }


def _move_en(words: _Words, move: MoveDraft, facts: MoveFacts) -> str:
    home = words.name(move.source_pool).en
    destination = words.name(move.destination_pool).en
    until = (
        f"until {words.clock(facts.free_until)}"
        if facts.free_until
        else f"until at least {words.slot(words.problem.slots)}"
    )
    offer = (
        f"{destination} has {facts.free_units} {words.unit} free {until} "
        f"at {facts.price_usd_per_unit_h:.3f} USD/{words.unit}-h"
    )
    start = words.slot(move.start_slot)
    because = {
        MoveReason.SHORTAGE_AT_HOME: _shortage_en(words, home, facts),
        MoveReason.EARLIER_START: (
            f"the work starts there at {start}, on average {facts.hours_earlier:.1f} h "
            f"earlier than at {home}"
        ),
        MoveReason.CHEAPER_ENERGY: (
            f"{home} pays {facts.home_price_usd_per_unit_h:.3f} at the same hours"
        ),
        MoveReason.LOWER_CARBON: f"it emits {-move.change.carbon_kg:.0f} kg CO2e less than {home}",
        MoveReason.SURPLUS_POWER: "it runs there on surplus renewable power",
        MoveReason.CLOSER_TO_USERS: f"it is closer to its users than {home}",
        MoveReason.MAKES_ROOM: f"it makes room at {home} for work that has to stay",
    }[facts.code]
    said = f"{offer}; {because}. {_loss_en(words, facts.runner_up)}".strip()
    return f"{said} {_work_en(words, move)}".strip()


def _work_en(words: _Words, move: MoveDraft) -> str:
    """What is special about work that does not wait."""
    group = words.problem.groups[move.group]
    if group.is_running:
        return (
            f"It runs now: stopped at its last checkpoint, {group.lost_h:g} h at most done again."
        )
    if group.service:
        users = group.service.rpartition("/")[2]
        return f"Users in {users} are served there for {move.duration_h:g} h."
    return f"A gang of {group.members} starts together." if group.members > 1 else ""


def _shortage_en(words: _Words, home: str, facts: MoveFacts) -> str:
    if facts.short_from is None:
        return f"{home} cannot fit the work within {words.problem.slots} h"
    return (
        f"{home} is short {facts.short_units} {words.unit} from {words.clock(facts.short_from)} "
        f"with {words.risk_quantile * 100:g} %"
    )


def _move_zh(words: _Words, move: MoveDraft, facts: MoveFacts) -> str:
    home = words.name(move.source_pool).zh
    destination = words.name(move.destination_pool).zh
    until = (
        f"到 {words.clock(facts.free_until)} 前"
        if facts.free_until
        else f"至少到 {words.slot(words.problem.slots)} "
    )
    offer = (
        f"{destination}{until}有 {facts.free_units} {words.unit} 空闲，"
        f"每 {words.unit} 小时 {facts.price_usd_per_unit_h:.3f} 美元"
    )
    start = words.slot(move.start_slot)
    because = {
        MoveReason.SHORTAGE_AT_HOME: _shortage_zh(words, home, facts),
        MoveReason.EARLIER_START: (
            f"作业可在 {start} 启动，比留在{home}平均早 {facts.hours_earlier:.1f} 小时"
        ),
        MoveReason.CHEAPER_ENERGY: (
            f"同一时段{home}的电价为 {facts.home_price_usd_per_unit_h:.3f} 美元"
        ),
        MoveReason.LOWER_CARBON: f"比留在{home}少排放 {-move.change.carbon_kg:.0f} kg CO2e",
        MoveReason.SURPLUS_POWER: "作业可使用当地富余的可再生能源",
        MoveReason.CLOSER_TO_USERS: f"比{home}更靠近用户",
        MoveReason.MAKES_ROOM: f"为{home}必须留下的作业腾出空间",
    }[facts.code]
    said = f"{offer}；{because}。{_loss_zh(words, facts.runner_up)}"
    return said + _work_zh(words, move)


def _work_zh(words: _Words, move: MoveDraft) -> str:
    group = words.problem.groups[move.group]
    if group.is_running:
        return f"作业正在运行：在最近的检查点停止，最多重做 {group.lost_h:g} 小时。"
    if group.service:
        users = group.service.rpartition("/")[2]
        return f"{users} 的用户由该处服务 {move.duration_h:g} 小时。"
    return f"成组作业，{group.members} 个成员同时启动。" if group.members > 1 else ""


def _shortage_zh(words: _Words, home: str, facts: MoveFacts) -> str:
    if facts.short_from is None:
        return f"{home}在 {words.problem.slots} 小时内排不下这些作业"
    return (
        f"{home}从 {words.clock(facts.short_from)} 起缺 {facts.short_units} {words.unit}"
        f"（按 {words.risk_quantile * 100:g}% 分位）"
    )


def _loss_en(words: _Words, runner_up: RunnerUp | None) -> str:
    if runner_up is None:
        return ""
    name = words.name(runner_up.pool).en
    return LOSS_EN[runner_up.reason].format(name=name, extra=runner_up.extra_usd_per_job)


def _loss_zh(words: _Words, runner_up: RunnerUp | None) -> str:
    if runner_up is None:
        return ""
    name = words.name(runner_up.pool).zh
    return LOSS_ZH[runner_up.reason].format(name=name, extra=runner_up.extra_usd_per_job)
