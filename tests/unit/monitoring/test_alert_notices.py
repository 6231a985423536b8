"""What is told of alerts, in which groups, and when again."""

import datetime as dt
import json

from hypothesis import given
from hypothesis import strategies as st

from monitoring.domain.alerting.notices import (
    NEVER,
    GroupState,
    TargetFormat,
    TargetTerms,
    Told,
    alertmanager_body,
    fingerprint,
    plan_notices,
    retry_after_s,
    webhook_body,
)

T0 = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
MINUTE = dt.timedelta(minutes=1)
TERMS = TargetTerms("hook", TargetFormat.WEBHOOK, resend_s=3600.0, group_interval_s=30.0)


def told(key, *, name="SHORT", region="CN-BJ", severity="warning", started=0, ended=None, **more):
    labels = {"alertname": name, "severity": severity, "region": region}
    return Told(
        key=key,
        fingerprint=fingerprint(labels),
        labels=labels,
        annotations={"summary_en": f"{region} is short"},
        started_at=T0 + started * MINUTE,
        ended_at=None if ended is None else T0 + ended * MINUTE,
        **more,
    )


def due(alerts, states=(), *, minutes=0.0, terms=TERMS):
    notices = plan_notices(terms, alerts, dict(states), now=T0 + minutes * MINUTE)
    return [notice for notice in notices if notice.is_due]


def after(notice, *, minutes=0.0):
    return {notice.group_key: GroupState(dict(notice.told), T0 + minutes * MINUTE)}


def test_alerts_of_one_group_come_in_one_message():
    alerts = [told("1"), told("2", region="CN-GD"), told("3", name="SILENT")]

    first, second = due(alerts)

    assert [alert.key for alert in first.alerts] == ["1", "2"]
    assert first.group_key == '{alertname="SHORT"}'
    assert [alert.key for alert in second.alerts] == ["3"]


def test_what_was_told_is_not_told_again_before_its_time():
    (notice,) = due([told("1")])

    assert due([told("1")], after(notice).items(), minutes=59) == []
    assert len(due([told("1")], after(notice).items(), minutes=60)) == 1


def test_news_wait_for_the_groups_interval_only():
    (notice,) = due([told("1")])
    news = [told("1"), told("2", region="CN-GD")]

    assert due(news, after(notice).items(), minutes=0.4) == []
    assert len(due(news, after(notice).items(), minutes=0.5)) == 1


def test_an_end_is_told_once():
    (notice,) = due([told("1")])
    over = [told("1", ended=5)]

    (end,) = due(over, after(notice).items(), minutes=5)

    assert [alert.is_firing for alert in end.alerts] == [False]
    assert due(over, after(end, minutes=5).items(), minutes=500) == []


def test_an_end_is_not_told_to_who_does_not_want_it_or_did_not_hear_the_beginning():
    quiet = TargetTerms("hook", TargetFormat.WEBHOOK, send_resolved=False)
    (notice,) = due([told("1")], terms=quiet)

    assert due([told("1", ended=5)], after(notice).items(), minutes=5, terms=quiet) == []
    assert due([told("1", ended=5)], minutes=5) == []


def test_what_is_back_is_told_as_firing_only():
    (notice,) = due([told("1")])
    again = [told("1", ended=5, is_back=True), told("2", started=6)]

    (news,) = due(again, after(notice).items(), minutes=6)

    assert [alert.key for alert in news.alerts] == ["2"]


def test_an_end_is_told_though_the_trouble_is_about_to_come_back():
    (notice,) = due([told("1")])

    (end,) = due([told("1", ended=5, is_back=True)], after(notice).items(), minutes=5)

    assert [alert.key for alert in end.alerts] == ["1"]


def test_only_what_matches_is_told_and_to_its_end():
    terms = TargetTerms("hook", TargetFormat.WEBHOOK, match={"severity": ("critical",)})
    (notice,) = due([told("1", severity="critical"), told("2", region="CN-GD")], terms=terms)
    milder = [told("1", severity="warning", ended=9)]

    (end,) = due(milder, after(notice).items(), minutes=9, terms=terms)

    assert [alert.key for alert in notice.alerts] == ["1"]
    assert [alert.key for alert in end.alerts] == ["1"]


def test_a_webhook_message_has_the_members_of_alertmanagers_format():
    (notice,) = due([told("1"), told("2", region="CN-GD")])

    body = json.loads(json.dumps(webhook_body(TERMS, notice, external_url="https://grid")))

    assert body["version"] == "4"
    assert body["status"] == "firing"
    assert body["receiver"] == "hook"
    assert body["groupKey"] == '{}:{alertname="SHORT"}'
    assert body["groupLabels"] == {"alertname": "SHORT"}
    assert body["commonLabels"] == {"alertname": "SHORT", "severity": "warning"}
    assert body["commonAnnotations"] == {}
    assert body["truncatedAlerts"] == 0
    assert body["alerts"][0]["endsAt"] == NEVER
    assert body["alerts"][0]["startsAt"] == "2026-01-01T00:00:00.000Z"
    assert len({alert["fingerprint"] for alert in body["alerts"]}) == 2


def test_a_message_is_over_when_all_in_it_is_over():
    (notice,) = due([told("1"), told("2", region="CN-GD")])
    partly = [told("1", ended=5), told("2", region="CN-GD")]
    (half,) = due(partly, after(notice).items(), minutes=5)
    wholly = [told("1", ended=5), told("2", region="CN-GD", ended=6)]
    (whole,) = due(wholly, after(half, minutes=5).items(), minutes=6)

    bodies = [webhook_body(TERMS, part, external_url="") for part in (half, whole)]

    assert [body["status"] for body in bodies] == ["firing", "resolved"]
    assert [alert["status"] for alert in bodies[0]["alerts"]] == ["firing", "resolved"]
    assert len(bodies[1]["alerts"]) == 1


def test_a_large_message_is_cut_and_says_so():
    (notice,) = due([told(str(n), region=f"R{n}") for n in range(130)])

    body = webhook_body(TERMS, notice, external_url="")

    assert (len(body["alerts"]), body["truncatedAlerts"]) == (100, 30)


def test_a_firing_alert_leases_four_resends_from_an_alertmanager():
    terms = TargetTerms("am", TargetFormat.ALERTMANAGER, group_by=(), resend_s=60.0)
    (notice,) = due([told("1"), told("2", name="SILENT")], terms=terms)

    body = alertmanager_body(terms, notice, external_url="", now=T0 + MINUTE)

    assert [alert["endsAt"] for alert in body] == ["2026-01-01T00:05:00.000Z"] * 2
    assert {*body[0]} == {"labels", "annotations", "startsAt", "endsAt", "generatorURL"}


def test_the_fingerprint_stands_for_the_labels_but_their_severity():
    one = told("1", severity="warning")
    same = told("2", severity="critical")
    other = told("3", region="CN-GD")

    assert one.fingerprint == same.fingerprint != other.fingerprint
    assert len(one.fingerprint) == 16


@given(st.integers(1, 10_000))
def test_retries_come_ever_more_slowly_and_never_stop(failures):
    assert 2.0 <= retry_after_s(failures) <= retry_after_s(failures + 1) <= 300.0


@given(
    st.lists(st.tuples(st.integers(0, 3), st.booleans(), st.booleans()), min_size=1, max_size=25)
)
def test_whatever_gets_through_the_target_knows_in_the_end_what_fires(course):
    """Each step begins or ends one of four troubles; the message gets through, or does not."""
    alerts, states, heard, serial = {}, {}, {}, 0
    terms = TargetTerms("hook", TargetFormat.WEBHOOK, group_interval_s=0.0)
    steps = [*course, *[(trouble, None, True) for trouble in range(4)]]
    for minute, (trouble, is_there, gets_through) in enumerate(steps):
        region = f"R{trouble}"
        is_open = region in alerts and alerts[region][1] is None
        if is_there and not is_open:
            serial += 1
            alerts[region] = (serial, None, minute)
        elif is_there is False and is_open:
            alerts[region] = (alerts[region][0], minute, alerts[region][2])
        present = [
            told(str(key), region=name, started=start, ended=end)
            for name, (key, end, start) in alerts.items()
        ]
        for notice in due(present, states.items(), minutes=minute, terms=terms):
            if gets_through:
                states |= after(notice, minutes=minute)
                for alert in webhook_body(terms, notice, external_url="")["alerts"]:
                    heard[alert["labels"]["region"]] = alert["status"]

    firing = {name for name, (_, end, _) in alerts.items() if end is None}
    assert {name for name, status in heard.items() if status == "firing"} == firing
