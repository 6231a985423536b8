"""Answers what regions, sites and pools look like now, as JSON."""

from dataclasses import asdict
from typing import Any

import orjson
from django.http import Http404

from controlplane.auth.permissions import MayViewGrid, NotAllowed
from controlplane.auth.questions import JSON, Answer, Question
from controlplane.auth.roles import Permission
from controlplane.lib import clock
from controlplane.lib.errors import ErrorKind, GridError
from monitoring import selectors
from monitoring.api.shapes import pool_load, region_load
from monitoring.domain.inventory import PoolInfo
from monitoring.domain.readings import PoolReading


class NotAcceptable(GridError):
    """The answer exists as JSON only."""

    code = "not-acceptable"
    kind = ErrorKind.UNSUPPORTED_FORMAT


def regions(question: Question) -> Answer:
    """Return every region with its load, those without pools among them."""
    _check(question)
    now = clock.now()
    loads = {reading.region: region_load(reading) for reading in selectors.region_states(now)}
    shown = [{**asdict(info), "now": loads[info.code]} for info in selectors.regions()]
    return _answer({"as_of": now, "regions": shown})


def sites(question: Question) -> Answer:
    """Return every site."""
    _check(question)
    return _answer({"sites": [asdict(info) for info in selectors.sites()]})


def pools(question: Question) -> Answer:
    """Return every pool with its load, or those of a region or a provider."""
    _check(question)
    now = clock.now()
    wanted = {name: question.query.get(name) for name in ("region", "provider")}
    readings = {reading.pool: reading for reading in selectors.pool_states(now)}
    shown = [
        _pool_body(info, readings[info.code])
        for info in selectors.pools()
        if info.code in readings
        and all(value in (None, getattr(info, name)) for name, value in wanted.items())
    ]
    return _answer({"as_of": now, "pools": shown})


def pool(question: Question) -> Answer:
    """Return one pool with its load."""
    _check(question)
    info = selectors.pool_of(question.about)
    readings = selectors.pool_states(clock.now(), pool_code=question.about)
    if info is None or not readings:
        raise Http404
    return _answer(_pool_body(info, readings[0]))


def _check(question: Question) -> None:
    actor = question.asker.actor
    if actor is None or not actor.may(Permission.VIEW_GRID):
        raise NotAllowed(MayViewGrid.message)
    if question.accepts != JSON:
        raise NotAcceptable("This is answered as JSON only.")


def _pool_body(info: PoolInfo, reading: PoolReading) -> dict[str, Any]:
    body = asdict(info)
    # where an engine listens is nobody's business but the dispatcher's
    for name in ("id", "engine_url", "energy_zone"):
        del body[name]
    return {**body, "now": pool_load(reading)}


def _answer(body: dict[str, Any]) -> Answer:
    return Answer(orjson.dumps(body, option=orjson.OPT_UTC_Z))
