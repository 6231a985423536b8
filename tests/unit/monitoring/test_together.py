"""Requests that wait for each other are stored together, and none suffers from another."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from monitoring.ingest import together
from monitoring.ingest.together import Together

LONG_S = 10.0


class Push:
    """A request of some samples."""

    def __init__(self, name, samples=10, *, weight=0, is_poisoned=False):
        self.name, self.samples, self.weight = name, samples, weight
        self.is_poisoned = is_poisoned

    def __len__(self):
        return self.samples

    def size_bytes(self):
        return self.weight

    def may_join(self, first):
        return self.name[0] == first.name[0]


class Desk:
    """Stores nothing, but notes who came with whom; the first group waits until it is let go."""

    def __init__(self, turns=1):
        self.groups, self.failed = [], []
        self.is_open = threading.Event()
        self.together = Together(self.store, turns=turns)

    def store(self, sender, pushes):
        names = [push.name for push in pushes]
        self.groups.append(names)
        assert self.is_open.wait(LONG_S)
        if any(push.is_poisoned for push in pushes):
            self.failed.append(names)
            raise ValueError("poisoned")
        return [f"{sender}:{name}" for name in names]

    def run(self, *pushes, sender="p"):
        """Let the first one begin, the others come one after the other, and then let all go."""
        with ThreadPoolExecutor(len(pushes)) as threads:
            found = []
            for number, push in enumerate(pushes):
                found.append(threads.submit(self.together.take, sender, push))
                self.wait_for(lambda number=number: self.come(sender) == number)
            self.is_open.set()
            return [self.outcome(one) for one in found]

    def come(self, sender):
        if not self.groups:
            return -1
        desk = self.together._desks[sender]
        return desk.turns_taken - 1 + len(desk.queue)

    @staticmethod
    def outcome(future):
        error = future.exception(LONG_S)
        return error if error else future.result()

    @staticmethod
    def wait_for(is_so):
        until = time.monotonic() + LONG_S
        while not is_so():
            assert time.monotonic() < until
            time.sleep(0.001)


def test_a_request_that_waits_for_nobody_goes_alone_and_leaves_nothing_behind():
    desk = Desk()
    desk.is_open.set()

    answers = [desk.together.take("p", Push(name)) for name in ("a1", "a2")]

    assert answers == ["p:a1", "p:a2"]
    assert desk.groups == [["a1"], ["a2"]]
    assert desk.together._desks == {}


def test_those_that_come_meanwhile_are_stored_together_in_their_order():
    desk = Desk()

    answers = desk.run(*(Push(f"a{number}") for number in range(5)))

    assert answers == [f"p:a{number}" for number in range(5)]
    assert desk.groups == [["a0"], ["a1", "a2", "a3", "a4"]]
    assert desk.together._desks == {}


def test_what_does_not_fit_gets_a_turn_of_its_own(monkeypatch):
    monkeypatch.setattr(together, "MAX_BYTES", 100)
    desk = Desk()
    half = together.MAX_SAMPLES // 2
    pushes = (
        *(Push("a0"), Push("a1", half), Push("a2", half + 1), Push("b3"), Push("a4", half)),
        *(Push("a5", 0, weight=60), Push("a6", 0, weight=60)),
    )

    answers = desk.run(*pushes)

    assert answers == [f"p:{push.name}" for push in pushes]
    assert desk.groups == [["a0"], ["a1", "a4", "a5"], ["a2", "a6"], ["b3"]]


def test_a_poisoned_request_alone_hears_of_it():
    desk = Desk()

    answers = desk.run(Push("a0"), Push("a1"), Push("a2", is_poisoned=True), Push("a3"))

    assert answers[0:2] + answers[3:] == ["p:a0", "p:a1", "p:a3"]
    assert isinstance(answers[2], ValueError)
    assert sorted(desk.failed) == [["a1", "a2", "a3"], ["a2"]]
    assert desk.together._desks == {}


def test_a_leader_that_fails_passes_its_turn_on():
    desk = Desk()

    answers = desk.run(Push("a0", is_poisoned=True), Push("a1"), Push("a2"))

    assert isinstance(answers[0], ValueError)
    assert answers[1:] == ["p:a1", "p:a2"]
    assert desk.groups == [["a0"], ["a1", "a2"]]


def test_a_request_that_cannot_even_be_weighed_is_not_waited_for():
    class Broken(Push):
        def size_bytes(self):
            raise TypeError("no size")

    desk = Desk()

    answers = desk.run(Push("a0"), Push("a1"), Broken("a2"), Push("a3"))

    assert answers == ["p:a0", "p:a1", "p:a2", "p:a3"]


def test_several_turns_may_be_taken_at_once_and_no_request_in_two_of_them():
    desk = Desk(turns=2)

    answers = desk.run(*(Push(f"a{number}") for number in range(6)))

    assert answers == [f"p:a{number}" for number in range(6)]
    assert desk.groups[:2] == [["a0"], ["a1"]]
    assert sorted(name for group in desk.groups[2:] for name in group) == ["a2", "a3", "a4", "a5"]
    assert desk.together._desks == {}


def test_senders_do_not_wait_for_each_other():
    desk = Desk()

    with ThreadPoolExecutor(2) as threads:
        slow = threads.submit(desk.together.take, "p", Push("a0"))
        desk.wait_for(lambda: desk.groups)
        other = threads.submit(desk.together.take, "q", Push("a1"))
        desk.wait_for(lambda: len(desk.groups) == 2)
        desk.is_open.set()

    assert (slow.result(), other.result()) == ("p:a0", "q:a1")


@pytest.mark.parametrize("turns", [1, 2])
def test_every_one_of_many_gets_its_own_answer(turns):
    threads_count = 16
    desk = Desk(turns)
    desk.is_open.set()

    def send(sender):
        pushes = [Push(f"a{sender}-{n}", is_poisoned=n % 7 == 3) for n in range(50)]
        found = []
        for push in pushes:
            try:
                found.append(desk.together.take("p", push) == f"p:{push.name}")
            except ValueError:
                found.append(push.is_poisoned)
        return found

    with ThreadPoolExecutor(threads_count) as threads:
        outcomes = [
            is_right for found in threads.map(send, range(threads_count)) for is_right in found
        ]

    assert len(outcomes) == 50 * threads_count
    assert all(outcomes)
    assert desk.together._desks == {}
