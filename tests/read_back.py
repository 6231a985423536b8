"""Reads back what standard senders pushed, for tests that compare it with what was sent."""

from typing import Any

from monitoring.domain.samples import to_us
from monitoring.models import Point, ProviderTally
from tests.conftest import GRID_NOW

NOW_MS = to_us(GRID_NOW) // 1000
UP = {"__name__": "up", "job": "node", "instance": "localhost:9090"}


def account(provider_code: str = "beiyun") -> ProviderTally:
    """Return a provider's tally, which adds up."""
    tally = ProviderTally.objects.get(provider_id=provider_code)
    assert tally.received == tally.accepted + tally.duplicate + tally.conflict + tally.rejected
    return tally


def stored() -> list[tuple[dict[str, str], int, float]]:
    """Return labels, milliseconds and value of every stored point."""
    rows = Point.objects.select_related("series").order_by("series_id", "measured_at")
    return [(row.series.labels, to_us(row.measured_at) // 1000, row.value) for row in rows]


def written(answer: Any) -> tuple[str | None, ...]:
    """Return what an answer to remote-write 2.0 says was written."""
    return tuple(
        answer.get(f"X-Prometheus-Remote-Write-{what}-Written")
        for what in ("Samples", "Histograms", "Exemplars")
    )
