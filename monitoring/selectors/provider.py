"""Reads how providers stand: clock, refusals, quality, keys' neighbours in their account."""

import datetime as dt
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from monitoring.domain.readings import PoolReading
from monitoring.domain.skew import Skew, estimate_skew
from monitoring.models import MappingSet, Provider, ProviderHealth
from monitoring.selectors.alerts import AlertView, open_alerts
from monitoring.selectors.hours import hour_matrix, places
from monitoring.selectors.present import pool_states
from monitoring.selectors.tallies import Tally, provider_tallies

_HOUR, _DAY = dt.timedelta(hours=1), dt.timedelta(hours=24)


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
        alerts: those about it or one of its pools that fire or are about to, newest first.
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
    alerts: Sequence[AlertView]
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
    alerts = open_alerts(now, include_pending=True)
    return [
        _standing(
            provider,
            [reading for reading in readings if reading.provider == provider.code],
            tallies[provider.code],
            health.get(provider.code),
            alerts=alerts,
            mapping=mappings.get(provider.code, (0, None)),
            hours=hours.get(provider.code, (0, 0)),
        )
        for provider in known
    ]


def _standing(
    provider: Provider,
    pools: list[PoolReading],
    tally: Tally,
    health: ProviderHealth | None,
    *,
    alerts: Sequence[AlertView],
    mapping: tuple[int, dt.datetime | None],
    hours: tuple[int, int],
) -> Standing:
    scopes = {f"provider:{provider.code}", *(f"pool:{reading.pool}" for reading in pools)}
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
        alerts=[alert for alert in alerts if alert.scope in scopes],
        mapping_version=mapping[0],
        mapping_changed_at=mapping[1],
    )


def _hours(now: dt.datetime) -> dict[str, tuple[int, int]]:
    everywhere = places()
    since = now.replace(minute=0, second=0, microsecond=0) - 23 * _HOUR
    names = ("samples", "good_samples")
    day = hour_matrix(everywhere.pool_id, since, since + _DAY, names=names)
    order = np.searchsorted(day.pool_id, everywhere.pool_id)
    counts = np.stack([day.columns[name].sum(axis=1)[order] for name in names])
    return {
        provider: tuple(counts[:, everywhere.provider == provider].sum(axis=1).astype(int).tolist())
        for provider in set(everywhere.provider.tolist())
    }
