"""Forgets exemplars that are as old as points that are gone."""

import datetime as dt

from django.conf import settings

from monitoring.models import ExemplarRing


def forget_exemplars(now: dt.datetime) -> int:
    """Delete the exemplars of series whose newest one is past its retention.

    Args:
        now: present grid time.

    Returns:
        Of how many series.
    """
    limit = now - dt.timedelta(days=settings.RETENTION_DAYS)
    return ExemplarRing.objects.filter(newest_at__lt=limit).delete()[0]
