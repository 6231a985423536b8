"""Runs Django whole in one thread for each request, instead of hopping for each middleware."""

from asgiref.sync import sync_to_async
from django.core.handlers.asgi import ASGIHandler
from django.http import HttpRequest
from django.http.response import HttpResponseBase


class ThreadedHandler(ASGIHandler):
    """Django's ASGI handler with the middleware chain in its synchronous form.

    All our views are synchronous. In the asynchronous form each middleware goes to a thread and
    back twice, which costs several times what the middleware does.
    """

    def load_middleware(self, is_async: bool = False) -> None:  # noqa: ARG002, FBT001, FBT002
        """Build the chain in its synchronous form."""
        super().load_middleware(is_async=False)

    async def get_response_async(self, request: HttpRequest) -> HttpResponseBase:
        """Answer a request in its thread."""
        return await sync_to_async(self.get_response, thread_sensitive=True)(request)
