"""Whether a data class may leave a region for another, by named rules; what no rule allows is not.

A rule names the data class, the jurisdictions from and to, and how far the data may go. This is
used to build plans, and once more, on its own, before each command is written.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum


class Reach(StrEnum):
    """How far data of a class may go."""

    REGION = "REGION"
    JURISDICTION = "JURISDICTION"
    ANYWHERE = "ANYWHERE"


@dataclass(frozen=True)
class SovereigntyRule:
    """One rule: `*` as a jurisdiction stands for every one.

    Attributes:
        name: stable name, such as `S2`.
        data_class: open, internal or restricted.
        from_jurisdiction: CN, HK, MO, TW or `*`.
        to_jurisdiction: likewise.
        reach: how far data may go under this rule.
    """

    name: str
    data_class: str
    from_jurisdiction: str
    to_jurisdiction: str
    reach: Reach


@dataclass(frozen=True)
class Place:
    """A region with its jurisdiction."""

    region: str
    jurisdiction: str


@dataclass(frozen=True)
class Ruling:
    """Whether data may go, and by which rule; without a rule the name is empty."""

    is_allowed: bool
    rule: str


def rule_on(
    rules: Sequence[SovereigntyRule], data_class: str, source: Place, destination: Place
) -> Ruling:
    """This function will decide whether data of a class may go from one place to another.

    Args:
        rules: all rules in force.
        data_class: of the workload's data.
        source: where the data are.
        destination: where they would go.

    Returns:
        The first rule that allows it; staying in the region is always allowed; else a refusal
        that names the rules that were looked at.
    """
    if source.region == destination.region:
        return Ruling(is_allowed=True, rule="stays-in-region")
    looked_at = [rule for rule in rules if _speaks_of(rule, data_class, source, destination)]
    for rule in looked_at:
        if rule.reach is Reach.ANYWHERE or (
            rule.reach is Reach.JURISDICTION and source.jurisdiction == destination.jurisdiction
        ):
            return Ruling(is_allowed=True, rule=rule.name)
    return Ruling(is_allowed=False, rule=", ".join(rule.name for rule in looked_at))


def _speaks_of(rule: SovereigntyRule, data_class: str, source: Place, destination: Place) -> bool:
    return (
        rule.data_class == data_class
        and rule.from_jurisdiction in ("*", source.jurisdiction)
        and rule.to_jurisdiction in ("*", destination.jurisdiction)
    )
