"""Reads what became of every sample that a provider sent."""

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass

from monitoring.models import Provider, ProviderTally


@dataclass(frozen=True)
class Tally:
    """What became of all samples that a provider ever sent, and of requests turned away unread.

    received = accepted + duplicate + conflict + rejected + shed; a request that was shed counts
    as one, since nobody knows what it held.
    """

    provider: str
    received: int
    accepted: int
    duplicate: int
    conflict: int
    rejected: int
    shed: int
    rejected_by_reason: Mapping[str, int]
    last_batch_at: dt.datetime | None


def provider_tallies() -> list[Tally]:
    """Return each provider's account of samples, by code; zeros for one that sent nothing."""
    tallies = {tally.provider_id: tally for tally in ProviderTally.objects.all()}
    codes = Provider.objects.order_by("code").values_list("code", flat=True)
    return [_tally_of(code, tallies.get(code)) for code in codes]


def provider_tally(provider_code: str) -> Tally:
    """Return one provider's account of samples."""
    return _tally_of(provider_code, ProviderTally.objects.filter(provider_id=provider_code).first())


def _tally_of(provider_code: str, tally: ProviderTally | None) -> Tally:
    if tally is None:
        return Tally(provider_code, 0, 0, 0, 0, 0, 0, {}, None)
    return Tally(
        provider=provider_code,
        received=tally.received,
        accepted=tally.accepted,
        duplicate=tally.duplicate,
        conflict=tally.conflict,
        rejected=tally.rejected,
        shed=tally.shed,
        rejected_by_reason=tally.rejected_by_reason,
        last_batch_at=tally.last_batch_at,
    )
