"""The schedule that turns the grid's loops, and how the broker is spoken to; needs no Django."""

from typing import Any

# name: (task, wall seconds between turns)
LOOPS = {
    "alerts": ("monitoring.tasks.evaluate_alerts", 5.0),
    "webhooks": ("monitoring.tasks.tell_targets", 5.0),
    "partitions": ("monitoring.tasks.keep_partitions", 60.0),
    "forecasts": ("forecasting.tasks.refresh_if_due", 5.0),
    "training": ("forecasting.tasks.train_if_due", 20.0),
    "planning": ("scheduling.tasks.plan_if_due", 5.0),
    "plans": ("scheduling.tasks.advance_plans", 2.0),
    "what-ifs": ("scheduling.tasks.answer_what_ifs", 2.0),
}
COMPUTE = (
    "forecasting.tasks.*",
    "scheduling.tasks.plan_if_due",
    "scheduling.tasks.answer_what_ifs",
)


def celery_settings() -> dict[str, Any]:
    """Return the settings that the worker's and beat's applications share."""
    return {
        "task_ignore_result": True,
        "task_acks_late": True,
        "task_default_queue": "control",
        "task_routes": {pattern: {"queue": "compute"} for pattern in COMPUTE},
        "worker_prefetch_multiplier": 1,
        "worker_hijack_root_logger": False,
        "worker_max_tasks_per_child": 2000,
        "broker_connection_retry_on_startup": True,
        "broker_transport_options": {
            "visibility_timeout": 180,
            "unacked_restore_interval": 5,
            "unacked_restore_throttle": 1,
            "socket_timeout": 5,
            "socket_connect_timeout": 2,
        },
        "beat_schedule": {
            name: {
                "task": task,
                "schedule": every_s,
                # a turn that nobody took in time is not worth taking later
                "options": {"expires": max(every_s, 5.0)},
            }
            for name, (task, every_s) in LOOPS.items()
        },
    }
