"""Turns forecasting's loops; each finds its work in the database, one instance at a time."""

from celery import shared_task

from controlplane.lib import clock
from controlplane.lib.loops import one_at_a_time
from forecasting import services

# one lock for both: the first run trains the first model, and two trainings would be one too many
_LOOP = "forecasting"


@shared_task(name="forecasting.tasks.refresh_if_due", soft_time_limit=280, time_limit=300)
def refresh_if_due() -> None:
    """Issue the run of the present grid hour if there is none."""
    with one_at_a_time(_LOOP) as is_mine:
        if is_mine:
            services.refresh_if_due(clock.now())


@shared_task(name="forecasting.tasks.train_if_due", soft_time_limit=280, time_limit=300)
def train_if_due() -> None:
    """Train a model if none was trained in the last 24 grid hours."""
    with one_at_a_time(_LOOP) as is_mine:
        if is_mine:
            services.train_if_due(clock.now())
