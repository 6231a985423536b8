"""Takes the points that standard senders push: those of one transaction, of one request or more."""

import datetime as dt
import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from itertools import accumulate, pairwise

import numpy as np
from django.db import IntegrityError, OperationalError, transaction

from monitoring import ingest, services
from monitoring.domain.points import (
    FAULTS,
    NO_FAULT,
    ChainedSeries,
    PointFault,
    PointReport,
    Points,
    judge_times,
    report_on,
)
from monitoring.domain.samples import CodeArray, IntArray, Window
from monitoring.formats.blocks import PointColumns
from monitoring.formats.heads import HeadMemory
from monitoring.senders.catalogue import Catalogue, read_catalogue
from monitoring.senders.exemplars import keep_exemplars
from monitoring.senders.memory import SenderMemory, memory_of
from monitoring.senders.narrow import store_points
from monitoring.senders.recent import MappedPoints
from monitoring.senders.rows import NO_ROWS, Formed, RowsTooWide, form_rows
from monitoring.senders.rules import lock_sender
from monitoring.senders.series import Placement, place_series

logger = logging.getLogger(__name__)

# requests whose times lie further apart share nothing that would be worth storing them together
MAX_SPAN_US = 1800 * 1_000_000
_POINT_BYTES, _SERIES_BYTES = 64, 128


def take_points(
    points: Points,
    *,
    provider_code: str,
    now: dt.datetime,
    window: Window,
    heads: HeadMemory | None = None,
) -> PointReport:
    """Judge and store what a standard sender pushed; returns only after the commit.

    Every point that is taken is stored once under its series and time; sending it again changes
    nothing, another value for them is a conflict. From the points of mapped series wide rows are
    made as soon as a tick is complete. Requests that come while another one of the sender's is
    being stored share a transaction, and get the answers that they would get one by one.

    Args:
        points: read but not judged.
        provider_code: the sender.
        now: present grid time.
        window: times that are taken.
        heads: what `points.spelling` refers to.

    Returns:
        What became of each of the sender's items.
    """
    with ingest.SECONDS.time():
        report = _TOGETHER.take(provider_code, _Push(points, now, window, heads))
    ingest.count_outcomes(provider_code, report)
    return report


@dataclass(frozen=True, eq=False)
class _Push:
    """One request: its points, when it came, what is taken, and what its spellings refer to."""

    points: Points
    now: dt.datetime
    window: Window
    heads: HeadMemory | None

    def __len__(self) -> int:
        return len(self.points)

    def size_bytes(self) -> int:
        """Return about how much memory storing it takes."""
        points = self.points
        if self.heads is not None and points.spelling is not None:
            label_bytes = self.heads.spelled_bytes(points.spelling)
        else:
            label_bytes = sum(len(name) + len(text) for one in points.series for name, text in one)
        return _POINT_BYTES * len(points) + _SERIES_BYTES * len(points.series) + label_bytes

    def may_join(self, first: "_Push") -> bool:
        """Whether its times lie close to another's."""
        (start, end), (first_start, first_end) = self.span_us, first.span_us
        return max(end, first_end) - min(start, first_start) <= MAX_SPAN_US

    @cached_property
    def span_us(self) -> tuple[int, int]:
        """First and last time of what is taken."""
        times = self.points.measured_us[judge_times(self.points, self.window) == NO_FAULT]
        return (int(times.min()), int(times.max())) if len(times) else (0, 0)


def _take_all(provider_code: str, pushes: Sequence[_Push]) -> list[PointReport]:
    """Store requests in one transaction, and once more when something was in the way."""
    group = _Group(provider_code, pushes)
    try:
        return group.take()
    except (IntegrityError, OperationalError) as error:
        if ingest.was_met(error):
            return group.take(looks_at_all=True)
        if not (isinstance(error, IntegrityError) and ingest.is_missing_partition(error)):
            raise
    # the loop that makes partitions ahead has not run for weeks of grid time: heal and go on
    window = group.window
    services.keep_partitions(group.now, since=window.oldest, until=window.newest)
    return group.take()


class _Group:
    """Requests of one sender on their way into the database, in the order of their coming."""

    def __init__(self, provider_code: str, pushes: Sequence[_Push]) -> None:
        self._provider, self._pushes = provider_code, pushes
        self._memory = memory_of(provider_code)
        self.now = max(push.now for push in pushes)
        self.window = Window(
            min(push.window.oldest for push in pushes), max(push.window.newest for push in pushes)
        )
        every = [push.points for push in pushes]
        self._series = ChainedSeries([points.series for points in every])
        shifts = [0, *accumulate(len(points.series) for points in every)]
        self._series_parts = [slice(a, b) for a, b in pairwise(shifts)]
        ends = [0, *accumulate(map(len, every))]
        self._parts = [slice(a, b) for a, b in pairwise(ends)]
        self._series_of = np.concatenate(
            [points.series_of + shift for points, shift in zip(every, shifts, strict=False)]
        )
        self._measured_us = np.concatenate([points.measured_us for points in every])
        self._value = np.concatenate([points.value for points in every])

    @transaction.atomic
    def take(self, *, looks_at_all: bool = False) -> list[PointReport]:
        """Store everything that is new, and return what became of each request's points.

        Args:
            looks_at_all: look up every row that is made, as one was there unknown to the states.
        """
        # one after the other: each must see the points that those before it have stored
        lock_sender(self._provider)
        catalogue, received = read_catalogue(self._provider, self._memory.catalogue)
        fault = np.concatenate([judge_times(push.points, push.window) for push in self._pushes])
        placed = self._place(catalogue, fault)
        fault = np.where(fault == NO_FAULT, placed.fault[self._series_of], fault)

        taken = np.flatnonzero(fault == NO_FAULT)
        series_of = self._series_of[taken]
        columns = PointColumns(
            placed.series_id[series_of], self._measured_us[taken], self._value[taken]
        )
        is_new, is_conflict = store_points(columns)
        fault[taken[is_conflict]] = FAULTS.index(PointFault.CONFLICT)
        accepted = np.zeros(len(fault), bool)
        accepted[taken[is_new]] = True

        touched = columns.take(is_new & (placed.position[series_of] >= 0))
        formed = self._form(touched, placed, received, looks_at_all=looks_at_all)
        exemplars = keep_exemplars(
            [(push.points, push.window) for push in self._pushes],
            [placed.series_id[part] for part in self._series_parts],
        )
        reports = [
            replace(report_on(push.points, fault[part], accepted[part]), exemplars_written=kept)
            for push, part, kept in zip(self._pushes, self._parts, exemplars, strict=True)
        ]
        received = ingest.account_for(self._provider, reports, self.now)
        transaction.on_commit(partial(self._remember, placed, formed, touched, received))
        return reports

    def _place(self, catalogue: Catalogue, fault: CodeArray) -> Placement:
        is_wanted = np.zeros(len(self._series), bool)
        is_wanted[self._series_of[fault == NO_FAULT]] = True
        remembered = np.zeros(len(self._series), np.int64)
        for part, heads, spelling in self._spelled():
            remembered[part] = heads.series_ids(spelling, catalogue.epoch)
        return place_series(self._series, is_wanted, catalogue, remembered=remembered, now=self.now)

    def _form(
        self, touched: PointColumns, placed: Placement, received: int, *, looks_at_all: bool
    ) -> Formed:
        recent = self._memory.recent
        if recent is not None and not recent.is_all(placed.catalogue.epoch, received):
            recent = None
        try:
            return form_rows(
                touched,
                placed.catalogue,
                self._memory.formed,
                recent=recent,
                now=self.now,
                window=self.window,
                looks_at_all=looks_at_all,
            )
        except RowsTooWide:
            if len(self._pushes) > 1:
                # each alone may be narrow enough
                raise
            # what is stored stays stored; rows of so wide a stretch are not worth the memory
            logger.warning("rows.not_made", extra={"provider": self._provider})
            return NO_ROWS

    def _remember(
        self, placed: Placement, formed: Formed, touched: PointColumns, received: int
    ) -> None:
        epoch = placed.catalogue.epoch
        memory: SenderMemory = self._memory
        catalogue = memory.catalogue = placed.catalogue
        lot = MappedPoints(catalogue.find(touched.series_id), touched.measured_us, touched.value)
        memory.recent = formed.recent and formed.recent.with_lot(
            lot, tick_us=catalogue.tick_us, received=received
        )
        memory.formed.note(formed.pool_id, formed.tick, epoch)
        for part, heads, spelling in self._spelled():
            series_id = placed.series_id[part]
            is_placed = (series_id > 0) & ~placed.was_remembered[part]
            heads.note(spelling[is_placed], series_id[is_placed], epoch)

    def _spelled(self) -> Iterator[tuple[slice, HeadMemory, IntArray]]:
        for push, part in zip(self._pushes, self._series_parts, strict=True):
            if push.heads is not None and push.points.spelling is not None:
                yield part, push.heads, push.points.spelling


_TOGETHER = ingest.Together(_take_all)
