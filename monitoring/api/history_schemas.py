"""Describes the bulk reads of telemetry for the OpenAPI document."""

import datetime as dt
from typing import Any

from drf_spectacular.utils import OpenApiParameter
from rest_framework import serializers

from monitoring.domain.hour_matrix import MEASURES

PLACE_PARAMETERS = (
    OpenApiParameter("pools", str, description="only these pools, separated by commas"),
    OpenApiParameter("region", str, description="only pools of this region"),
    OpenApiParameter("site", str, description="only pools of this site"),
    OpenApiParameter("provider", str, description="only pools of this provider"),
)
TIME_PARAMETERS = (
    OpenApiParameter(
        "from", dt.datetime, description="RFC 3339 with an offset; else a day before `to`"
    ),
    OpenApiParameter("to", dt.datetime, description="end, exclusive; else now"),
)
HOUR_PARAMETERS = (
    OpenApiParameter("measures", str, description=f"among {', '.join(MEASURES)}; else demand"),
    OpenApiParameter("step", str, enum=["1h", "1d"], description="days are of UTC"),
    OpenApiParameter("by", str, enum=["pool", "site", "region", "provider", "grid"]),
    OpenApiParameter("over", str, enum=["mean", "sum"], description="over the pools of a group"),
)


class SampleColumnsOut(serializers.Serializer[Any]):
    """Samples as columns of equal length; null = not reported."""

    as_of = serializers.DateTimeField(required=False)
    pool = serializers.CharField(required=False)
    columns = serializers.DictField(child=serializers.ListField())


class HoursOut(serializers.Serializer[Any]):
    """Means over steps of time: for each measure a list for each key, a value for each step."""

    to = serializers.DateTimeField(help_text="end, exclusive; `from` is the first step")
    step = serializers.ChoiceField(["1h", "1d"])
    steps = serializers.IntegerField()
    keys = serializers.ListField(child=serializers.CharField())
    series = serializers.DictField(child=serializers.ListField())
