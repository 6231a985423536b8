"""Divides capacity fairly among tenants, and measures how fair a division is."""

from collections.abc import Mapping


def fair_shares(
    asked: Mapping[str, float], weights: Mapping[str, float], total: float
) -> dict[str, float]:
    """This function will divide a total by weighted max-min fairness.

    Nobody gets more than was asked for; what somebody does not need goes to the others by weight.

    Args:
        asked: unit-hours that each tenant asks for, >= 0.
        weights: weight of each tenant, > 0; 1 where nothing is said.
        total: unit-hours to divide, >= 0.

    Returns:
        Unit-hours per tenant, at most `total` together.

    Source: D. Bertsekas, R. Gallager, Data Networks, 2nd ed. 1992, chapter 6.5.2.

    >>> fair_shares({"a": 2.0, "b": 9.0, "c": 9.0}, {}, 10.0)
    {'a': 2.0, 'b': 4.0, 'c': 4.0}
    """
    shares = dict.fromkeys(asked, 0.0)
    open_tenants = sorted(asked, key=lambda tenant: asked[tenant] / weights.get(tenant, 1.0))
    left = total
    for place, tenant in enumerate(open_tenants):
        weight_left = sum(weights.get(one, 1.0) for one in open_tenants[place:])
        shares[tenant] = min(asked[tenant], left * weights.get(tenant, 1.0) / weight_left)
        left -= shares[tenant]
    return shares


def fairness_index(served: Mapping[str, float], fair: Mapping[str, float]) -> float:
    """This function will measure how evenly tenants get their fair shares.

    (sum of x)^2 / (n * sum of x^2) over x = served / fair share, capped at 1; 1 when all get the
    same part of theirs, 1/n when one gets everything.

    Args:
        served: unit-hours placed per tenant.
        fair: fair share per tenant; those of 0 are left out.

    Returns:
        0..1; 1 without tenants or when nothing is served.

    Source: R. Jain, D. Chiu, W. Hawe, DEC-TR-301, 1984.
    """
    parts = [min(1.0, served.get(who, 0.0) / owed) for who, owed in fair.items() if owed > 0]
    squares = sum(part * part for part in parts)
    return sum(parts) ** 2 / (len(parts) * squares) if squares else 1.0
