"""Describes remote-write and OTLP in the API document: headers, bodies, every kind of answer."""

from drf_spectacular.utils import OpenApiExample, OpenApiParameter

from controlplane.lib.problems import CONTENT_TYPE, problem
from monitoring.api.pushed import JSON, PROTOBUF

_V1 = "prometheus.WriteRequest"
_V2 = "io.prometheus.write.v2.Request"
# three series of one scrape, packed with snappy, as base64; the tests read them
V1_BODY = (
    "5gGICksKGwoIX19uYW1lX18SD3RpYW9kdV9jYXBhY2l0eQoaCgsNE1Bwb29sEgtiZWlqaW5nLWdwdRIQCQAFATBr"
    "QBDgh6CdhTEKTAocHU0AEA06IGFsbG9jYXRlZJJOAABpFU4ISQoZHU4ADQ1ODHF1ZXWaSwAgREAQ4IegnYUx"
)
V2_BODY = (
    "pgF4IgAiCF9fbmFtZV9fIg90aWFvZHVfY2FwYWNpdHkiCw0RSHBvb2wiC2JlaWppbmctZ3B1IhANGihhbGxvY2F0"
    "ZWQiDQ0SRHF1ZXVlZCoYCgQBAgMEEhAJAAUBIGtAEOCHoJ2FMQUaAAUdGgBpMhoAAAYdGiBEQBDgh6CdhTE="
)
# a browser cannot show or send such a body: this is how one is sent by hand
WRITE_BY_HAND = (
    "One scrape of three series, written with 1.0, in base64:\n\n```\n"
    f"echo {V1_BODY} | base64 -d |\n"
    'curl -H "Authorization: Bearer $KEY" -H "Content-Type: application/x-protobuf" \\\n'
    '     -H "Content-Encoding: snappy" --data-binary @- GRID/api/v1/prometheus/write\n```\n\n'
    f"With 2.0, `-H 'Content-Type: application/x-protobuf;proto={_V2}'` and\n\n```\n{V2_BODY}\n"
    "```\n\nIts times are long past: `/api/v1/telemetry/check` says what would be made of it."
)
OTLP_BODY = {
    "resourceMetrics": [
        {
            "resource": {
                "attributes": [{"key": "tiaodu_pool", "value": {"stringValue": "beijing-gpu"}}]
            },
            "scopeMetrics": [
                {
                    "metrics": [
                        {
                            "name": f"tiaodu_{name}",
                            "gauge": {
                                "dataPoints": [
                                    {"timeUnixNano": "1685030700000000000", "asDouble": value}
                                ]
                            },
                        }
                        for name, value in (("capacity", 216), ("allocated", 200), ("queued", 40))
                    ]
                }
            ],
        }
    ]
}


def _sent(name: str, description: str, *, enum: list[str] | None = None) -> OpenApiParameter:
    return OpenApiParameter(
        name, str, OpenApiParameter.HEADER, description=description, enum=enum, required=False
    )


def _told(name: str, description: str, statuses: list[int], kind: type = int) -> OpenApiParameter:
    return OpenApiParameter(
        name, kind, OpenApiParameter.HEADER, description=description, response=statuses
    )


_RETRY = _told("Retry-After", "seconds, with jitter: send the same again then", [429, 503])
WRITE_HEADERS = [
    _sent("Content-Encoding", "snappy's block format", enum=["snappy"]),
    _sent("X-Prometheus-Remote-Write-Version", "not looked at", enum=["0.1.0", "2.0.0"]),
    *(
        _told(
            f"X-Prometheus-Remote-Write-{what}-Written",
            f"answers to 2.0: {words} that are stored, now or before",
            [204, 400],
        )
        for what, words in (
            ("Samples", "samples"),
            ("Histograms", "native histograms"),
            ("Exemplars", "exemplars"),
        )
    ),
    _RETRY,
]
OTLP_HEADERS = [_sent("Content-Encoding", "or none", enum=["gzip"]), _RETRY]

_REPORT = {
    "received": 3,
    "accepted": 2,
    "duplicate": 0,
    "conflict": 0,
    "rejected": 1,
    "samples_written": 2,
    "errors_total": 1,
    "histograms_written": 0,
    "exemplars_written": 0,
    "errors": [
        {
            "index": 2,
            "series": "tiaodu_queued",
            "code": "too-old",
            "reason": "the time is before what is taken",
        }
    ],
}
WRITE_EXAMPLES = [
    OpenApiExample(
        "remote-write 1.0",
        summary=f"1.0: three series ({_V1})",
        description="The body in base64: protobuf in snappy's block format.",
        value=V1_BODY,
        media_type=PROTOBUF,
        request_only=True,
    ),
    OpenApiExample(
        "remote-write 2.0",
        summary="2.0: the same with a table of symbols",
        description=f"The body in base64. Content-Type: {PROTOBUF};proto={_V2}",
        value=V2_BODY,
        media_type=PROTOBUF,
        request_only=True,
    ),
    OpenApiExample(
        "partly written",
        summary="one refused, two stored: do not send them again",
        value=problem(
            400,
            "samples-refused",
            "1 of 3 were not stored; tiaodu_queued: the time is before what is taken",
            **_REPORT,
        ),
        media_type=CONTENT_TYPE,
        response_only=True,
        status_codes=["400"],
    ),
    OpenApiExample(
        "not readable",
        summary="nothing is stored; sending it again changes nothing",
        value=problem(400, "malformed-body", "A field reaches past the end of its message."),
        media_type=CONTENT_TYPE,
        response_only=True,
        status_codes=["400"],
    ),
    OpenApiExample(
        "not now",
        summary="nothing is stored; send the same after Retry-After",
        value=problem(503, "grid-busy", "The grid has enough to do; send it again."),
        media_type=CONTENT_TYPE,
        response_only=True,
        status_codes=["503"],
    ),
]
OTLP_EXAMPLES = [
    OpenApiExample("three gauges", value=OTLP_BODY, media_type=JSON, request_only=True),
    OpenApiExample(
        "all stored", value={}, media_type=JSON, response_only=True, status_codes=["200"]
    ),
    OpenApiExample(
        "partial success",
        summary="one refused, the others stored: do not send them again",
        value={
            "partialSuccess": {
                "rejectedDataPoints": "1",
                "errorMessage": "1 data points were refused; tiaodu_queued: the time is before "
                "what is taken",
            }
        },
        media_type=JSON,
        response_only=True,
        status_codes=["200"],
    ),
    OpenApiExample(
        "not readable",
        value={"message": "resourceMetrics must be an array."},
        media_type=JSON,
        response_only=True,
        status_codes=["400"],
    ),
]
