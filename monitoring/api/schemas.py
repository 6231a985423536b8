"""Describes monitoring's requests and answers, for the OpenAPI document and for rendering."""

from typing import Any

from drf_spectacular.utils import OpenApiExample
from rest_framework import serializers

from controlplane.lib.problems import problem


class SampleIn(serializers.Serializer[Any]):
    """One sample; read by the strict decoder, described here."""

    pool = serializers.CharField()
    measured_at = serializers.DateTimeField(help_text="RFC 3339 with an offset")
    capacity = serializers.FloatField(min_value=0, max_value=1e9)
    allocated = serializers.FloatField(min_value=0, max_value=1e9)
    queued = serializers.FloatField(min_value=0, max_value=1e9)
    unavailable = serializers.FloatField(required=False, allow_null=True, min_value=0)
    power_kw = serializers.FloatField(required=False, allow_null=True, min_value=0)
    price_per_unit_h = serializers.FloatField(
        required=False, allow_null=True, help_text="USD; may be negative"
    )
    carbon_g_per_kwh = serializers.FloatField(required=False, allow_null=True, min_value=0)


class TelemetryIn(serializers.Serializer[Any]):
    """Either `samples` (rows) or `columns` (each field an array), not both."""

    samples = SampleIn(many=True, required=False)
    columns = serializers.DictField(child=serializers.ListField(), required=False)


class SampleErrorOut(serializers.Serializer[Any]):
    """Why one sample was not stored."""

    index = serializers.IntegerField()
    field = serializers.CharField(allow_blank=True)
    code = serializers.CharField()
    reason = serializers.CharField()


class ReportOut(serializers.Serializer[Any]):
    """What became of each sample: received = accepted + duplicate + conflict + rejected."""

    received = serializers.IntegerField()
    accepted = serializers.IntegerField()
    duplicate = serializers.IntegerField()
    conflict = serializers.IntegerField()
    rejected = serializers.IntegerField()
    errors = SampleErrorOut(  # type: ignore[assignment]
        many=True, help_text="the first 100 by index"
    )
    errors_total = serializers.IntegerField()


class ProblemOut(serializers.Serializer[Any]):
    """An RFC 9457 problem."""

    type = serializers.CharField()
    title = serializers.CharField()
    status = serializers.IntegerField()
    code = serializers.CharField(help_text="stable; programs branch on this")
    detail = serializers.CharField()


class ReportProblemOut(ProblemOut, ReportOut):
    """A problem with the account of the batch in it; absent when the body was no batch."""


class PointErrorOut(serializers.Serializer[Any]):
    """Why one of the sender's items was not stored."""

    index = serializers.IntegerField()
    series = serializers.CharField(allow_blank=True, help_text="metric name")
    code = serializers.CharField()
    reason = serializers.CharField()


class PointProblemOut(ProblemOut):
    """A problem with the account of a write request in it; absent when the body was none."""

    received = serializers.IntegerField(required=False)
    accepted = serializers.IntegerField(required=False)
    duplicate = serializers.IntegerField(required=False)
    conflict = serializers.IntegerField(required=False)
    rejected = serializers.IntegerField(required=False)
    samples_written = serializers.IntegerField(required=False)
    histograms_written = serializers.IntegerField(required=False)
    exemplars_written = serializers.IntegerField(required=False)
    errors = PointErrorOut(  # type: ignore[assignment]
        many=True, required=False, help_text="the first 100"
    )
    errors_total = serializers.IntegerField(required=False)


class OtlpIn(serializers.Serializer[Any]):
    """An ExportMetricsServiceRequest in JSON."""

    resourceMetrics = serializers.ListField(child=serializers.DictField())  # noqa: N815


class OtlpPartialOut(serializers.Serializer[Any]):
    """What was refused."""

    rejectedDataPoints = serializers.CharField(help_text="a number, as text")  # noqa: N815
    errorMessage = serializers.CharField()  # noqa: N815


class OtlpOut(serializers.Serializer[Any]):
    """An ExportMetricsServiceResponse; empty when everything is stored."""

    partialSuccess = OtlpPartialOut(required=False)  # noqa: N815


class OtlpStatusOut(serializers.Serializer[Any]):
    """A google.rpc.Status."""

    message = serializers.CharField()


class LoadOut(serializers.Serializer[Any]):
    """Supply and demand now; null = unknown, never zero."""

    capacity = serializers.FloatField(allow_null=True)
    allocated = serializers.FloatField(allow_null=True)
    queued = serializers.FloatField(allow_null=True)
    demand = serializers.FloatField(allow_null=True)
    headroom = serializers.FloatField(allow_null=True)
    utilization = serializers.FloatField(allow_null=True)
    unmet = serializers.FloatField(allow_null=True)
    price_per_unit_h = serializers.FloatField(allow_null=True)
    carbon_g_per_kwh = serializers.FloatField(allow_null=True)
    age_s = serializers.FloatField(allow_null=True)
    quality = serializers.ChoiceField(choices=["good", "suspect", "stale", "unknown"])


class RegionLoadOut(LoadOut):
    """A region's load: over its known pools."""

    pools = serializers.IntegerField()
    known_pools = serializers.IntegerField()


class PoolLoadOut(LoadOut):
    """A pool's load: its newest sample, as long as that is fresh."""

    measured_at = serializers.DateTimeField(allow_null=True)
    unavailable = serializers.FloatField(allow_null=True)
    power_kw = serializers.FloatField(allow_null=True)
    quality_rule = serializers.CharField(allow_blank=True)


class RegionOut(serializers.Serializer[Any]):
    """A region and its load."""

    code = serializers.CharField()
    name_zh = serializers.CharField()
    name_en = serializers.CharField()
    lat = serializers.FloatField()
    lon = serializers.FloatField()
    jurisdiction = serializers.CharField()
    carbon_g_per_kwh = serializers.FloatField(allow_null=True, help_text="yearly constant")
    carbon_basis = serializers.CharField(allow_blank=True)
    now = RegionLoadOut()


class SiteOut(serializers.Serializer[Any]):
    """A site."""

    code = serializers.CharField()
    name_zh = serializers.CharField()
    name_en = serializers.CharField()
    provider = serializers.CharField()
    region = serializers.CharField()
    lat = serializers.FloatField()
    lon = serializers.FloatField()
    is_hub = serializers.BooleanField()
    hub_zh = serializers.CharField(allow_blank=True)
    hub_en = serializers.CharField(allow_blank=True)
    pue = serializers.FloatField()
    energy_zone = serializers.CharField(allow_blank=True, help_text="a stand-in")


class PoolOut(serializers.Serializer[Any]):
    """A pool and its load."""

    code = serializers.CharField()
    site = serializers.CharField()
    region = serializers.CharField()
    provider = serializers.CharField()
    jurisdiction = serializers.CharField()
    unit = serializers.CharField()
    installed = serializers.FloatField()
    contract = serializers.FloatField()
    reserve = serializers.FloatField()
    kw_per_unit = serializers.FloatField()
    pue = serializers.FloatField()
    lat = serializers.FloatField()
    lon = serializers.FloatField()
    engine = serializers.CharField()
    stale_after_s = serializers.FloatField()
    now = PoolLoadOut()


class SampleOut(serializers.Serializer[Any]):
    """A stored sample."""

    measured_at = serializers.DateTimeField()
    received_at = serializers.DateTimeField()
    capacity = serializers.FloatField()
    allocated = serializers.FloatField()
    queued = serializers.FloatField()
    unavailable = serializers.FloatField(allow_null=True)
    power_kw = serializers.FloatField(allow_null=True)
    price_per_unit_h = serializers.FloatField(allow_null=True)
    carbon_g_per_kwh = serializers.FloatField(allow_null=True)
    quality = serializers.CharField()
    quality_rule = serializers.CharField(allow_blank=True)
    source = serializers.CharField()  # type: ignore[assignment]


class TallyOut(serializers.Serializer[Any]):
    """What became of every sample that the provider ever sent."""

    received = serializers.IntegerField()
    accepted = serializers.IntegerField()
    duplicate = serializers.IntegerField()
    conflict = serializers.IntegerField()
    rejected = serializers.IntegerField()
    shed = serializers.IntegerField(help_text="requests turned away unread; each counts as one")
    rejected_by_reason = serializers.DictField(child=serializers.IntegerField())
    last_batch_at = serializers.DateTimeField(allow_null=True)


class OwnPoolOut(PoolLoadOut):
    """One of the provider's own pools, as the grid knows it."""

    pool = serializers.CharField()


class RegionListOut(serializers.Serializer[Any]):
    """All regions."""

    as_of = serializers.DateTimeField()
    regions = RegionOut(many=True)


class SiteListOut(serializers.Serializer[Any]):
    """All sites."""

    sites = SiteOut(many=True)


class PoolListOut(serializers.Serializer[Any]):
    """Pools."""

    as_of = serializers.DateTimeField()
    pools = PoolOut(many=True)


class SampleListOut(serializers.Serializer[Any]):
    """A pool's samples; ask again with `since=next_since` for what follows."""

    pool = serializers.CharField()
    samples = SampleOut(many=True)
    next_since = serializers.DateTimeField(allow_null=True)


_SAMPLE = {
    "pool": "beijing-gpu",
    "measured_at": "2023-05-26T00:05:00+08:00",
    "capacity": 216,
    "allocated": 200,
    "queued": 40,
    "power_kw": 108.0,
    "price_per_unit_h": 0.031,
    "carbon_g_per_kwh": 558.0,
}
ROWS_EXAMPLE = OpenApiExample("rows", value={"samples": [_SAMPLE]}, request_only=True)
COLUMNS_EXAMPLE = OpenApiExample(
    "columns",
    value={"columns": {name: [value] for name, value in _SAMPLE.items()}},
    request_only=True,
)
STORED_EXAMPLE = OpenApiExample(
    "stored",
    value={
        "received": 1,
        "accepted": 1,
        "duplicate": 0,
        "conflict": 0,
        "rejected": 0,
        "errors": [],
        "errors_total": 0,
    },
    response_only=True,
    status_codes=["200"],
)
REFUSED_EXAMPLE = OpenApiExample(
    "one refused, one stored",
    value=problem(
        400,
        "samples-refused",
        "1 of 2 samples were not stored; the others were.",
        received=2,
        accepted=1,
        duplicate=0,
        conflict=0,
        rejected=1,
        errors=[
            {
                "index": 1,
                "field": "queued",
                "code": "negative",
                "reason": "the number must not be negative",
            }
        ],
        errors_total=1,
    ),
    response_only=True,
    status_codes=["400"],
)
