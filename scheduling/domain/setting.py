"""Who may set what plans keep to, and which values go together; the reasons are told in words."""

import datetime as dt
from collections.abc import Iterable, Mapping
from enum import StrEnum

from controlplane.lib.errors import InvalidField

OPERATOR = "OPERATOR"
GRID_ADMIN = "GRID_ADMIN"
REGIONAL_ADMIN = "REGIONAL_ADMIN"
PROVIDER = "PROVIDER"
LONGEST_MAINTENANCE = dt.timedelta(days=90)
MOST_QUOTAS = 200


class Setting(StrEnum):
    """What people set for plans, by the names of the audit chain."""

    MAINTENANCE = "maintenance-window"
    QUOTA = "quota"
    CARBON_CAP = "carbon-cap"
    ACCELERATOR = "accelerator"
    SPEED = "speed"
    FAIR_SHARE = "fair-share"


_REFUSALS = {
    Setting.MAINTENANCE: "Your role does not reach this site.",
    Setting.QUOTA: "Only a grid admin sets quotas.",
    Setting.CARBON_CAP: "A region's admin or a grid admin sets its carbon cap.",
    Setting.ACCELERATOR: "Only a grid admin says which accelerator a pool has.",
    Setting.SPEED: "Only a grid admin sets how fast work runs on an accelerator.",
    Setting.FAIR_SHARE: "Only a grid admin sets weights of fair shares.",
}


def why_not(
    setting: Setting, role: str, *, is_own_region: bool = False, is_own_site: bool = False
) -> str | None:
    """This function will say why somebody may not set something.

    Args:
        setting: what is set.
        role: of the person.
        is_own_region: whether a region's admin sets it for the own region.
        is_own_site: whether a provider's person sets it for an own site.

    Returns:
        The reason, or None where it is allowed.

    >>> why_not(Setting.CARBON_CAP, REGIONAL_ADMIN, is_own_region=True)
    >>> why_not(Setting.CARBON_CAP, OPERATOR)
    "A region's admin or a grid admin sets its carbon cap."
    """
    may = role == GRID_ADMIN
    if setting in (Setting.MAINTENANCE, Setting.CARBON_CAP):
        may = may or (role == REGIONAL_ADMIN and is_own_region)
    if setting is Setting.MAINTENANCE:
        may = may or role == OPERATOR or (role == PROVIDER and is_own_site)
    return None if may else _REFUSALS[setting]


def check_window(starts_at: dt.datetime, ends_at: dt.datetime) -> None:
    """This function will refuse a maintenance window that is empty or longer than 90 days.

    Raises:
        InvalidField: names the field.
    """
    if not starts_at < ends_at <= starts_at + LONGEST_MAINTENANCE:
        raise InvalidField("ends_at", "must come after starts_at, by at most 90 days")


def check_quota(
    name: str,
    parent: str,
    regions: Iterable[str],
    *,
    parents: Mapping[str, str],
    known_regions: Iterable[str],
) -> None:
    """This function will refuse a quota that has no root, or names a region that there is not.

    Args:
        name: of the tenant or cohort.
        parent: name of its cohort, empty at the top.
        regions: in which it counts.
        parents: of all other quotas, by name.
        known_regions: codes.

    Raises:
        InvalidField: names the field.
    """
    if len(parents) >= MOST_QUOTAS:
        raise InvalidField("name", f"there are {MOST_QUOTAS} quotas already")
    if parent and parent not in parents:
        raise InvalidField("parent", f"there is no quota {parent}")
    above, seen = parent, {name}
    while above:
        if above in seen:
            raise InvalidField("parent", "a quota cannot be above itself")
        seen.add(above)
        above = parents.get(above, "")
    known = set(known_regions)
    for code in regions:
        if code not in known:
            raise InvalidField("regions", f"there is no region {code}")
