"""The senders of the overload drill: unique samples that can be computed from their names."""

import http.client
import itertools
import json
import re
import threading
import time
import urllib.parse
from collections import Counter
from dataclasses import dataclass

import numpy as np
import pandas as pd
import rig

from tests.runtime.set_senders import FORMATS, Row
from tests.runtime.set_stack import SENDERS

THREADS = 40
EAGER_THREADS = 10
FORMS = ("json", "arrow")
ANSWER_WITHIN_S = 30.0
# one sample follows the other so closely; senders of one pool lie between, a millisecond apart
STEP_MS = 50
BACK_S = 20 * 3600


@dataclass(frozen=True)
class Channel:
    """One sender: its key, its pool, and the milliseconds that are its own."""

    provider: str
    key: str
    pool: str
    capacity: float
    offset_ms: int
    form: str


@dataclass(frozen=True)
class Plan:
    """Who pushes where in one phase."""

    port: int
    first_second: int
    rows: int
    channels: tuple


def make_plans(grid, options, *, phases):
    """Return a plan for each phase, whose samples no other phase has."""
    inventory = json.loads((rig.PROJECT / "fixtures" / "grid.json").read_text(encoding="utf-8"))
    sites = {site["code"]: site["provider"] for site in inventory["sites"]}
    pools = {name: [] for name in SENDERS}
    for pool in inventory["pools"]:
        pools.get(sites[pool["site"]], []).append(pool)
    keys = {name: (grid.folder.run / "keys" / name).read_text() for name in SENDERS}
    offsets = Counter()
    plans = []
    for _ in range(phases):
        channels = []
        for number in range(THREADS):
            provider = SENDERS[number % len(SENDERS)]
            own = pools[provider]
            pool = own[number // len(SENDERS) % len(own)]
            offset, form = offsets[pool["code"]], FORMS[number % len(FORMS)]
            offsets[pool["code"]] += 1
            channels.append(
                Channel(
                    provider, keys[provider], pool["code"], float(pool["contract"]), offset, form
                )
            )
        first_second = int(grid.clock_s()) - BACK_S
        plans.append(Plan(grid.port, first_second, options.rows, tuple(channels)))
    return plans


def figures_of(capacity, offset_ms, index):
    """Return allocated and queued of samples by their number; arrays or single ones."""
    allocated = (index * 7_919 + offset_ms * 31) % (int(capacity) + 1)
    return allocated, (index * 13 + offset_ms) % 500


def run(plan, seconds, rate, results):
    """Push for a time and put down what became of each request.

    Args:
        plan: who pushes where.
        seconds: for how long.
        rate: requests a second, whatever is answered; None = each sender when it was answered.
        results: queue that takes the outcome.
    """
    channels = plan.channels if rate else plan.channels[:EAGER_THREADS]
    began = time.monotonic()
    senders = [
        _Sender(
            plan, channel, began, began + seconds, len(channels) / rate if rate else 0.0, number
        )
        for number, channel in enumerate(channels)
    ]
    for sender in senders:
        sender.start()
    for sender in senders:
        sender.join()
    results.put(
        {
            "rows": plan.rows,
            "tries": sum(len(sender.outcomes) for sender in senders),
            "outcomes": [sender.outcomes for sender in senders],
            "codes": dict(sum((sender.codes for sender in senders), Counter())),
            "retry_after": dict(sum((sender.retry_after for sender in senders), Counter())),
            "acknowledged_at_s": [at for sender in senders for at in sender.acknowledged_at_s],
            "refused_in_s": [took for sender in senders for took in sender.refused_in_s],
        }
    )


class _Sender(threading.Thread):
    """Pushes one request after the other; what is refused is not sent again."""

    def __init__(self, plan, channel, began, until, pause_s, number):
        super().__init__(daemon=True)
        self.plan, self.channel = plan, channel
        self.began, self.until, self.pause_s = began, until, pause_s
        self.next_at = began + pause_s * number / max(1, len(plan.channels))
        self.outcomes, self.acknowledged_at_s, self.refused_in_s = [], [], []
        self.codes, self.retry_after = Counter(), Counter()
        self.connection = None

    def run(self):
        for batch in itertools.count():
            now = time.monotonic()
            if max(now, self.next_at) >= self.until:
                return
            time.sleep(max(0.0, self.next_at - now))
            # who could not keep the pace does not catch up: that would be a heap, not a rate
            self.next_at = max(self.next_at + self.pause_s, time.monotonic() - self.pause_s)
            self.outcomes.append(self._push(batch))

    def _push(self, batch):
        path, headers, body = FORMATS[self.channel.form](list(self._rows(batch)))
        began = time.monotonic()
        try:
            status, retry_after, text = self._post(path, headers, body)
        except (OSError, http.client.HTTPException):
            self._close()
            self.codes["no-answer"] += 1
            return False
        if status == 200:
            self.codes["acknowledged"] += 1
            self.acknowledged_at_s.append(time.monotonic() - self.began)
            return True
        self.codes[_code_of(status, text)] += 1
        if status in (429, 503):
            self.refused_in_s.append(time.monotonic() - began)
            self.retry_after[retry_after or "none"] += 1
        return False

    def _rows(self, batch):
        channel, first = self.channel, batch * self.plan.rows
        for index in range(first, first + self.plan.rows):
            allocated, queued = figures_of(channel.capacity, channel.offset_ms, index)
            second = self.plan.first_second + (index * STEP_MS + channel.offset_ms) / 1000
            yield Row(channel.pool, second, channel.capacity, float(allocated), float(queued))

    def _post(self, path, headers, body):
        if self.connection is None:
            self.connection = http.client.HTTPConnection(
                "127.0.0.1", self.plan.port, timeout=ANSWER_WITHIN_S
            )
        headers = {"Authorization": f"Bearer {self.channel.key}", **headers}
        self.connection.request("POST", path, body, headers)
        answer = self.connection.getresponse()
        text = answer.read()
        if answer.will_close:
            self._close()
        return answer.status, answer.getheader("Retry-After"), text

    def _close(self):
        if self.connection is not None:
            self.connection.close()
            self.connection = None


def sent_frame(plan, found):
    """Return every sample that was sent in a phase: name, figures, whether it was acknowledged."""
    frames = []
    channels = plan.channels[: len(found["outcomes"])]
    for channel, outcomes in zip(channels, found["outcomes"], strict=True):
        index = np.arange(len(outcomes) * plan.rows)
        allocated, queued = figures_of(channel.capacity, channel.offset_ms, index)
        columns = {
            "pool": channel.pool,
            "ms": plan.first_second * 1000 + index * STEP_MS + channel.offset_ms,
            "capacity": channel.capacity,
            "allocated": allocated.astype(float),
            "queued": queued.astype(float),
            "is_acknowledged": np.repeat(np.array(outcomes, float), plan.rows),
        }
        frames.append(pd.DataFrame(columns))
    return pd.concat(frames)


def get(port, path, headers):
    """Return status and body of a GET on a connection of its own."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=ANSWER_WITHIN_S)
    try:
        connection.request("GET", path, headers=headers)
        answer = connection.getresponse()
        return answer.status, answer.read()
    except http.client.HTTPException as error:
        raise ConnectionError(str(error)) from error
    finally:
        connection.close()


def log_in(port, password):
    """Return the cookie of an operator who has logged in."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=ANSWER_WITHIN_S)
    connection.request("GET", "/login/")
    page = connection.getresponse()
    text = page.read().decode()
    token = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', text).group(1)
    cookie = page.getheader("Set-Cookie").partition(";")[0]
    form = {"username": "operator", "password": password, "csrfmiddlewaretoken": token}
    headers = {"Cookie": cookie, "Content-Type": "application/x-www-form-urlencoded"}
    connection.request("POST", "/login/", urllib.parse.urlencode(form), headers)
    answer = connection.getresponse()
    answer.read()
    found = re.search(r"sessionid=[^;]+", answer.getheader("Set-Cookie") or "")
    connection.close()
    if found is None:
        raise SystemExit(f"the operator could not log in: {answer.status}")
    return {"Cookie": found.group(0)}


def _code_of(status, text):
    try:
        return json.loads(text).get("code", f"status-{status}")
    except ValueError:
        return f"status-{status}"
