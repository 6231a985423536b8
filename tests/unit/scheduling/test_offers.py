"""The search for a place: ranked offers, and for each other pool the reason why it is none."""

import numpy as np
import pytest

from scheduling.domain.offers import WORDS, Candidate, Need, Order, Refusal, held, search

NEED = Need(units=4, hours=2.0, data_gb=10.0)


def candidate(pool="a", **changes):
    facts = {
        "region": "CN-BJ",
        "most_units": 64.0,
        "speed": 1.0,
        "is_allowed": True,
        "rule": "S1",
        "wait_h": (0.0, 1.0, 3.0),
        "price_usd": np.full(48, 0.1),
        "carbon_kg": np.full(48, 0.2),
    }
    return Candidate(pool=pool, **{**facts, **changes})


def test_an_offer_says_what_it_costs_and_when_it_would_run():
    [offer], refused = search(NEED, [candidate(egress_usd_per_gb=0.05, transfer_h_per_gb=0.2)])

    assert refused == {}
    assert offer.energy_usd == pytest.approx(4 * 2 * 0.1)
    assert offer.egress_usd == pytest.approx(0.5)
    assert offer.carbon_kg == pytest.approx(4 * 2 * 0.2)
    assert offer.starts_h == (2.0, 2.0, 3.0)
    assert offer.ends_h == 5.0


@pytest.mark.parametrize(
    ("changes", "need", "reason"),
    [
        ({"most_units": 3.0}, NEED, Refusal.TOO_LARGE),
        ({"speed": 0.0}, NEED, Refusal.WRONG_ACCELERATOR),
        ({"is_allowed": False}, NEED, Refusal.RULE_FORBIDS),
        ({"wait_h": None}, NEED, Refusal.STATE_UNKNOWN),
        ({}, Need(4, 2.0, deadline_h=4.9), Refusal.TOO_LATE),
        ({}, Need(4, 2.0, most_usd=0.7), Refusal.TOO_DEAR),
    ],
)
def test_every_refusal_has_its_reason_in_both_languages(changes, need, reason):
    offers, refused = search(need, [candidate(**changes)])

    assert (offers, refused) == ([], {"a": reason})
    assert all(WORDS[reason])


def test_a_slower_accelerator_runs_longer_and_costs_more():
    fast, slow = search(NEED, [candidate("a"), candidate("b", speed=0.5)])[0]

    assert (fast.pool, slow.pool) == ("a", "b")
    assert slow.runs_h == 2 * fast.runs_h
    assert slow.energy_usd == pytest.approx(2 * fast.energy_usd)


@pytest.mark.parametrize(
    ("order", "first"), [(Order.PRICE, "cheap"), (Order.CARBON, "clean"), (Order.START, "soon")]
)
def test_people_choose_what_counts_first(order, first):
    pools = [
        candidate("cheap", price_usd=np.full(48, 0.01)),
        candidate("clean", carbon_kg=np.full(48, 0.01)),
        candidate("soon", wait_h=(0.0, 0.1, 0.2)),
    ]

    assert search(NEED, pools, order)[0][0].pool == first


def test_hours_beyond_the_horizon_count_at_its_mean():
    assert held(np.array([1.0, 3.0]), 1.0, 4.0) == pytest.approx(3.0 + 3 * 2.0)
    assert held(np.array([1.0, 3.0]), 5.0, 4.0) == pytest.approx(8.0)
