"""Hints sent after commit: to browsers through Channels, to workers through Celery.

State lives in the database. A hint that is lost costs at most one turn of a loop, so failing to
send one is logged and never fails the transaction that it speaks of.
"""

import logging
from collections.abc import Mapping
from typing import Any

from asgiref.sync import async_to_sync
from celery import current_app
from channels.layers import get_channel_layer
from django.db import transaction
from kombu.exceptions import OperationalError as BrokerError
from redis.exceptions import RedisError

logger = logging.getLogger(__name__)


def publish(topic: str, payload: Mapping[str, Any] | None = None) -> None:
    """Send a hint to everybody subscribed to a topic, once the present transaction has committed.

    Args:
        topic: name of the Channels group, letters, digits, hyphens, full stops.
        payload: small JSON-able mapping; receivers read the state itself from the database.
    """
    message = {"type": "grid.event", "topic": topic, "payload": dict(payload or {})}
    transaction.on_commit(lambda: _send(topic, message))


def enqueue(task_name: str, **kwargs: object) -> None:
    """Ask for a background task by name, once the present transaction has committed."""
    transaction.on_commit(lambda: _send_task(task_name, kwargs))


def _send(topic: str, message: dict[str, Any]) -> None:
    layer = get_channel_layer()
    if layer is None:
        return
    try:
        async_to_sync(layer.group_send)(topic, message)
    except (RedisError, OSError):
        logger.warning("event.not_sent", extra={"topic": topic}, exc_info=True)


def _send_task(task_name: str, kwargs: dict[str, object]) -> None:
    try:
        current_app.send_task(task_name, kwargs=kwargs, retry=False)
    except (BrokerError, RedisError, OSError):
        logger.warning("task.not_sent", extra={"task": task_name}, exc_info=True)
