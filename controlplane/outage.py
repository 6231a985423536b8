"""Says that the database is away where a page would have failed, and lets the browser try again."""

from collections.abc import Callable

from django.http import HttpRequest, HttpResponse

from controlplane.lib.problems import DATABASE_AWAY, problem_response, retry_after_s

_DETAIL = "The database cannot be reached just now; try again in a moment."
_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta http-equiv="refresh" content="{wait_s}">
<title>Tiaodu</title></head><body>
<p lang="zh-Hans">数据库暂时无法访问，本页会自动重试。</p>
<p>The database cannot be reached just now. This page tries again by itself.</p>
</body></html>
"""


class OutageMiddleware:
    """Turns what a view raises while the database is away into 503 with Retry-After."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Pass the request on."""
        return self._get_response(request)

    def process_exception(self, request: HttpRequest, exception: Exception) -> HttpResponse | None:
        """Answer for a view that could not reach the database; leave all else to Django."""
        if not isinstance(exception, DATABASE_AWAY):
            return None
        if "text/html" not in request.headers.get("Accept", ""):
            return problem_response(503, "database-away", _DETAIL)
        wait_s = str(retry_after_s())
        response = HttpResponse(_PAGE.format(wait_s=wait_s), status=503)
        response["Retry-After"] = wait_s
        response["Cache-Control"] = "no-store"
        return response
