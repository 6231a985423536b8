"""Answers the questions of a control room in bulk: columns as JSON or as an Arrow stream."""

import datetime as dt
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import orjson
import pyarrow as pa
from django.http import HttpResponse
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.permissions import BasePermission
from rest_framework.renderers import BaseRenderer, JSONRenderer
from rest_framework.request import Request
from rest_framework.serializers import Serializer
from rest_framework.views import APIView

from controlplane.auth.authentication import ProviderSender, actor_of
from controlplane.auth.roles import Permission
from controlplane.lib import clock
from controlplane.lib.errors import ErrorKind, GridError, InvalidField
from controlplane.lib.problems import CONTENT_TYPE
from monitoring import selectors
from monitoring.api import schemas
from monitoring.api.history_schemas import (
    HOUR_PARAMETERS,
    PLACE_PARAMETERS,
    TIME_PARAMETERS,
    HoursOut,
    SampleColumnsOut,
)
from monitoring.domain.columns import parse_time
from monitoring.domain.hour_matrix import MEASURES, HourMatrix, columns_of, means, over_groups
from monitoring.domain.samples import FIELD_NAMES, FloatArray, moment_of, to_us
from monitoring.formats.arrow import MEDIA_TYPE
from monitoring.selectors import Places, SampleColumns

MOST_VALUES = 4_000_000
MOST_SAMPLES = 100_000
MOST_POOLS_NAMED = 10_000
_STEPS = {"1h": dt.timedelta(hours=1), "1d": dt.timedelta(days=1)}
_SCOPES = ("pool", "site", "region", "provider", "grid")
_PROBLEMS = {(code, CONTENT_TYPE): schemas.ProblemOut for code in (400, 401, 403, 413)}


def _either(shape: type[Serializer[Any]]) -> dict[Any, Any]:
    return {(200, "application/json"): shape, (200, MEDIA_TYPE): bytes}


class AnswerTooLarge(GridError):
    """The answer would hold more values than one request may ask for."""

    code = "answer-too-large"
    kind = ErrorKind.TOO_LARGE


class ArrowRenderer(BaseRenderer):
    """Lets a request ask for an Arrow stream; the views write it themselves."""

    media_type = MEDIA_TYPE
    format = "arrow"
    charset = None

    def render(self, data: Any, *_: Any, **__: Any) -> bytes:
        """Return an error's body; an answer never comes here."""
        return orjson.dumps(data)


class MayReadTelemetry(BasePermission):
    """People who see the grid; a provider, by key or as a person, for its own pools."""

    message = "Your role does not read telemetry."

    def has_permission(self, request: Request, view: Any) -> bool:
        """Whether the sender may read any telemetry; the view remembers which."""
        view.only_provider = _may_read(request.user)
        return view.only_provider is not None


class BulkView(APIView):
    """What the bulk reads have in common."""

    permission_classes = (MayReadTelemetry,)
    renderer_classes = (JSONRenderer, ArrowRenderer)
    only_provider: str | None = None

    def visible_places(self) -> Places:
        """Return the pools that the sender may see, narrowed to those asked for."""
        found = selectors.places()
        if self.only_provider:
            found = found.where(found.provider == self.only_provider)
        for name in ("region", "site", "provider"):
            wanted = self.request.query_params.get(name)
            if wanted is not None:
                found = found.where(getattr(found, name) == wanted)
        named = self.request.query_params.get("pools")
        return found if named is None else found.where(_is_named(found, named))

    @property
    def wants_arrow(self) -> bool:
        """Whether the sender asked for an Arrow stream."""
        return bool(self.request.accepted_renderer.media_type == MEDIA_TYPE)


class NewestView(BulkView):
    """`GET /api/v1/telemetry/newest`."""

    @extend_schema(
        operation_id="telemetry_newest",
        summary="Read the newest sample of every pool",
        description="Columns in order of the pools' codes; a pool that never reported is left out.",
        parameters=[*PLACE_PARAMETERS],
        responses={**_either(SampleColumnsOut), **_PROBLEMS},
    )
    def get(self, request: Request) -> HttpResponse:
        """Return the newest samples of the pools that the sender may see."""
        places = self.visible_places()
        found = selectors.newest_columns(places.pool_id)
        if len(found) == 0:
            places = places.where(np.zeros(len(places.pool_id), bool))
        order = np.argsort(found.pool_id)
        at = order[
            np.searchsorted(found.pool_id, places.pool_id, sorter=order) % max(1, len(found))
        ]
        is_known = found.pool_id[at] == places.pool_id
        columns = {"pool": places.pool[is_known], **_sample_body(found, at[is_known])}
        head = {"as_of": clock.now().isoformat()}
        return _answer(columns, head, as_arrow=self.wants_arrow)


class SamplesView(BulkView):
    """`GET /api/v1/telemetry/samples`."""

    @extend_schema(
        operation_id="telemetry_samples",
        summary="Read a pool's samples as columns",
        parameters=[
            OpenApiParameter("pool", str, required=True),
            *TIME_PARAMETERS,
        ],
        responses={**_either(SampleColumnsOut), **_PROBLEMS},
    )
    def get(self, request: Request) -> HttpResponse:
        """Return the samples of one pool, oldest first."""
        places = self.visible_places()
        code = request.query_params.get("pool", "")
        chosen = places.pool_id[places.pool == code]
        if len(chosen) != 1:
            raise InvalidField("pool", "there is no pool of this name that you may see")
        since, until = _times(request)
        found = selectors.sample_columns(int(chosen[0]), since, until, most=MOST_SAMPLES + 1)
        if len(found) > MOST_SAMPLES:
            raise AnswerTooLarge(f"More than {MOST_SAMPLES} samples; ask for a shorter time.")
        return _answer(_sample_body(found), {"pool": code}, as_arrow=self.wants_arrow)


class HoursView(BulkView):
    """`GET /api/v1/telemetry/hours`."""

    @extend_schema(
        operation_id="telemetry_hours",
        summary="Read hourly or daily means of many pools",
        description=(
            "One array for each pool or group, a value for each step: the mean over the good "
            "samples of the step; null where there is none. `by` puts pools together, and `over` "
            "says whether their means are averaged or added up."
        ),
        parameters=[*PLACE_PARAMETERS, *TIME_PARAMETERS, *HOUR_PARAMETERS],
        responses={**_either(HoursOut), **_PROBLEMS},
    )
    def get(self, request: Request) -> HttpResponse:
        """Return means of measures over steps of time."""
        places, step = self.visible_places(), _choice(request, "step", tuple(_STEPS))
        measures = _measures(request)
        since, until = _whole_steps(*_times(request), _STEPS[step])
        steps = (until - since) // _STEPS[step]
        if len(places.pool_id) * ((until - since) // _STEPS["1h"]) * len(measures) > MOST_VALUES:
            raise AnswerTooLarge(
                f"More than {MOST_VALUES} values; ask for less time or fewer pools."
            )
        matrix = selectors.hour_matrix(places.pool_id, since, until, names=columns_of(measures))
        matrix = matrix.by_day() if step == "1d" else matrix
        keys, found = _grouped(request, places, matrix, measures)
        head = {"from": since.isoformat(), "to": until.isoformat(), "step": step, "steps": steps}
        if self.wants_arrow:
            return _matrix_stream(keys, found, head)
        body = orjson.dumps(
            {**head, "keys": list(keys), "series": found}, option=orjson.OPT_SERIALIZE_NUMPY
        )
        return HttpResponse(body, content_type="application/json")


def _grouped(
    request: Request, places: Places, matrix: HourMatrix, measures: Sequence[str]
) -> tuple[Sequence[str], dict[str, FloatArray]]:
    by = _choice(request, "by", _SCOPES)
    adds_up = _choice(request, "over", ("mean", "sum")) == "sum"
    order = np.searchsorted(matrix.pool_id, places.pool_id)
    values = {measure: means(matrix, measure)[order] for measure in measures}
    if by == "pool":
        return places.pool.tolist(), values
    codes = np.full(len(places.pool), "grid", dtype=object) if by == "grid" else getattr(places, by)
    keys, group = np.unique(codes.astype(str), return_inverse=True)
    return keys.tolist(), {
        measure: over_groups(column, group, groups=len(keys), adds_up=adds_up)
        for measure, column in values.items()
    }


def _may_read(user: Any) -> str | None:
    """Return "" for who sees all, a provider's code for who sees its pools, None for others."""
    if isinstance(user, ProviderSender):
        return user.provider_code
    actor = actor_of(user)
    if actor is None:
        return None
    if actor.may(Permission.VIEW_GRID):
        return ""
    return actor.provider_code if actor.may(Permission.VIEW_OWN_POOLS) else None


def _is_named(places: Places, text: str) -> np.ndarray:
    named = text.split(",")
    if len(named) > MOST_POOLS_NAMED:
        raise InvalidField("pools", f"at most {MOST_POOLS_NAMED} can be named")
    return np.isin(places.pool.astype(str), named)


def _choice(request: Request, name: str, choices: Sequence[str]) -> str:
    value: str = request.query_params.get(name, choices[0])
    if value not in choices:
        raise InvalidField(name, f"it must be one of {', '.join(choices)}")
    return value


def _measures(request: Request) -> list[str]:
    asked = request.query_params.get("measures", "demand").split(",")
    measures = list(dict.fromkeys(asked))
    if not set(measures) <= set(MEASURES):
        raise InvalidField("measures", f"they must be among {', '.join(MEASURES)}")
    return measures


def _times(request: Request) -> tuple[dt.datetime, dt.datetime]:
    until = _time(request, "to") or clock.now()
    since = _time(request, "from") or until - _STEPS["1d"]
    if since >= until:
        raise InvalidField("from", "it must be before `to`")
    return since, until


def _time(request: Request, name: str) -> dt.datetime | None:
    text = request.query_params.get(name)
    if text is None:
        return None
    # a plus sign in a query that was not escaped arrives as a space
    moment = parse_time(text.strip().replace(" ", "+") if "T" in text.upper() else text)
    if moment is None:
        raise InvalidField(name, "it must be an RFC 3339 time with an offset")
    return moment


def _whole_steps(
    since: dt.datetime, until: dt.datetime, step: dt.timedelta
) -> tuple[dt.datetime, dt.datetime]:
    step_us = step // dt.timedelta(microseconds=1)
    return moment_of(to_us(since) // step_us * step_us), moment_of(
        -(-to_us(until) // step_us) * step_us
    )


def _sample_body(
    found: SampleColumns, chosen: np.ndarray | slice = slice(None)
) -> dict[str, np.ndarray]:
    columns = {"measured_at": found.measured_us[chosen].view("datetime64[us]")}
    columns |= {name: found.values[name][chosen] for name in FIELD_NAMES}
    return columns | {"quality": found.quality[chosen], "quality_rule": found.quality_rule[chosen]}


def _answer(
    columns: Mapping[str, np.ndarray], head: Mapping[str, Any], *, as_arrow: bool
) -> HttpResponse:
    if not as_arrow:
        lists = {
            name: column.tolist() if column.dtype == object else column
            for name, column in columns.items()
        }
        body = orjson.dumps(
            {**head, "columns": lists},
            option=orjson.OPT_SERIALIZE_NUMPY | orjson.OPT_NAIVE_UTC | orjson.OPT_UTC_Z,
        )
        return HttpResponse(body, content_type="application/json")
    arrays = {
        name: pa.array(column, pa.timestamp("us", tz="UTC"))
        if column.dtype.kind == "M"
        else pa.array(column, from_pandas=True)
        for name, column in columns.items()
    }
    return _stream(pa.table(arrays), head)


def _matrix_stream(
    keys: Sequence[str], found: Mapping[str, FloatArray], head: Mapping[str, Any]
) -> HttpResponse:
    # one row for each key, its values a list of fixed length: nothing is copied value by value
    arrays = {"key": pa.array(keys, pa.string())}
    for measure, column in found.items():
        flat = pa.array(np.ascontiguousarray(column).reshape(-1), from_pandas=True)
        arrays[measure] = pa.FixedSizeListArray.from_arrays(flat, max(1, column.shape[1]))
    return _stream(pa.table(arrays), head)


def _stream(table: pa.Table, head: Mapping[str, Any]) -> HttpResponse:
    table = table.replace_schema_metadata({name: str(value) for name, value in head.items()})
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return HttpResponse(sink.getvalue().to_pybytes(), content_type=MEDIA_TYPE)
