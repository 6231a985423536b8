"""Celery's application: the schedule that turns the grid's loops.

Every loop finds its work in the database; the schedule only gives time. A tick that was lost, or
that came twice, changes nothing but the moment at which the work is found.
"""

import os

from celery import Celery

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "controlplane.settings")

app = Celery("tiaodu")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.conf.update(
    task_ignore_result=True,
    task_acks_late=True,
    task_default_queue="control",
    worker_prefetch_multiplier=1,
    worker_hijack_root_logger=False,
    worker_max_tasks_per_child=2000,
    broker_connection_retry_on_startup=True,
    broker_transport_options={
        "visibility_timeout": 120,
        "unacked_restore_interval": 5,
        "unacked_restore_throttle": 1,
        "socket_timeout": 5,
        "socket_connect_timeout": 2,
    },
    task_routes={
        "forecasting.tasks.*": {"queue": "compute"},
        "scheduling.tasks.plan_if_due": {"queue": "compute"},
    },
    beat_schedule={
        name: {"task": task, "schedule": every_s, "options": {"expires": max(every_s, 5.0)}}
        for name, task, every_s in (
            ("alerts", "monitoring.tasks.evaluate_alerts", 5.0),
            ("partitions", "monitoring.tasks.keep_partitions", 60.0),
            ("forecasts", "forecasting.tasks.refresh_if_due", 5.0),
            ("training", "forecasting.tasks.train_if_due", 20.0),
            ("planning", "scheduling.tasks.plan_if_due", 5.0),
            ("plans", "scheduling.tasks.advance_plans", 2.0),
        )
    },
)
app.autodiscover_tasks(["monitoring", "forecasting", "scheduling"])
