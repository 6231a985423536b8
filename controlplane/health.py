"""Says whether this process lives, and whether what it needs can be reached."""

from django.conf import settings
from django.core.cache import cache
from django.db import connection
from django.http import HttpRequest, HttpResponse, JsonResponse
from prometheus_client import CONTENT_TYPE_LATEST, REGISTRY, CollectorRegistry, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector
from redis.exceptions import RedisError

from controlplane.lib.problems import DATABASE_AWAY


def livez(request: HttpRequest) -> HttpResponse:
    """Answer 200 as long as the process turns; touches nothing else."""
    return HttpResponse("ok\n", content_type="text/plain")


def readyz(request: HttpRequest) -> JsonResponse:
    """Name each dependency and whether it answers; 503 when one does not."""
    states = {"database": _database(), "broker": _broker()}
    ready = all(state == "ok" for state in states.values())
    return JsonResponse({"ready": ready, **states}, status=200 if ready else 503)


def metrics(request: HttpRequest) -> HttpResponse:
    """Expose the metrics of all processes of this run to the machine itself only."""
    if request.META.get("REMOTE_ADDR") not in settings.METRICS_ADDRESSES:
        return HttpResponse("not public\n", status=403, content_type="text/plain")
    return HttpResponse(generate_latest(_registry()), content_type=CONTENT_TYPE_LATEST)


def _registry() -> CollectorRegistry:
    if not settings.METRICS_DIR:
        return REGISTRY
    # each process writes its figures into files there; whichever is asked adds them up
    registry = CollectorRegistry()
    MultiProcessCollector(registry, path=settings.METRICS_DIR)  # type: ignore[no-untyped-call]
    return registry


def _database() -> str:
    try:
        with connection.cursor() as cursor:
            cursor.execute("SHOW synchronous_commit")
            commit = cursor.fetchone()[0]
            cursor.execute("SHOW fsync")
            fsync = cursor.fetchone()[0]
    except DATABASE_AWAY:
        return "away"
    # an acknowledged sample must be on disk; a database that may lose it is not ready
    is_durable = (commit, fsync) == ("on", "on")
    return "ok" if is_durable or not settings.REQUIRE_DURABLE else "not-durable"


def _broker() -> str:
    if not settings.REDIS_URL:
        return "ok"
    try:
        cache.set("readyz", 1, 5)
    except (RedisError, OSError):
        return "away"
    return "ok"
