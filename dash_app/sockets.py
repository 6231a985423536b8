"""Mounts the control room's websockets."""

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from channels.db import DatabaseSyncToAsync, database_sync_to_async
from channels.layers import get_channel_layer
from channels.security.websocket import WebsocketDenier
from django.conf import settings
from django.urls import path, re_path

from controlplane.lib import clock
from dash_app.access import entry_of_session
from dash_app.consumers import GridConsumer
from dash_app.feed import build_frame
from dash_app.hub import FrameHub
from dash_app.origin import SameOriginOnly

# one thread: a frame that is slow to build must delay the next one, not pile up beside it
_frame_thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="frame")


def _build_frame_now() -> Mapping[str, Any]:
    return build_frame(now=clock.now(), wall_now=clock.wall_now())


hub = FrameHub(
    build=DatabaseSyncToAsync(_build_frame_now, thread_sensitive=False, executor=_frame_thread),
    get_layer=get_channel_layer,
)

websocket_urlpatterns = [
    path(
        "ws/grid/",
        SameOriginOnly(
            GridConsumer.as_asgi(
                hub=hub,
                entry_of_session=database_sync_to_async(entry_of_session),
                session_cookie=settings.SESSION_COOKIE_NAME,
            ),
            allowed_hosts=settings.ALLOWED_HOSTS,
            trusted_origins=settings.CSRF_TRUSTED_ORIGINS,
        ),
    ),
    # an unknown address is refused like a foreign origin; without this the router raises
    re_path(r"^", WebsocketDenier.as_asgi()),
]
