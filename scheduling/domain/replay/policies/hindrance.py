"""What a guest costs those at home who need more of their pool than it leaves them."""

from collections.abc import Sequence

from scheduling.domain.replay.tariffs import HOUR_S
from scheduling.domain.replay.views import JobView


class Hindrance:
    """Prices the wait that guests cause to wide jobs of the pool itself.

    A guest that runs for h hours blocks a job that comes meanwhile and does not fit beside it for
    half of them on average, so harm grows with the mean of the square of its run time: of many
    short guests the one that stays for days counts. How often such jobs come is counted per pool
    and width, from what has come so far and one job as wide as the pool, which is always thought
    possible. All guests share the harm. Without this, long guests fill a pool whose own rare jobs
    need all of it.

    Args:
        capacity: (P,) units.
        delay_usd: (P,) of one unit-hour of a waiting job of the pool.
    """

    def __init__(self, capacity: Sequence[int], delay_usd: Sequence[float]) -> None:
        self._capacity, self._delay_usd = capacity, delay_usd
        self._came: list[dict[int, int]] = [{} for _ in capacity]
        self._own = [0] * len(capacity)
        self._guests = [0] * len(capacity)
        self._since_s: float | None = None

    def arrived(self, job: JobView) -> None:
        """Count a job by its width."""
        if self._since_s is None:
            self._since_s = job.submit_s
        counts = self._came[job.home]
        counts[job.units] = counts.get(job.units, 0) + 1

    def began(self, job: JobView, pool: int) -> None:
        """Count its units as the pool's own or as a guest's."""
        held = self._own if pool == job.home else self._guests
        held[pool] += job.units

    def ended(self, job: JobView, pool: int) -> None:
        """Count them no more."""
        held = self._own if pool == job.home else self._guests
        held[pool] -= job.units

    def unit_usd(self, job: JobView, square_h2: float, now_s: float) -> list[float]:
        """Price a stay by the harm that it is expected to do.

        Args:
            job: who would be a guest.
            square_h2: mean of the square of its run time, h2.
            now_s: the moment.

        Returns:
            (P,) what one of its units costs those at home, USD; nothing at its own home.
        """
        since_s = now_s if self._since_s is None else self._since_s
        seen_h = max(1.0, (now_s - since_s) / HOUR_S)
        return [
            0.0 if pool == job.home else self._price(pool, job.units, square_h2, seen_h)
            for pool in range(len(self._capacity))
        ]

    def _price(self, pool: int, units: int, square_h2: float, seen_h: float) -> float:
        whole, own, guests = self._capacity[pool], self._own[pool], self._guests[pool] + units
        blocked = whole + sum(
            width * count
            for width, count in self._came[pool].items()
            if own + width <= whole < own + width + guests or whole < width + guests
        )
        return blocked / seen_h * self._delay_usd[pool] * square_h2 / 2.0 / guests
