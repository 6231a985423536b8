"""The ASGI entry: HTTP to Django, sockets to Channels."""

import os
from typing import cast

from channels.routing import ProtocolTypeRouter, URLRouter
from django.conf import settings
from django.core.asgi import get_asgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "controlplane.settings")
# Celery's application must be the current one before a service asks for work by name
from controlplane import celery as _celery  # noqa: F401
from controlplane.body_guard import Application, BodyGuard

http_application = get_asgi_application()

from dash_app.sockets import websocket_urlpatterns  # noqa: E402

application = ProtocolTypeRouter(
    {
        "http": BodyGuard(
            cast("Application", http_application), max_bytes=settings.DATA_UPLOAD_MAX_MEMORY_SIZE
        ),
        "websocket": URLRouter(websocket_urlpatterns),
    }
)
