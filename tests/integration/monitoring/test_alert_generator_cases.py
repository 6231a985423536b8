"""The cases of Prometheus' alert generator compliance, walked through on the real database.

Those about PromQL, templates' functions and the `ALERTS` series have nothing here to hold
against: rules look at the grid's own figures. Where the grid differs on purpose (missing data
does not end an alert; an alert may have to be quiet for a while) a test says so.
"""

import datetime as dt

import pytest
import time_machine

from controlplane.auth.authentication import actor_of
from monitoring import selectors, services
from monitoring.domain.alerting.rules import (
    AlertRule,
    BadAlertRule,
    Comparison,
    Level,
    Metric,
    read_alert_rule,
    write_alert_rule,
)
from monitoring.domain.alerts import AlertState
from monitoring.models import Alert, ProviderTally
from monitoring.models import AlertRule as AlertRuleRow
from tests.conftest import GRID_NOW
from tests.factories import make_pool, report, sample

pytestmark = pytest.mark.django_db
EVERY_S = 10
RESEND_S = 60
SECOND = dt.timedelta(seconds=1)
BUSY, CALM = 90.0, 10.0


class Walk:
    """Goes ahead an evaluation at a time: telemetry, then the rules, then the messages."""

    def __init__(self, receiver, traveller, admin):
        self.receiver, self.traveller = receiver, traveller
        self.seconds = 0
        self.sent = []
        document = {"name": "manager", "url": receiver.url, "form": "alertmanager"}
        document |= {"resend_s": RESEND_S}
        document |= {"match": {"alertname": ["HOT", "HOTTER"]}}
        services.add_target(actor_of(admin), document, now=self.now)

    @property
    def now(self):
        return GRID_NOW + self.seconds * SECOND

    def rule(self, name="HOT", *, for_s=0.0, threshold=0.5, **more):
        rule = AlertRule(
            name, Metric.UTILIZATION, Level.POOL, Comparison.ABOVE, threshold, for_s=for_s, **more
        )
        AlertRuleRow.objects.create(
            **write_alert_rule(rule), changed_by="test", changed_at=self.now
        )

    def look(self, **allocated):
        """Report each pool's load (None: nothing), look once, tell, go ahead."""
        for name, units in allocated.items():
            if units is not None:
                pool = make_pool(name, region="CN-BJ", provider="beiyun", stale_after_s=5.0)
                report("beiyun", [sample(pool.code, self.now, allocated=units)], now=self.now)
        services.evaluate_alerts(self.now)
        services.tell_targets(self.now)
        messages = self.receiver.take()
        self.sent += [(self.seconds, alert) for message in messages for alert in message]
        self.seconds += EVERY_S
        self.traveller.move_to(self.now)
        return self

    def until(self, seconds, **allocated):
        """Look until a time, which is not looked at any more."""
        while self.seconds < seconds:
            self.look(**allocated)
        return self

    def states(self, kind="HOT"):
        return list(Alert.objects.filter(kind=kind).order_by("pk").values_list("state", flat=True))

    def sent_at(self):
        return [seconds for seconds, _ in self.sent]


@pytest.fixture
def walk(receiver, grid_admin):
    with time_machine.travel(GRID_NOW, tick=False) as traveller:
        yield Walk(receiver, traveller, grid_admin)


def moment(text):
    return dt.datetime.fromisoformat(text.replace("Z", "+00:00"))


def test_pending_then_firing_then_resolved(walk):
    walk.rule(for_s=120.0, labels={"foo": "bar"}, annotations={"summary": "{name} {value}"})

    walk.until(60, a=CALM).until(180, a=BUSY)
    assert walk.states() == [AlertState.PENDING]
    assert walk.sent == []
    walk.until(370, a=BUSY).until(400, a=CALM)

    alert = Alert.objects.get(kind="HOT")
    assert alert.pending_at == GRID_NOW + 60 * SECOND
    assert alert.fired_at == GRID_NOW + 180 * SECOND
    assert alert.resolved_at == GRID_NOW + 370 * SECOND
    firing = [(at, told) for at, told in walk.sent if at < 370]
    assert [at for at, _ in firing] == [180, 240, 300, 360]
    labels = {"alertname": "HOT", "severity": "warning", "pool": "a", "region": "CN-BJ"}
    for at, told in firing:
        assert told["labels"] == labels | {"foo": "bar"}
        assert told["annotations"] == {"summary": "a 0.9"}
        assert moment(told["startsAt"]) == alert.fired_at
        assert moment(told["endsAt"]) == GRID_NOW + (at + 4 * RESEND_S) * SECOND
        assert "HOT" in told["generatorURL"]


def test_that_an_alert_is_over_is_told_at_once_and_for_fifteen_minutes(walk):
    walk.rule()

    walk.until(20, a=BUSY).until(20 + 17 * 60, a=CALM)

    over = [(at, told) for at, told in walk.sent if at >= 20]
    assert [at for at, _ in over] == list(range(20, 20 + 15 * 60, RESEND_S))
    assert {moment(told["endsAt"]) for _, told in over} == {GRID_NOW + 20 * SECOND}
    assert {moment(told["startsAt"]) for _, told in over} == {GRID_NOW}


def test_what_was_only_pending_or_never_active_is_not_told(walk):
    walk.rule(for_s=60.0)
    walk.rule("HOTTER", threshold=0.99)

    walk.until(50, a=BUSY).until(200, a=CALM)

    assert walk.states() == [AlertState.RESOLVED]
    assert Alert.objects.get(kind="HOT").fired_at is None
    assert walk.states("HOTTER") == []
    assert walk.sent == []


def test_without_a_for_an_alert_fires_when_it_is_first_seen(walk):
    walk.rule()

    walk.look(a=BUSY)

    alert = Alert.objects.get(kind="HOT")
    assert (alert.state, alert.pending_at, alert.fired_at) == (
        AlertState.FIRING,
        GRID_NOW,
        GRID_NOW,
    )
    assert walk.sent_at() == [0]


def test_a_for_shorter_than_the_interval_fires_at_the_second_look(walk):
    walk.rule(for_s=5.0)

    walk.look(a=BUSY)
    assert walk.states() == [AlertState.PENDING]
    walk.look(a=BUSY)

    assert walk.states() == [AlertState.FIRING]
    assert walk.sent_at() == [10]


def test_an_alert_that_comes_later_has_a_time_of_its_own(walk):
    walk.rule(for_s=60.0)

    walk.until(40, a=BUSY).until(110, a=BUSY, b=BUSY)

    fired = dict(Alert.objects.filter(kind="HOT").values_list("scope", "fired_at"))
    assert fired == {"pool:a": GRID_NOW + 60 * SECOND, "pool:b": GRID_NOW + 100 * SECOND}
    first_told = {}
    for at, told in walk.sent:
        first_told.setdefault(told["labels"]["pool"], at)
    assert first_told == {"a": 60, "b": 100}


def test_the_newest_annotations_are_told(walk):
    walk.rule(annotations={"summary": "{value}"})

    walk.until(60, a=80.0).until(70, a=95.0)

    assert [told["annotations"]["summary"] for _, told in walk.sent] == ["0.8", "0.95"]


def test_the_same_trouble_again_is_a_new_alert_and_the_old_end_is_no_longer_told(walk):
    walk.rule(for_s=30.0)

    walk.until(40, a=BUSY).until(50, a=CALM).until(200, a=BUSY)

    first, second = Alert.objects.filter(kind="HOT").order_by("pk")
    assert (first.state, second.state) == (AlertState.RESOLVED, AlertState.FIRING)
    assert second.pending_at == GRID_NOW + 50 * SECOND
    assert second.fired_at == GRID_NOW + 80 * SECOND
    assert first.fingerprint == second.fingerprint
    newer = [moment(told["startsAt"]) for at, told in walk.sent if at >= 80]
    assert newer
    assert set(newer) == {second.fired_at}


def test_two_alerts_cannot_have_the_same_labels():
    rule = AlertRule("HOT", Metric.UTILIZATION, Level.POOL, Comparison.ABOVE, 0.5)
    document = write_alert_rule(rule)

    for label in ("alertname", "pool", "provider", "region", "severity"):
        with pytest.raises(BadAlertRule, match=label):
            read_alert_rule({**document, "labels": {label: "same"}})


def test_it_keeps_firing_for_as_long_as_the_rule_says(walk):
    walk.rule(keep_firing_for_s=60.0)

    walk.until(20, a=BUSY).until(40, a=CALM).until(50, a=BUSY).until(150, a=CALM)

    alert = Alert.objects.get(kind="HOT")
    assert alert.quiet_since == GRID_NOW + 50 * SECOND
    assert alert.resolved_at == GRID_NOW + 110 * SECOND


@pytest.mark.parametrize(
    ("for_s", "state"),
    [
        pytest.param(60.0, AlertState.PENDING, id="pending"),
        pytest.param(0.0, AlertState.FIRING, id="firing"),
    ],
)
def test_missing_data_leaves_an_alert_as_it_is_and_marks_it(walk, for_s, state):
    walk.rule(for_s=for_s)

    walk.until(20, a=BUSY).until(300, a=None)

    (view,) = (view for view in selectors.recent_alerts(walk.now) if view.kind == "HOT")
    assert view.state == state
    assert view.pending_at == GRID_NOW
    assert view.unknown_since == GRID_NOW + 20 * SECOND


def test_what_fires_without_data_is_still_told(walk):
    walk.rule()

    walk.until(20, a=BUSY).until(200, a=None)

    assert walk.sent_at() == [0, 60, 120, 180]


def test_a_stop_of_everything_while_pending_keeps_the_beginning(walk):
    walk.rule(for_s=120.0)
    walk.until(30, a=BUSY)

    walk.seconds = 150
    walk.traveller.move_to(walk.now)
    walk.look(a=BUSY)

    alert = Alert.objects.get(kind="HOT")
    assert (alert.pending_at, alert.fired_at) == (GRID_NOW, GRID_NOW + 150 * SECOND)


def test_a_pool_that_is_taken_out_of_the_inventory_has_no_alert_any_more(walk):
    walk.rule(only={"pools": ("a",)})
    walk.look(a=BUSY)
    AlertRuleRow.objects.filter(name="HOT").update(only={"pools": ["b"]})

    walk.look(a=BUSY)

    assert walk.states() == [AlertState.RESOLVED]


def test_disabling_a_rule_ends_its_alerts_and_tells_so(walk):
    walk.rule(keep_firing_for_s=3600.0)
    walk.look(a=BUSY)
    AlertRuleRow.objects.filter(name="HOT").update(is_enabled=False)

    walk.look(a=BUSY)

    assert walk.states() == [AlertState.RESOLVED]
    assert [moment(told["endsAt"]) for at, told in walk.sent if at == 10] == [
        GRID_NOW + 10 * SECOND
    ]


def test_samples_sent_again_after_a_restart_of_their_sender_change_no_alert(walk):
    walk.rule()
    walk.rule("HOTTER", threshold=0.8, for_s=30.0)
    past = [sample("a", GRID_NOW + at * SECOND, allocated=BUSY) for at in range(0, 100, EVERY_S)]
    walk.until(100, a=BUSY).until(130, a=CALM)
    before = list(Alert.objects.order_by("pk").values("pk", "state", "fired_at", "resolved_at"))
    told = len(walk.sent)

    answer = report("beiyun", past, now=walk.now)
    walk.look(a=CALM)

    assert (answer.duplicate, answer.accepted) == (10, 0)
    assert ProviderTally.objects.get().duplicate == 10
    assert list(Alert.objects.order_by("pk").values(*before[0])) == before
    assert len(walk.sent) == told
