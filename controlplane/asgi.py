"""The ASGI entry: HTTP to Django, sockets to Channels."""

import os
from typing import cast

import django
from channels.routing import ProtocolTypeRouter, URLRouter
from django.conf import settings

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "controlplane.settings")
# Celery's application must be the current one before a service asks for work by name
from controlplane import celery as _celery  # noqa: F401
from controlplane.body_guard import Application, BodyGuard
from controlplane.overload import Gate, Limits
from controlplane.threaded import ThreadedHandler

django.setup(set_prefix=False)
http_application = ThreadedHandler()

from controlplane.auth.key_cache import known_keys  # noqa: E402
from controlplane.short_way import ReadingDesk, ShortWay  # noqa: E402
from dash_app.sockets import websocket_urlpatterns  # noqa: E402
from monitoring.urls import short_reads  # noqa: E402
from monitoring.watch import health  # noqa: E402

desk = ReadingDesk({f"/api/v1/{path}": read for path, read in short_reads.items()})

application = ProtocolTypeRouter(
    {
        "http": BodyGuard(
            ShortWay(cast("Application", http_application), desk),
            max_bytes=settings.DATA_UPLOAD_MAX_MEMORY_SIZE,
            keys=known_keys,
            gate=Gate(Limits(at_once=int(settings.INGEST_AT_ONCE))),
            note_shed=health.note_shed,
        ),
        "websocket": URLRouter(websocket_urlpatterns),
    }
)
