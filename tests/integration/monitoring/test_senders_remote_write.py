"""Remote-write 1.0 and 2.0 as the specifications have it, with everything read back."""

import math

import pytest

from monitoring.models import Point, Sample, Series
from tests import wire
from tests.conftest import GRID_NOW
from tests.factories import PoolFactory, ProviderFactory, make_pool
from tests.read_back import NOW_MS, UP, account, stored, written

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _stand_still(grid_time):
    """The grid clock stands still."""
    ProviderFactory()


def test_a_first_message_is_stored_to_the_last_sample(push):
    body = wire.write_v1([(UP, [(NOW_MS - 15_000, 1.0), (NOW_MS, 0.0)])])

    answer = push(body)

    assert (answer.status_code, answer.content) == (204, b"")
    assert stored() == [(UP, NOW_MS - 15_000, 1.0), (UP, NOW_MS, 0.0)]
    assert (account().received, account().accepted) == (2, 2)


def test_a_second_message_says_what_it_has_written(push_v2):
    request = wire.V2Request()
    request.add(UP, [(NOW_MS, 1.5)])

    answer = push_v2(request, HTTP_X_PROMETHEUS_REMOTE_WRITE_VERSION="2.0.0")

    assert (answer.status_code, written(answer)) == (204, ("1", "0", "0"))
    assert stored() == [(UP, NOW_MS, 1.5)]


@pytest.mark.parametrize("value", [1.0, -0.5, math.inf, -math.inf, 1e308])
def test_every_finite_and_infinite_value_comes_back(push_v2, value):
    request = wire.V2Request()
    request.add(UP, [(NOW_MS, value)])

    answer = push_v2(request)

    assert written(answer) == ("1", "0", "0")
    assert stored() == [(UP, NOW_MS, value)]


def test_a_value_that_is_no_number_is_stored_and_is_its_own_duplicate(push):
    body = wire.write_v1([(UP, [(NOW_MS, math.nan)])])

    first, second = push(body), push(body)

    assert (first.status_code, second.status_code) == (204, 204)
    assert math.isnan(Point.objects.get().value)
    assert (account().accepted, account().duplicate) == (1, 1)


@pytest.mark.parametrize(
    "labels",
    [
        pytest.param({"__name__": "up", "job": "test\njob\n"}, id="newlines"),
        pytest.param({"__name__": "resource.cpu.usage", "job.name": "x"}, id="dots"),
        pytest.param({"__name__": "resource cpu usage", "job name": "x"}, id="spaces"),
        pytest.param({"__name__": "up", "地区": "北京🚀"}, id="any language"),
        pytest.param({"zone": "b", "__name__": "up", "area": "a"}, id="labels out of order"),
    ],
)
def test_labels_come_back_as_they_were_sent(push_v2, labels):
    request = wire.V2Request()
    request.add(labels, [(NOW_MS, 1.0)])

    answer = push_v2(request)

    assert written(answer) == ("1", "0", "0")
    assert stored() == [(labels, NOW_MS, 1.0)]


def test_an_empty_label_value_is_an_absent_label(push):
    push(wire.write_v1([({**UP, "zone": ""}, [(NOW_MS, 1.0)])]))

    answer = push(wire.write_v1([(UP, [(NOW_MS, 1.0)])]))

    assert answer.status_code == 204
    assert account().duplicate == 1


@pytest.mark.parametrize(
    ("labels", "code"),
    [
        pytest.param({"job": "node"}, "no-metric-name", id="no name"),
        pytest.param({"__name__": "", "job": "node"}, "no-metric-name", id="empty name"),
        pytest.param({}, "no-metric-name", id="no labels"),
        pytest.param({"__name__": "up", "": "x"}, "bad-labels", id="empty label name"),
        pytest.param({"__name__": "up", "a": "b\0c"}, "bad-labels", id="zero byte"),
        pytest.param({"__name__": "up", "a": "b" * 5000}, "bad-labels", id="too long"),
        pytest.param(
            {"__name__": "up", **{f"l{n}": "x" for n in range(64)}}, "too-many-labels", id="65"
        ),
    ],
)
def test_a_bad_series_is_refused_alone_with_exact_counts(push_v2, labels, code):
    request = wire.V2Request()
    request.add(labels, [(NOW_MS, 1.0)])
    request.add(UP, [(NOW_MS, 1.0), (NOW_MS - 1000, 2.0)])

    answer = push_v2(request)

    assert (answer.status_code, written(answer)) == (400, ("2", "0", "0"))
    assert answer["Content-Type"] == "application/problem+json"
    body = answer.json()
    assert (body["accepted"], body["rejected"], body["errors"][0]["index"]) == (2, 1, 0)
    assert body["errors"][0]["code"] == code
    assert len(stored()) == 2
    assert account().rejected_by_reason == {code: 1}


def test_a_label_that_comes_twice_is_refused(push):
    message = wire.V1["WriteRequest"].FromString(wire.write_v1([(UP, [(NOW_MS, 1.0)])]))
    message.timeseries[0].labels.add(name="job", value="other")

    answer = push(message.SerializeToString())

    assert (answer.status_code, answer.json()["errors"][0]["code"]) == (400, "bad-labels")
    assert stored() == []


@pytest.mark.parametrize(
    "spoil",
    [
        pytest.param(lambda entry: entry.labels_refs.append(1), id="odd number of references"),
        pytest.param(lambda entry: entry.labels_refs.extend([1, 999]), id="reference too large"),
    ],
)
def test_references_that_lead_nowhere_refuse_their_series_only(push_v2, spoil):
    request = wire.V2Request()
    spoil(request.add(UP, [(NOW_MS, 1.0)]))
    request.add({"__name__": "fine"}, [(NOW_MS, 1.0)])

    answer = push_v2(request)

    assert (answer.status_code, written(answer)) == (400, ("1", "0", "0"))
    assert [labels for labels, _, _ in stored()] == [{"__name__": "fine"}]


def test_a_table_of_symbols_that_does_not_begin_empty_is_refused(push_v2):
    request = wire.V2Request()
    request.message.symbols[0] = "x"
    request.add(UP, [(NOW_MS, 1.0)])

    answer = push_v2(request)

    assert (answer.status_code, answer.json()["code"]) == (400, "malformed-body")
    assert stored() == []


def test_samples_and_histograms_in_one_series_are_refused(push_v2):
    request = wire.V2Request()
    request.add(UP, [(NOW_MS, 1.0)]).histograms.add(count=3, sum=1.0, timestamp=NOW_MS)

    answer = push_v2(request)

    assert (answer.status_code, written(answer)) == (400, ("0", "0", "0"))
    assert account().rejected_by_reason == {"samples-and-histograms": 2}
    assert stored() == []


def test_metadata_does_no_harm(push_v2, push):
    request = wire.V2Request()
    request.add(UP, [(NOW_MS, 1.0)]).metadata.type = 1
    request.add({"__name__": "only_metadata"}, []).metadata.type = 2
    old = wire.V1["WriteRequest"](metadata=[{"type": 1, "metric_family_name": "up"}])

    answers = [push_v2(request), push(old.SerializeToString())]

    assert [answer.status_code for answer in answers] == [204, 204]
    assert written(answers[0]) == ("1", "0", "0")
    assert len(stored()) == 1


def test_an_empty_message_is_fine(push, push_v2):
    assert [push(b"").status_code, push_v2(wire.V2Request()).status_code] == [204, 204]


def test_a_start_time_is_passed_over(push_v2):
    request = wire.V2Request()
    request.add(UP, [(NOW_MS, 1.0)]).samples[0].start_timestamp = NOW_MS - 3_600_000

    assert written(push_v2(request)) == ("1", "0", "0")


@pytest.mark.parametrize(
    ("minutes", "code"), [(-25 * 60, "too-old"), (3, "in-the-future"), (1e9, "in-the-future")]
)
def test_a_sample_out_of_time_refuses_only_itself(push, minutes, code):
    body = wire.write_v1([(UP, [(int(NOW_MS + minutes * 60_000), 9.0), (NOW_MS, 1.0)])])

    answer = push(body)

    assert (answer.status_code, answer.json()["errors"][0]["code"]) == (400, code)
    assert stored() == [(UP, NOW_MS, 1.0)]


def test_a_time_beyond_all_times_is_refused_without_harm(push):
    body = wire.write_v1([(UP, [(2**62, 9.0), (-(2**63), 9.0)])])

    answer = push(body)

    assert account().rejected_by_reason == {"bad-time": 2}
    assert answer.status_code == 400


def test_sending_again_in_another_order_and_cut_changes_nothing(push):
    samples = [(NOW_MS - 1000 * step, float(step)) for step in range(30)]
    push(wire.write_v1([(UP, samples)]))
    before = stored()

    answers = [push(wire.write_v1([(UP, samples[::-1][at : at + 7])])) for at in range(0, 30, 7)]

    assert {answer.status_code for answer in answers} == {204}
    assert stored() == before
    assert account().duplicate == 30


def test_another_value_for_the_same_time_is_a_conflict_and_the_first_stays(push_v2):
    for value in (1.0, 2.0):
        request = wire.V2Request()
        request.add(UP, [(NOW_MS, value)])
        answer = push_v2(request)

    assert (answer.status_code, written(answer)) == (400, ("0", "0", "0"))
    assert answer.json()["errors"][0]["code"] == "conflict"
    assert stored() == [(UP, NOW_MS, 1.0)]
    assert account().conflict == 1


WIDE = {"capacity": 100.0, "allocated": 60.0, "queued": 5.0}


def grid_series(pool, at_ms, **values):
    return [
        ({"__name__": f"tiaodu_{name}", "tiaodu_pool": pool}, [(at_ms, value)])
        for name, value in values.items()
    ]


def test_the_grids_own_metrics_become_a_wide_row_at_once(push):
    pool = PoolFactory()

    answer = push(wire.write_v1(grid_series(pool.code, NOW_MS, **WIDE, power_kw=40.0)))

    assert answer.status_code == 204
    row = Sample.objects.get()
    assert (row.capacity, row.allocated, row.queued, row.power_kw) == (100.0, 60.0, 5.0, 40.0)
    assert (row.quality, row.source) == ("good", "sender")
    assert row.measured_at == GRID_NOW.replace(second=0)
    assert pool.state.allocated == 60.0
    assert account().received == 4


def test_a_scrape_that_is_cut_in_two_requests_is_one_row(push):
    pool = PoolFactory()
    series = grid_series(pool.code, NOW_MS, **WIDE)

    push(wire.write_v1(series[:1]))
    nothing_yet = Sample.objects.count()
    push(wire.write_v1(series[1:]))

    assert nothing_yet == 0
    assert Sample.objects.get().queued == 5.0
    assert (account().accepted, account().rejected) == (3, 0)


def test_a_pool_of_another_provider_is_an_unknown_pool(push):
    PoolFactory()
    make_pool("wuhan-gpu", region="CN-HB", provider="jingchu")

    answer = push(wire.write_v1(grid_series("wuhan-gpu", NOW_MS, **WIDE)))

    assert (answer.status_code, answer.json()["errors"][0]["code"]) == (400, "unknown-pool")
    assert not Sample.objects.exists()
    assert not Series.objects.exists()


def test_reversed_and_sorted_senders_leave_the_same_rows(push):
    pool = PoolFactory()
    minute = 60_000
    series = [
        part
        for step in range(8)
        for part in grid_series(pool.code, NOW_MS - step * minute, **{**WIDE, "queued": step})
    ]

    for part in series:
        push(wire.write_v1([part]))

    rows = Sample.objects.order_by("-measured_at").values_list("queued", "quality")
    assert list(rows) == [(float(step), "good") for step in range(8)]
