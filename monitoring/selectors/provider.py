"""Reads how providers stand: clock, refusals, quality, keys' neighbours in their account."""

import datetime as dt
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.db.models import Sum

from monitoring.domain.readings import PoolReading
from monitoring.domain.skew import Skew, estimate_skew
from monitoring.models import MappingSet, PoolHour, Provider, ProviderHealth
from monitoring.selectors.present import pool_states
from monitoring.selectors.tallies import Tally, provider_tallies

_DAY = dt.timedelta(hours=24)


@dataclass(frozen=True)
class SetAside:
    """What planning and forecasts left out of a day's samples, because it was not good.

    Attributes:
        samples: stored in the last 24 full and present hours.
        set_aside: those of them that are not good.
        capacity: what pools claim now whose newest sample is not good (units).
        pools: how many pools are not good now, silent ones among them.
    """

    samples: int
    set_aside: int
    capacity: float
    pools: int


@dataclass(frozen=True)
class Standing:
    """How one provider stands.

    Attributes:
        tally: its account.
        clock: its clock, as measured.
        refusals: examples of what was refused, newest first.
        rules: how many of its pools a quality rule makes less than good now, by rule.
        pools: its pools now.
        set_aside: what was not good.
        mapping_version: 0 = the mapping that holds until somebody sets another.
    """

    provider: str
    name_zh: str
    name_en: str
    tally: Tally
    clock: Skew
    refusals: Sequence[Mapping[str, Any]]
    rules: Mapping[str, int]
    pools: Sequence[PoolReading]
    set_aside: SetAside
    mapping_version: int
    mapping_changed_at: dt.datetime | None


def provider_standings(now: dt.datetime, *, provider_code: str | None = None) -> list[Standing]:
    """Return how each provider stands, by code.

    Args:
        now: present grid time.
        provider_code: only this one.
    """
    known = Provider.objects.order_by("code")
    if provider_code is not None:
        known = known.filter(code=provider_code)
    readings = pool_states(now, provider_code=provider_code)
    tallies = {tally.provider: tally for tally in provider_tallies()}
    health = {row.provider_id: row for row in ProviderHealth.objects.all()}
    mappings = {
        code: (version, changed_at)
        for code, version, changed_at in MappingSet.objects.values_list(
            "provider_id", "version", "changed_at"
        )
    }
    hours = _hours(now)
    return [
        _standing(
            provider,
            [reading for reading in readings if reading.provider == provider.code],
            tallies[provider.code],
            health.get(provider.code),
            mappings.get(provider.code, (0, None)),
            hours.get(provider.code, (0, 0)),
        )
        for provider in known
    ]


def _standing(
    provider: Provider,
    pools: list[PoolReading],
    tally: Tally,
    health: ProviderHealth | None,
    mapping: tuple[int, dt.datetime | None],
    hours: tuple[int, int],
) -> Standing:
    aside = [reading for reading in pools if reading.quality.value != "good"]
    return Standing(
        provider=provider.code,
        name_zh=provider.name_zh,
        name_en=provider.name_en,
        tally=tally,
        clock=estimate_skew(health.lags_s if health else []),
        refusals=health.refusals if health else [],
        rules=Counter(reading.quality_rule for reading in pools if reading.quality_rule),
        pools=pools,
        set_aside=SetAside(
            samples=hours[0],
            set_aside=hours[0] - hours[1],
            capacity=sum(reading.capacity or 0.0 for reading in aside),
            pools=len(aside),
        ),
        mapping_version=mapping[0],
        mapping_changed_at=mapping[1],
    )


def _hours(now: dt.datetime) -> dict[str, tuple[int, int]]:
    rows = (
        PoolHour.objects.filter(hour_at__gt=now - _DAY, hour_at__lte=now)
        .values("pool__site__provider_id")
        .annotate(samples_n=Sum("samples"), good_n=Sum("good_samples"))
    )
    return {row["pool__site__provider_id"]: (row["samples_n"], row["good_n"]) for row in rows}
