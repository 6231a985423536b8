"""Bulk reads over HTTP: right figures in both forms, own pools only for providers, bounded."""

import datetime as dt
import io

import pyarrow as pa
import pytest

from monitoring.api import bulk
from tests.conftest import GRID_NOW
from tests.factories import PoolFactory, make_pool, report, sample

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("grid_time")]
ARROW = "application/vnd.apache.arrow.stream"
HOUR = GRID_NOW.replace(minute=0)
TICK = dt.timedelta(minutes=20)


@pytest.fixture
def reported():
    """Two pools of two providers with four hours of samples, and one that is silent."""
    pools = [
        PoolFactory(code="beijing-gpu"),
        make_pool("wuhan-gpu", region="CN-HB", provider="jingchu"),
    ]
    for number, pool in enumerate(pools):
        rows = [
            sample(
                pool.code, HOUR - step * TICK, allocated=10.0 * (number + 1), queued=float(step % 3)
            )
            for step in range(1, 13)
        ]
        report(pool.site.provider_id, rows, now=GRID_NOW)
    PoolFactory(code="silent-gpu")
    return pools


@pytest.fixture
def ask(client_of, operator):
    """Asks as an operator: `ask("newest", region="CN-HB")` or with `accept=`."""

    def get(what, *, accept="application/json", client=None, **query):
        client = client or client_of(operator)
        return client.get(f"/api/v1/telemetry/{what}", query, headers={"accept": accept})

    return get


def table_of(answer):
    assert answer["Content-Type"] == ARROW
    with pa.ipc.open_stream(io.BytesIO(answer.content)) as reader:
        return reader.read_all()


@pytest.mark.usefixtures("reported")
def test_newest_has_a_row_for_each_pool_that_reported(ask):
    columns = ask("newest").json()["columns"]

    assert columns["pool"] == ["beijing-gpu", "wuhan-gpu"]
    assert columns["allocated"] == [10.0, 20.0]
    assert columns["power_kw"] == [None, None]
    assert columns["measured_at"] == [f"{HOUR - TICK:%Y-%m-%dT%H:%M:%S}Z"] * 2
    assert columns["quality"] == ["good", "good"]


def test_newest_of_a_grid_that_never_reported_is_empty(ask):
    PoolFactory()

    assert ask("newest").json()["columns"]["pool"] == []


@pytest.mark.usefixtures("reported")
def test_arrow_says_the_same_as_json(ask):
    for what, query in (("newest", {}), ("samples", {"pool": "wuhan-gpu"})):
        columns = ask(what, **query).json()["columns"]
        table = table_of(ask(what, accept=ARROW, **query))
        assert table.column_names == list(columns)
        for name in ("allocated", "queued", "power_kw", "quality"):
            assert table[name].to_pylist() == columns[name]


@pytest.mark.usefixtures("reported")
def test_a_pools_samples_come_oldest_first_between_two_moments(ask):
    since, until = HOUR - 6 * TICK, HOUR - 2 * TICK

    answer = ask(
        "samples", pool="beijing-gpu", **{"from": since.isoformat(), "to": until.isoformat()}
    )

    times = answer.json()["columns"]["measured_at"]
    assert times == [f"{HOUR - step * TICK:%Y-%m-%dT%H:%M:%S}Z" for step in (6, 5, 4, 3)]


@pytest.mark.usefixtures("reported")
def test_hours_are_means_with_null_where_nobody_reported(ask):
    since = HOUR - dt.timedelta(hours=5)

    body = ask(
        "hours", measures="demand,capacity", **{"from": since.isoformat(), "to": HOUR.isoformat()}
    ).json()

    assert body["keys"] == ["beijing-gpu", "silent-gpu", "wuhan-gpu"]
    assert body["series"]["demand"][0] == [None, 11.0, 11.0, 11.0, 11.0]
    assert body["series"]["demand"][1] == [None] * 5
    assert body["series"]["capacity"][2] == [None, 100.0, 100.0, 100.0, 100.0]
    table = table_of(
        ask("hours", accept=ARROW, **{"from": since.isoformat(), "to": HOUR.isoformat()})
    )
    assert table["demand"].to_pylist() == body["series"]["demand"]
    assert table.schema.metadata[b"step"] == b"1h"


@pytest.mark.usefixtures("reported")
@pytest.mark.parametrize(("over", "expected"), [("mean", 16.0), ("sum", 32.0)])
def test_pools_are_put_together_by_their_known_values(ask, over, expected):
    body = ask("hours", by="grid", over=over, **{"from": (HOUR - TICK).isoformat()}).json()

    assert body["keys"] == ["grid"]
    assert body["series"]["demand"][0][0] == expected


@pytest.mark.usefixtures("reported")
def test_days_are_means_over_all_their_samples(ask):
    body = ask("hours", step="1d", pools="beijing-gpu", **{"from": HOUR.isoformat()}).json()

    assert (body["steps"], body["from"]) == (1, f"{HOUR:%Y-%m-%d}T00:00:00+00:00")
    assert body["series"]["demand"] == [[None]]
    body = ask("hours", step="1d", pools="beijing-gpu").json()
    assert body["series"]["demand"][0][0] == 11.0


@pytest.mark.usefixtures("reported")
def test_a_provider_reads_its_own_pools_only(ask, provider_client, client_of, provider):
    for client in (provider_client("beiyun"), client_of(provider)):
        assert ask("newest", client=client).json()["columns"]["pool"] == ["beijing-gpu"]
        assert ask("hours", client=client).json()["keys"] == ["beijing-gpu", "silent-gpu"]
        assert ask("samples", client=client, pool="wuhan-gpu").status_code == 400


def test_who_has_no_role_reads_nothing(ask, client_of, outsider, api_client_of_nobody):
    assert ask("newest", client=client_of(outsider)).status_code == 403
    assert ask("hours", client=api_client_of_nobody).status_code in (401, 403)


@pytest.fixture
def api_client_of_nobody(client):
    """A client without a login."""
    return client


@pytest.mark.parametrize(
    ("what", "query", "field"),
    [
        ("samples", {}, "pool"),
        ("samples", {"pool": "nowhere"}, "pool"),
        ("hours", {"measures": "demand,love"}, "measures"),
        ("hours", {"step": "1m"}, "step"),
        ("hours", {"by": "planet"}, "by"),
        ("hours", {"from": "yesterday"}, "from"),
        ("hours", {"from": "2023-05-26T00:00:00Z", "to": "2023-05-25T00:00:00Z"}, "from"),
    ],
)
def test_what_cannot_be_asked_is_refused_with_the_parameters_name(ask, what, query, field):
    answer = ask(what, **query)

    assert answer.status_code == 400
    assert field in str(answer.json())


@pytest.mark.usefixtures("reported")
def test_an_answer_beyond_the_limit_is_refused(ask, monkeypatch):
    monkeypatch.setattr(bulk, "MOST_VALUES", 10)
    monkeypatch.setattr(bulk, "MOST_SAMPLES", 3)

    assert ask("hours").json()["code"] == "answer-too-large"
    assert ask("samples", pool="beijing-gpu").status_code == 413


@pytest.mark.usefixtures("reported")
def test_the_number_of_statements_does_not_grow_with_the_pools(
    ask, client_of, operator, django_assert_max_num_queries
):
    client = client_of(operator)
    ask("newest", client=client)

    with django_assert_max_num_queries(6):
        ask("newest", client=client)
        # session, person, role; version of the inventory; the answer
