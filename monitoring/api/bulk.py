"""Answers the questions of a control room in bulk: columns as JSON or as an Arrow stream."""

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import orjson
import pyarrow as pa
from django.http import QueryDict

from controlplane.auth.permissions import NotAllowed
from controlplane.auth.questions import Answer, Question
from controlplane.auth.roles import Permission
from controlplane.auth.standing import Asker
from controlplane.lib import clock
from controlplane.lib.errors import ErrorKind, GridError, InvalidField
from monitoring import selectors
from monitoring.domain.columns import parse_time
from monitoring.domain.hour_matrix import MEASURES, columns_of, means, over_groups
from monitoring.domain.samples import FIELD_NAMES, FloatArray, IntArray, moment_of, to_us
from monitoring.formats.arrow import MEDIA_TYPE
from monitoring.selectors import Places, PoolSamples, SampleColumns

MOST_VALUES = 4_000_000
MOST_SAMPLES = 100_000
MOST_POOLS_NAMED = 10_000
SCOPES = ("pool", "site", "region", "provider", "grid")
_STEPS = {"1h": dt.timedelta(hours=1), "1d": dt.timedelta(days=1)}
_PLACE_FILTERS = ("region", "site", "provider")


class AnswerTooLarge(GridError):
    """The answer would hold more values than one request may ask for."""

    code = "answer-too-large"
    kind = ErrorKind.TOO_LARGE


def scope_of(asker: Asker) -> str:
    """Return "" for who sees all pools, a provider's code for who sees that provider's.

    Raises:
        NotAllowed: the asker sees none.
    """
    if asker.provider_code is not None:
        return asker.provider_code
    actor = asker.actor
    if actor is not None and actor.may(Permission.VIEW_GRID):
        return ""
    if actor is not None and actor.may(Permission.VIEW_OWN_POOLS) and actor.provider_code:
        return actor.provider_code
    raise NotAllowed("Your role does not read telemetry.")


def newest(question: Question) -> Answer:
    """Return the newest samples of the pools that the asker may see."""
    places = _visible_places(question)
    found = selectors.newest_columns(places.pool_id)
    codes = places.pool
    if len(found) < len(codes):
        codes = codes[np.isin(places.pool_id, found.pool_id)]
    columns = {"pool": codes, **_sample_body(found)}
    return _columns_answer(columns, {"as_of": clock.now().isoformat()}, question.accepts)


def samples(question: Question) -> Answer:
    """Return the samples of one pool, oldest first."""
    scope, query = scope_of(question.asker), question.query
    since, until = _times(query)
    code = query.get("pool", "").replace("\0", "")
    found = selectors.pool_samples(code, since, until, most=MOST_SAMPLES + 1)
    if found is None or not _is_wanted(found, scope, query):
        raise InvalidField("pool", "there is no pool of this name that you may see")
    if len(found.samples) > MOST_SAMPLES:
        raise AnswerTooLarge(f"More than {MOST_SAMPLES} samples; ask for a shorter time.")
    return _columns_answer(_sample_body(found.samples), {"pool": code}, question.accepts)


def hours(question: Question) -> Answer:
    """Return means of measures over steps of time."""
    query = question.query
    places, step = _visible_places(question), _choice(query, "step", tuple(_STEPS))
    measures = _measures(query)
    since, until = _whole_steps(*_times(query), _STEPS[step])
    steps = (until - since) // _STEPS[step]
    if len(places.pool_id) * ((until - since) // _STEPS["1h"]) * len(measures) > MOST_VALUES:
        raise AnswerTooLarge(f"More than {MOST_VALUES} values; ask for less time or fewer pools.")
    keys, group = _groups(query, places)
    find = _hourly if step == "1h" else _daily
    adds_up = _choice(query, "over", ("mean", "sum")) == "sum"
    found = {
        measure: find(_Asked(places.pool_id, since, until, measure), group, len(keys), adds_up)
        for measure in measures
    }
    head = {"from": since.isoformat(), "to": until.isoformat(), "step": step, "steps": steps}
    if question.accepts == MEDIA_TYPE:
        return _matrix_stream(keys, found, head)
    body = {**head, "keys": list(keys), "series": found}
    return Answer(orjson.dumps(body, option=orjson.OPT_SERIALIZE_NUMPY))


def _is_wanted(found: PoolSamples, scope: str, query: QueryDict) -> bool:
    if scope and found.provider != scope:
        return False
    return all(query.get(name) in (None, getattr(found, name)) for name in _PLACE_FILTERS)


def _visible_places(question: Question) -> Places:
    """Return the pools that the asker may see, narrowed to those asked for."""
    scope = scope_of(question.asker)
    found = selectors.places()
    if scope:
        found = found.where(found.provider == scope)
    for name in _PLACE_FILTERS:
        if (wanted := question.query.get(name)) is not None:
            found = found.where(getattr(found, name) == wanted)
    named = question.query.get("pools")
    return found if named is None else found.where(_is_named(found, named))


@dataclass(frozen=True)
class _Asked:
    pool_id: IntArray
    since: dt.datetime
    until: dt.datetime
    measure: str


def _groups(query: QueryDict, places: Places) -> tuple[list[str], IntArray | None]:
    """Return the keys of the answer's rows, and the row of each pool; None = each its own."""
    by = _choice(query, "by", SCOPES)
    if by == "pool":
        return places.pool.tolist(), None
    codes = np.full(len(places.pool), "grid", dtype=object) if by == "grid" else getattr(places, by)
    keys, group = np.unique(codes.astype(str), return_inverse=True)
    return keys.tolist(), group


def _hourly(asked: _Asked, group: IntArray | None, groups: int, adds_up: bool) -> FloatArray:  # noqa: FBT001
    span = asked.since, asked.until
    if group is None:
        return selectors.hour_means(asked.pool_id, *span, measure=asked.measure)
    return selectors.hour_group_means(
        asked.pool_id, group, *span, measure=asked.measure, groups=groups, adds_up=adds_up
    )


def _daily(asked: _Asked, group: IntArray | None, groups: int, adds_up: bool) -> FloatArray:  # noqa: FBT001
    names = columns_of([asked.measure])
    matrix = selectors.hour_matrix(asked.pool_id, asked.since, asked.until, names=names).by_day()
    values = means(matrix, asked.measure)[np.searchsorted(matrix.pool_id, asked.pool_id)]
    return values if group is None else over_groups(values, group, groups=groups, adds_up=adds_up)


def _is_named(places: Places, text: str) -> np.ndarray:
    named = text.split(",")
    if len(named) > MOST_POOLS_NAMED:
        raise InvalidField("pools", f"at most {MOST_POOLS_NAMED} can be named")
    return np.isin(places.pool.astype(str), named)


def _choice(query: QueryDict, name: str, choices: Sequence[str]) -> str:
    value = query.get(name, choices[0])
    if value not in choices:
        raise InvalidField(name, f"it must be one of {', '.join(choices)}")
    return str(value)


def _measures(query: QueryDict) -> list[str]:
    asked = query.get("measures", "demand").split(",")
    measures = list(dict.fromkeys(asked))
    if not set(measures) <= set(MEASURES):
        raise InvalidField("measures", f"they must be among {', '.join(MEASURES)}")
    return measures


def _times(query: QueryDict) -> tuple[dt.datetime, dt.datetime]:
    until = _time(query, "to") or clock.now()
    since = _time(query, "from") or until - _STEPS["1d"]
    if since >= until:
        raise InvalidField("from", "it must be before `to`")
    return since, until


def _time(query: QueryDict, name: str) -> dt.datetime | None:
    text = query.get(name)
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


def _sample_body(found: SampleColumns) -> dict[str, np.ndarray]:
    columns = {"measured_at": found.measured_us.view("datetime64[us]")}
    columns |= {name: found.values[name] for name in FIELD_NAMES}
    return columns | {"quality": found.quality, "quality_rule": found.quality_rule}


def _columns_answer(
    columns: Mapping[str, np.ndarray], head: Mapping[str, Any], content_type: str
) -> Answer:
    if content_type != MEDIA_TYPE:
        lists = {
            name: column.tolist() if column.dtype == object else column
            for name, column in columns.items()
        }
        options = orjson.OPT_SERIALIZE_NUMPY | orjson.OPT_NAIVE_UTC | orjson.OPT_UTC_Z
        return Answer(orjson.dumps({**head, "columns": lists}, option=options))
    arrays = {
        name: pa.array(column, pa.timestamp("us", tz="UTC"))
        if column.dtype.kind == "M"
        else pa.array(column, from_pandas=True)
        for name, column in columns.items()
    }
    return _stream(pa.table(arrays), head)


def _matrix_stream(
    keys: Sequence[str], found: Mapping[str, FloatArray], head: Mapping[str, Any]
) -> Answer:
    # one row for each key, its values a list of fixed length: nothing is copied value by value
    arrays = {"key": pa.array(keys, pa.string())}
    for measure, column in found.items():
        flat = pa.array(np.ascontiguousarray(column).reshape(-1), from_pandas=True)
        arrays[measure] = pa.FixedSizeListArray.from_arrays(flat, max(1, column.shape[1]))
    return _stream(pa.table(arrays), head)


def _stream(table: pa.Table, head: Mapping[str, Any]) -> Answer:
    table = table.replace_schema_metadata({name: str(value) for name, value in head.items()})
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return Answer(sink.getvalue().to_pybytes(), MEDIA_TYPE)
