import http.client
import time

import pytest

FULL = {"units": 4, "duration_s": 3600}
JOB = {"name": "a", "units": 1, "requested_duration_s": 60, "spec": {"program": "p"}}


def test_a_submitted_job_runs_and_ends_after_its_true_run_time(provider):
    provider.start(ticks=1)

    status, job = provider.submit("empty-gpu", "k1", units=2, program="trace-1")
    provider.submit("empty-gpu", "k2", duration_s=60, program="trace-1")
    provider.terminate()
    provider.start(ticks=20)
    _, later = provider.call("GET", "/v1/pools/empty-gpu/jobs/k1")
    _, limited = provider.call("GET", "/v1/pools/empty-gpu/jobs/k2")

    assert status == 201
    assert job == {
        "key": "k1",
        "pool": "empty-gpu",
        "units": 2,
        "state": "RUNNING",
        "submitted_at": "2023-05-25T16:05:00Z",
        "started_at": "2023-05-25T16:05:00Z",
        "finished_at": None,
        "done_s": 0,
    }
    assert later == {**job, "state": "DONE", "finished_at": "2023-05-25T16:26:17Z"}  # 1277 s
    assert limited["finished_at"] == "2023-05-25T16:06:00Z"  # never longer than it asked for


def test_a_released_job_of_the_site_waits_again_at_its_old_place(provider, trace):
    provider.start(ticks=200)
    keys = [arrival.key for arrival in trace]
    before = provider.site_jobs(keys)
    waiting = [job for job in before if job["state"] == "QUEUED"][-1]
    path = f"/v1/pools/queue-gpu/jobs/{waiting['key']}"
    not_withdrawn = provider.call("POST", f"{path}/release")

    withdrawn = provider.call("DELETE", path)
    first = provider.call("POST", f"{path}/release")
    again = provider.call("POST", f"{path}/release")

    assert not_withdrawn[0] == 409
    assert withdrawn[1]["state"] == "WITHDRAWN"
    assert first == again == (200, waiting)
    assert provider.site_jobs(keys) == before


def test_the_same_key_and_body_is_the_same_job(engine):
    first = engine.submit("k1", **FULL)
    second = engine.submit("k1", **FULL)

    assert (first[0], second[0]) == (201, 200)
    assert first[1] == second[1]


def test_the_same_key_with_another_body_is_refused(engine):
    engine.submit("k1", units=1)

    status, problem = engine.submit("k1", units=2)

    assert status == 422
    assert problem["code"] == "key-reused"


@pytest.mark.parametrize(
    ("body", "status", "field"),
    [
        pytest.param([1], 400, "body", id="no object"),
        pytest.param({**JOB, "name": ""}, 400, "name", id="no name"),
        pytest.param({**JOB, "spec": {}}, 400, "spec.program", id="no program"),
        pytest.param({**JOB, "units": 0}, 400, "units", id="no units"),
        pytest.param({**JOB, "units": True}, 400, "units", id="units true"),
        pytest.param({**JOB, "requested_duration_s": 1.5}, 400, "requested_duration_s", id="1.5 s"),
        pytest.param({**JOB, "name": "a" * 70_000}, 413, "body", id="too long"),
    ],
)
def test_a_bad_request_names_its_field(engine, body, status, field):
    got, problem = engine.call("POST", "", body, headers={"Idempotency-Key": "k"})

    assert (got, problem["field"]) == (status, field)
    assert engine.call("GET", "/k")[0] == 404


def test_a_submission_needs_a_key(engine):
    answers = [
        engine.call("POST", "", JOB, headers={"Idempotency-Key": key}) for key in ("", "k" * 201)
    ]

    assert [(status, problem["field"]) for status, problem in answers] == [
        (400, "Idempotency-Key")
    ] * 2


def test_a_job_larger_than_the_pool_is_refused(engine):
    status, problem = engine.submit("k1", units=5)

    assert (status, problem["code"]) == (409, "job-too-large")
    assert engine.call("GET", "/k1")[0] == 404


def test_nothing_is_told_or_done_without_the_token(engine):
    answers = [
        engine.call("GET", "/k1", token="wrong"),  # noqa: S106
        engine.call("POST", "", JOB, headers={"Idempotency-Key": "k1"}, token=""),
        engine.provider.call("POST", "/v1/faults", {"fail_requests": 5}, token=""),
        engine.provider.call("GET", "/v1/pools/none/jobs/k1", token="wrong"),  # noqa: S106
    ]

    assert [status for status, _ in answers] == [401] * 4
    assert engine.call("GET", "/k1")[0] == 404


def test_jobs_are_found_by_a_list_of_keys(engine):
    for key in ("k1", "k2"):
        engine.submit(key)

    status, answer = engine.call("GET", "?keys=k1,missing,k2")
    without, _ = engine.call("GET", "")

    assert status == 200
    assert [job["key"] for job in answer["jobs"]] == ["k1", "k2"]
    assert without == 400


def test_a_waiting_job_is_withdrawn_once_and_a_running_one_never(engine):
    engine.submit("running", **FULL)
    engine.submit("waiting", **FULL)

    refused = engine.call("DELETE", "/running")
    first = engine.call("DELETE", "/waiting")
    again = engine.call("DELETE", "/waiting")
    missing = engine.call("DELETE", "/other")

    assert (refused[0], refused[1]["state"]) == (409, "RUNNING")
    assert (first[0], first[1]["state"]) == (200, "WITHDRAWN")
    assert again == first
    assert missing[0] == 404


def test_a_job_of_the_grid_cannot_be_released(engine):
    engine.submit("running", **FULL)
    engine.submit("waiting", **FULL)
    engine.call("DELETE", "/waiting")

    status, problem = engine.call("POST", "/waiting/release")

    assert (status, problem["code"]) == (409, "job-not-withdrawn")


def test_a_dropped_answer_leaves_one_job_to_be_found(engine):
    engine.provider.call("POST", "/v1/faults", {"drop_responses": 1})

    with pytest.raises((http.client.HTTPException, ConnectionError)):
        engine.submit("k1", **FULL)
    _, found = engine.call("GET", "?keys=k1")
    again = engine.submit("k1", **FULL)

    assert [job["key"] for job in found["jobs"]] == ["k1"]
    assert again[0] == 200


def test_a_failed_request_does_nothing(engine):
    engine.provider.call("POST", "/v1/faults", {"fail_requests": 1})

    failed = engine.submit("k1", **FULL)
    found = engine.call("GET", "/k1")

    assert failed[0] == 503
    assert found[0] == 404


def test_a_delayed_answer_comes_late(engine):
    engine.provider.call("POST", "/v1/faults", {"delay_s": 0.2})
    started = time.monotonic()

    status, _ = engine.submit("k1")

    assert status == 201
    assert time.monotonic() - started >= 0.2


@pytest.mark.parametrize("faults", [{"delay_s": "long"}, {"drop_responses": -1}, {"delay_s": 1e9}])
def test_a_fault_must_be_a_sensible_number(engine, faults):
    assert engine.provider.call("POST", "/v1/faults", faults)[0] == 400


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        pytest.param("GET", "/", 404, id="root"),
        pytest.param("PUT", "/v1/pools/spare-0/jobs/k", 501, id="unknown method"),
        pytest.param("GET", "/v1/pools/none/jobs/k", 404, id="unknown pool"),
        pytest.param("POST", "/v1/pools/spare-0/jobs/k", 404, id="no such action"),
    ],
)
def test_an_unknown_request_gets_a_problem(engine, method, path, status):
    got, problem = engine.provider.call(method, path)

    assert (got, problem["status"]) == (status, status)


def test_a_body_of_unknown_length_is_refused(engine):
    headers = {"Transfer-Encoding": "chunked", "Idempotency-Key": "k"}

    status, problem = engine.call("POST", "", None, headers=headers)

    assert (status, problem["field"]) == (411, "Content-Length")


def test_a_connection_beyond_the_limit_is_closed_at_once(provider):
    provider.start()
    held = [http.client.HTTPConnection("127.0.0.1", provider.port, timeout=5) for _ in range(64)]
    for connection in held:
        connection.request("GET", "/healthz")
        connection.getresponse().read()

    with pytest.raises((http.client.HTTPException, ConnectionError)):
        provider.call("GET", "/healthz")
    for connection in held:
        connection.close()


def test_a_running_job_stops_at_its_last_whole_hour_and_goes_on_from_there(provider):
    long = {"duration_s": 5 * 3600, "program": "nobody-knows-it"}
    provider.start(ticks=1)
    provider.submit("empty-gpu", "k1", **long)
    provider.terminate()
    provider.start(ticks=31)

    first = provider.call("POST", "/v1/pools/empty-gpu/jobs/k1/checkpoint")
    again = provider.call("POST", "/v1/pools/empty-gpu/jobs/k1/checkpoint")
    provider.terminate()
    provider.start(ticks=32)
    kept = provider.call("GET", "/v1/pools/empty-gpu/jobs/k1")

    assert first[0] == again[0] == 200
    assert first[1]["state"] == "WITHDRAWN"
    assert first[1]["done_s"] == 2 * 3600
    assert first[1] == again[1] == kept[1]


def test_a_job_resumed_elsewhere_does_only_what_is_left(provider):
    provider.start(ticks=1)
    body = {"name": "a", "units": 1, "requested_duration_s": 7200}
    spec = {"program": "trace-1", "done_s": 1000}

    provider.call(
        "POST",
        "/v1/pools/empty-gpu/jobs",
        {**body, "spec": spec},
        headers={"Idempotency-Key": "r1"},
    )
    provider.terminate()
    provider.start(ticks=20)
    _, job = provider.call("GET", "/v1/pools/empty-gpu/jobs/r1")

    assert job["finished_at"] == "2023-05-25T16:09:37Z"  # 1277 s less the 1000 s that are done


def test_what_waits_or_is_short_is_not_stopped_at_a_checkpoint(provider):
    provider.start(ticks=1)
    provider.submit("empty-gpu", "short", duration_s=3600, program="nobody-knows-it")

    status, problem = provider.call("POST", "/v1/pools/empty-gpu/jobs/short/checkpoint")

    assert (status, problem["code"]) == (409, "job-not-stoppable")
