"""Turns monitoring's loops; each finds its work in the database, one instance at a time."""

import logging

from celery import shared_task

from controlplane.lib import clock
from controlplane.lib.loops import one_at_a_time
from monitoring import services

logger = logging.getLogger(__name__)


@shared_task(name="monitoring.tasks.evaluate_alerts", soft_time_limit=20, time_limit=30)
def evaluate_alerts() -> None:
    """Look for silence and shortage once."""
    with one_at_a_time("monitoring.evaluate_alerts") as is_mine:
        if is_mine:
            services.evaluate_alerts(clock.now())


@shared_task(name="monitoring.tasks.tell_targets", soft_time_limit=45, time_limit=60)
def tell_targets() -> None:
    """Tell the webhooks' targets what they have not heard yet."""
    with one_at_a_time("monitoring.tell_targets") as is_mine:
        if is_mine:
            services.tell_targets(clock.wall_now())


@shared_task(name="monitoring.tasks.keep_partitions", soft_time_limit=60, time_limit=90)
def keep_partitions() -> None:
    """Make the partitions that will be needed, drop the expired ones and pack past days."""
    with one_at_a_time("monitoring.keep_partitions") as is_mine:
        if not is_mine:
            return
        made, dropped = services.keep_partitions(clock.now())
        services.pack_past_days(clock.now())
        services.forget_alerts(clock.now())
        services.forget_exemplars(clock.now())
    if made or dropped:
        logger.info("partitions.kept", extra={"made": made, "dropped": dropped})
