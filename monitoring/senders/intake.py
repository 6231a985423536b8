"""Takes one request's points, all of it in one transaction."""

import datetime as dt

import numpy as np
from django.db import IntegrityError, transaction

from monitoring import ingest, services
from monitoring.domain.points import (
    FAULTS,
    NO_FAULT,
    PointFault,
    PointReport,
    Points,
    judge_times,
    report_on,
)
from monitoring.domain.samples import Window
from monitoring.senders.narrow import store_points
from monitoring.senders.rows import form_rows
from monitoring.senders.rules import lock_sender, mapping_of
from monitoring.senders.series import place_series


def take_points(
    points: Points, *, provider_code: str, now: dt.datetime, window: Window
) -> PointReport:
    """Judge and store what a standard sender pushed; returns only after the commit.

    Every point that is taken is stored once under its series and time; sending it again changes
    nothing, another value for them is a conflict. From the points of mapped series wide rows are
    made as soon as a tick is complete.

    Args:
        points: read but not judged.
        provider_code: the sender.
        now: present grid time.
        window: times that are taken.

    Returns:
        What became of each of the sender's items.
    """
    with ingest.SECONDS.time():
        report = _take(points, provider_code, now=now, window=window)
    ingest.count_outcomes(provider_code, report)
    return report


def _take(points: Points, provider_code: str, *, now: dt.datetime, window: Window) -> PointReport:
    try:
        return _take_once(points, provider_code, now=now, window=window)
    except IntegrityError as error:
        if not ingest.is_missing_partition(error):
            raise
    # the loop that makes partitions ahead has not run for weeks of grid time: heal and go on
    services.keep_partitions(now, since=window.oldest, until=window.newest)
    return _take_once(points, provider_code, now=now, window=window)


@transaction.atomic
def _take_once(
    points: Points, provider_code: str, *, now: dt.datetime, window: Window
) -> PointReport:
    # one after the other: each must see the points that those before it have stored
    lock_sender(provider_code)
    mapping = mapping_of(provider_code)
    fault = judge_times(points, window)
    is_wanted = np.zeros(len(points.series), bool)
    is_wanted[points.series_of[fault == NO_FAULT]] = True
    placed = place_series(points.series, is_wanted, mapping, now=now)
    fault = np.where(fault == NO_FAULT, placed.fault[points.series_of], fault)

    taken = np.flatnonzero(fault == NO_FAULT)
    series_id = placed.series_id[points.series_of[taken]]
    is_new, is_conflict = store_points(series_id, points.measured_us[taken], points.value[taken])
    fault[taken[is_conflict]] = FAULTS.index(PointFault.CONFLICT)
    accepted = np.zeros(len(points), bool)
    accepted[taken[is_new]] = True

    pool_id = placed.pool_id[points.series_of]
    feeds = accepted & (pool_id != 0)
    touched = zip(pool_id[feeds].tolist(), points.measured_us[feeds].tolist(), strict=True)
    form_rows(list(touched), mapping, now=now, window=window)
    report = report_on(points, fault, accepted)
    ingest.account_for(provider_code, report, now)
    return report
