"""The hub builds once, encodes once, and lets nobody's slowness cost another viewer."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import orjson
import pytest
from channels.layers import InMemoryChannelLayer

from dash_app.hub import GROUP, FrameHub, HubTiming, Mailbox

QUICK = HubTiming(least_s=0.02, most_s=0.05, rejoin_s=60.0, silence_s=60.0, retry_s=0.01)
PATIENT = HubTiming(least_s=0.02, most_s=60.0, rejoin_s=60.0, silence_s=60.0, retry_s=0.01)


class Builder:
    """Counts how often it was asked, and fails as often as it was told to."""

    def __init__(self, failures: int = 0) -> None:
        self.calls = 0
        self.failures = failures

    async def __call__(self) -> Mapping[str, Any]:
        self.calls += 1
        if self.calls <= self.failures:
            raise ConnectionError("database away")
        return {"v": 1, "call": self.calls}


class BrokenLayer(InMemoryChannelLayer):
    """Cannot be joined, like a broker that is away."""

    async def group_add(self, group: str, channel: str) -> None:
        raise ConnectionError("broker away")


class CountingLayer(InMemoryChannelLayer):
    """Counts how often a channel joined the group."""

    def __init__(self) -> None:
        super().__init__()
        self.joins = 0

    async def group_add(self, group: str, channel: str) -> None:
        self.joins += 1
        await super().group_add(group, channel)


@asynccontextmanager
async def viewing(hub: FrameHub) -> AsyncIterator[Mailbox]:
    mailbox = hub.join()
    try:
        yield mailbox
    finally:
        await hub.leave(mailbox)


async def frame_from(mailbox: Mailbox) -> Any:
    return orjson.loads(await asyncio.wait_for(mailbox.get(), 5))


async def until(condition: Any) -> None:
    async with asyncio.timeout(5):
        while not condition():
            await asyncio.sleep(0.005)


async def test_a_frame_is_built_and_encoded_once_for_all_viewers():
    builder = Builder()
    hub = FrameHub(builder, lambda: None, PATIENT)

    mailboxes = [hub.join() for _ in range(50)]
    texts = [await asyncio.wait_for(mailbox.get(), 5) for mailbox in mailboxes]
    for mailbox in mailboxes:
        await hub.leave(mailbox)

    assert builder.calls == 1
    assert hub.frames_encoded == 1
    # the very same object: encoded once, shared by all
    assert all(text is texts[0] for text in texts)


async def test_a_new_viewer_gets_the_newest_frame_at_once():
    hub = FrameHub(Builder(), lambda: None, PATIENT)

    async with viewing(hub) as early:
        first = await frame_from(early)
        async with viewing(hub) as late:
            second = await frame_from(late)

    assert second == first


async def test_a_slow_viewer_gets_the_newest_frame_and_none_in_between():
    hub = FrameHub(Builder(), lambda: None, QUICK)

    async with viewing(hub) as slow:
        await until(lambda: hub.frames_encoded >= 5)
        encoded = hub.frames_encoded
        frame = await frame_from(slow)

    assert frame["seq"] >= encoded


async def test_a_slow_viewer_does_not_delay_another():
    hub = FrameHub(Builder(), lambda: None, QUICK)

    async with viewing(hub), viewing(hub) as quick:
        seen = [(await frame_from(quick))["seq"] for _ in range(4)]

    assert seen == sorted(set(seen))


async def test_a_hint_brings_the_next_frame_before_its_time():
    layer = InMemoryChannelLayer()
    hub = FrameHub(Builder(), lambda: layer, PATIENT)

    async with viewing(hub) as mailbox:
        await frame_from(mailbox)
        await until(lambda: layer.groups.get(GROUP))
        await layer.group_send(GROUP, {"type": "grid.event"})
        frame = await frame_from(mailbox)

    assert frame["seq"] == 2


async def test_many_hints_together_bring_at_most_one_frame_per_interval():
    layer = InMemoryChannelLayer()
    builder = Builder()
    timing = HubTiming(least_s=0.3, most_s=60.0)
    hub = FrameHub(builder, lambda: layer, timing)

    async with viewing(hub) as mailbox:
        await frame_from(mailbox)
        await until(lambda: layer.groups.get(GROUP))
        for _ in range(40):
            await layer.group_send(GROUP, {"type": "grid.event"})
        await frame_from(mailbox)

    assert builder.calls == 2


async def test_nothing_is_built_while_nobody_looks():
    builder = Builder()
    hub = FrameHub(builder, lambda: None, QUICK)

    async with viewing(hub) as mailbox:
        await frame_from(mailbox)
    calls = builder.calls
    await asyncio.sleep(0.15)

    assert builder.calls == calls
    assert hub.viewers == 0


async def test_a_viewer_after_a_pause_gets_a_new_frame_and_not_the_old_one():
    hub = FrameHub(Builder(), lambda: None, PATIENT)
    async with viewing(hub) as mailbox:
        before = await frame_from(mailbox)

    async with viewing(hub) as mailbox:
        after = await frame_from(mailbox)

    assert after["call"] == before["call"] + 1


async def test_a_frame_that_could_not_be_built_is_tried_again():
    hub = FrameHub(Builder(failures=2), lambda: None, QUICK)

    async with viewing(hub) as mailbox:
        frame = await frame_from(mailbox)

    assert frame["call"] == 3


async def test_frames_keep_coming_when_the_broker_is_away():
    hub = FrameHub(Builder(), BrokenLayer, QUICK)

    async with viewing(hub) as mailbox:
        seen = [(await frame_from(mailbox))["seq"] for _ in range(3)]

    assert seen == [1, 2, 3]


@pytest.mark.parametrize(
    "timing",
    [
        pytest.param(HubTiming(silence_s=0.03), id="after silence"),
        pytest.param(HubTiming(rejoin_s=0.03, silence_s=0.01), id="after the rejoin time"),
    ],
)
async def test_the_group_is_joined_again(timing):
    layer = CountingLayer()
    hub = FrameHub(Builder(), lambda: layer, timing)

    async with viewing(hub) as mailbox:
        await frame_from(mailbox)
        await until(lambda: layer.joins >= 3)

    assert not layer.groups.get(GROUP)


async def test_frames_are_numbered_within_one_epoch():
    hub = FrameHub(Builder(), lambda: None, QUICK)

    async with viewing(hub) as mailbox:
        frames = [await frame_from(mailbox) for _ in range(3)]

    assert [frame["seq"] for frame in frames] == [1, 2, 3]
    assert {frame["epoch"] for frame in frames} == {hub.epoch}
