"""Mapping rules as a grid admin sets them, and Arrow at the telemetry door."""

import io

import pyarrow as pa
import pytest

from controlplane.auth.models import AuditEntry
from monitoring.domain.samples import to_us
from monitoring.models import MappingSet, PoolState, ProviderTally, Sample, Series
from tests import wire
from tests.conftest import GRID_NOW
from tests.factories import PoolFactory, ProviderFactory

pytestmark = pytest.mark.django_db
URL = "/api/v1/providers/beiyun/mapping"
NOW_MS = to_us(GRID_NOW) // 1000
MINUTE_MS = 60_000


@pytest.fixture(autouse=True)
def _stand_still(grid_time):
    """The grid clock stands still."""
    ProviderFactory()


@pytest.fixture
def put(client_of, grid_admin):
    client = client_of(grid_admin)

    def send(document, *, version="0"):
        return client.put(URL, document, format="json", headers={"If-Match": f'"{version}"'})

    return send


@pytest.fixture
def push(provider_client):
    client = provider_client("beiyun")

    def send(series):
        return client.post(
            "/api/v1/prometheus/write",
            wire.snappy(wire.write_v1(series)),
            content_type=wire.PROTOBUF,
            HTTP_CONTENT_ENCODING="snappy",
        )

    return send


def scrape(at_ms, *, gpus=(8.0, 8.0), used=5.0, queued=3.0):
    pods = "kube_pod_container_resource_requests"
    found = [
        (
            {
                "__name__": "kube_node_status_allocatable",
                "node": f"n{number}",
                "resource": "nvidia_com_gpu",
            },
            [(at_ms, value)],
        )
        for number, value in enumerate(gpus)
    ]
    gpu = {"resource": "nvidia_com_gpu", "__name__": pods}
    found.append(({**gpu, "pod": "a", "node": "n0"}, [(at_ms, used)]))
    found.append(({**gpu, "pod": "b"}, [(at_ms, queued)]))
    return found


def test_until_somebody_sets_rules_the_grids_own_metrics_are_mapped(client_of, auditor):
    answer = client_of(auditor).get(URL)

    body = answer.json()
    assert (answer["ETag"], body["version"], body["tick_s"]) == ('"0"', 0, 60.0)
    assert {rule["metric"] for rule in body["rules"]} >= {"tiaodu_capacity", "tiaodu_queued"}


def test_a_preset_set_for_a_pool_turns_its_metrics_into_rows(put, push):
    pool = PoolFactory()
    answer = put({"rules": [{"preset": "kube-state-metrics-gpu", "pool": pool.code}]})

    for step in (2, 1, 0):
        push(scrape(NOW_MS - step * MINUTE_MS))

    assert (answer.status_code, answer["ETag"]) == (200, '"1"')
    rows = Sample.objects.order_by("measured_at").values_list("capacity", "allocated", "queued")
    # the first minute waits until it is over: more nodes might have been to come
    assert list(rows) == [(16.0, 5.0, 3.0)] * 3
    assert AuditEntry.objects.filter(action="set-mapping").count() == 1


def test_a_node_that_does_not_report_makes_the_row_suspect_and_not_good(put, push):
    pool = PoolFactory()
    put({"rules": [{"preset": "kube-state-metrics-gpu", "pool": pool.code}]})

    for step in range(6, -1, -1):
        push(scrape(NOW_MS - step * MINUTE_MS, gpus=(8.0,) if step == 3 else (8.0, 8.0)))

    rows = Sample.objects.order_by("measured_at").values_list("capacity", "quality_rule")
    assert [rule for _, rule in rows] == ["", "", "", "partial-tick", "", "", ""]
    assert dict(rows.filter(quality="suspect").values_list("quality_rule", "capacity")) == {
        "partial-tick": 8.0
    }


def test_a_required_metric_that_fails_is_carried_forward_and_marked(put, push):
    pool = PoolFactory(stale_after_s=240.0)
    put({"rules": [{"preset": "kube-state-metrics-gpu", "pool": pool.code}]})

    for step in range(9, -1, -1):
        series = scrape(NOW_MS - step * MINUTE_MS)
        push(series if step > 6 else series[:-1])

    rows = Sample.objects.order_by("measured_at").values_list("quality", "queued")
    assert list(rows) == [("good", 3.0)] * 3 + [("substituted", 3.0)] * 4
    assert PoolState.objects.get().quality_rule == "carried-forward"


def test_figures_that_cannot_be_are_stored_as_points_but_make_no_row(put, push):
    pool = PoolFactory()
    put({"rules": [{"preset": "tiaodu", "pool": pool.code}]})
    figures = {"capacity": 100.0, "allocated": -5.0, "queued": 0.0}

    answer = push(
        [({"__name__": f"tiaodu_{n}"}, [(NOW_MS, value)]) for n, value in figures.items()]
    )

    assert answer.status_code == 204
    assert Series.objects.count() == 3
    assert not Sample.objects.exists()


def test_new_rules_take_known_series_along(put, push):
    pool = PoolFactory()
    other = [
        ({"__name__": name}, [(NOW_MS - MINUTE_MS, 1.0)]) for name in ("cap", "used", "waiting")
    ]
    push(other)
    unmapped = Series.objects.filter(pool=None).count()

    put(
        {
            "rules": [
                {"name": f, "metric": m, "pool": pool.code, "field": f, "combine": "only"}
                for m, f in {"cap": "capacity", "used": "allocated", "waiting": "queued"}.items()
            ]
        }
    )
    push([(labels, [(NOW_MS, 2.0)]) for labels, _ in other])

    assert (unmapped, Series.objects.filter(pool=pool).count()) == (3, 3)
    assert (Sample.objects.count(), Sample.objects.get(measured_at=GRID_NOW).capacity) == (2, 2.0)


def test_rules_that_lead_known_series_astray_refuse_their_points(put, push):
    PoolFactory()
    series = [({"__name__": "cap"}, [(NOW_MS, 1.0)])]
    push(series)

    put({"rules": [{"name": "r", "metric": "cap", "pool": "nowhere", "field": "capacity"}]})
    answer = push(series)

    assert (answer.status_code, answer.json()["errors"][0]["code"]) == (400, "unknown-pool")


def test_a_change_names_the_version_it_changes(put, client_of, grid_admin):
    first = put({"rules": []})
    second = put({"rules": []})
    none = client_of(grid_admin).put(URL, {"rules": []}, format="json")
    third = put({"rules": [], "series_limit": 5}, version="1")

    assert [first.status_code, second.status_code, none.status_code] == [200, 412, 428]
    assert (third.status_code, third.json()["version"]) == (200, 2)
    assert MappingSet.objects.get().series_limit == 5


@pytest.mark.parametrize(
    "document",
    [
        {"rules": [{"preset": "nothing", "pool": "p"}]},
        {"rules": [{"name": "r", "metric": "m", "pool": "p", "field": "contract"}]},
        {"rules": "x"},
        {"rules": [], "tick_s": 0},
        {"rules": [], "series_limit": -1},
        {},
    ],
)
def test_rules_that_cannot_be_followed_change_nothing(put, document):
    answer = put(document)

    assert answer.status_code == 400
    assert not MappingSet.objects.exists()


def test_what_a_dry_run_showed_is_what_the_rules_do_and_every_version_can_be_had_back(
    put, push, provider_client
):
    pool = PoolFactory()
    drafts = [
        [{"name": "cap", "metric": "gpus", "pool": pool.code, "field": "capacity"}],
        [{"name": "cap", "metric": "gpus", "pool": pool.code, "field": "capacity", "factor": 8.0}],
    ]
    body = {"rules": drafts[1], "series": [{"labels": {"__name__": "gpus"}, "value": 4.0}]}

    shown = provider_client("beiyun").post("/api/v1/mapping/check", body, format="json").json()
    unchanged = MappingSet.objects.count()
    answers = [put({"rules": rules}, version=str(n)) for n, rules in enumerate(drafts)]
    push([({"__name__": "gpus"}, [(NOW_MS, 4.0)])])

    (landing,) = shown["landings"]
    assert (landing["outcome"], landing["field"], landing["value"]) == ("column", "capacity", 32.0)
    assert unchanged == 0
    assert [answer.json()["version"] for answer in answers] == [1, 2]
    series = Series.objects.get()
    assert (series.rule, series.pool_id) == (landing["rule"], pool.pk)
    kept = AuditEntry.objects.filter(action="set-mapping").order_by("pk")
    assert [entry.payload["version"] for entry in kept] == [1, 2]
    again = put({"rules": kept[0].payload["rules"]}, version="2")
    assert again.json()["rules"] == answers[0].json()["rules"]


@pytest.mark.parametrize("person", ["operator", "auditor", "provider", "outsider"])
def test_only_a_grid_admin_sets_rules(request, client_of, person):
    client = client_of(request.getfixturevalue(person))

    answer = client.put(URL, {"rules": []}, format="json", headers={"If-Match": '"0"'})

    assert answer.status_code == 403


def test_a_provider_that_does_not_exist_has_no_rules(client_of, grid_admin):
    client = client_of(grid_admin)
    path = "/api/v1/providers/nobody/mapping"

    answers = [
        client.get(path),
        client.put(path, {"rules": []}, format="json", headers={"If-Match": '"0"'}),
    ]

    assert [answer.status_code for answer in answers] == [404, 404]


def arrow_stream(**changes):
    columns = {
        "pool": ["beijing-gpu"],
        "measured_at": pa.array([GRID_NOW], pa.timestamp("us", tz="UTC")),
        "capacity": [100.0],
        "allocated": [50.0],
        "queued": [1.0],
        **changes,
    }
    sink = io.BytesIO()
    table = pa.table(columns)
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return sink.getvalue()


def post_arrow(provider_client, body, **headers):
    kind = "application/vnd.apache.arrow.stream"
    client = provider_client("beiyun")
    return client.post("/api/v1/telemetry", body, content_type=kind, **headers)


def test_an_arrow_stream_is_stored_and_counted_as_json_is(provider_client):
    PoolFactory()

    first = post_arrow(provider_client, arrow_stream())
    bad = post_arrow(provider_client, arrow_stream(queued=[-1.0]))

    assert (first.status_code, first.json()["accepted"]) == (200, 1)
    assert (bad.status_code, bad.json()["errors"][0]["code"]) == (400, "negative")
    assert Sample.objects.get().queued == 1.0
    assert ProviderTally.objects.get().rejected_by_reason == {"negative": 1}


@pytest.mark.parametrize(
    ("body", "headers", "status"),
    [
        (b"x", {}, 400),
        (arrow_stream(), {"HTTP_CONTENT_ENCODING": "gzip"}, 415),
    ],
)
def test_an_arrow_body_that_cannot_be_read_is_refused(provider_client, body, headers, status):
    assert post_arrow(provider_client, body, **headers).status_code == status
