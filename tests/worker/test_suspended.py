"""Where a task waits, as the log tells it."""

from __future__ import annotations

import asyncio

from sdserve.worker.suspended import position


def position_of(coroutine):
    """What is said of a task with this coroutine while it waits."""

    async def main():
        task = asyncio.ensure_future(coroutine)
        await asyncio.sleep(0)
        said = position(task)
        task.cancel()
        await asyncio.wait([task])
        return said, position(task)

    return asyncio.run(main())


async def waits():
    await asyncio.get_running_loop().create_future()


async def calls():
    await waits()


async def generates():
    await waits()
    yield


async def iterates():
    async for _ in generates():
        pass


class Awaitable:
    def __await__(self):
        yield from waits().__await__()


async def awaits_an_object():
    await Awaitable()


async def deep(levels):
    await (deep(levels - 1) if levels else waits())


def names(said):
    """The functions, innermost first; files and lines have the form that editors understand."""
    parts = [part.partition(" in ") for part in said.split(", ")]
    for place, _, _ in parts:
        file, _, line = place.partition(":")
        assert file == "test_suspended.py"
        assert int(line) > 0
    return [name for _, _, name in parts]


def test_the_innermost_frame_comes_first():
    said, after = position_of(calls())
    assert names(said) == ["waits", "calls"]
    assert after == "its end"


def test_an_object_with_an_await_method():
    assert names(position_of(awaits_an_object())[0])[-1] == "awaits_an_object"


def test_an_iteration_is_followed_as_far_as_python_tells():
    assert names(position_of(iterates())[0])[-1] == "iterates"


def test_no_more_than_the_innermost_three_are_told():
    assert names(position_of(deep(10))[0]) == ["waits", "deep", "deep"]


def test_a_chain_without_end_is_given_up():
    assert names(position_of(deep(120))[0]) == ["deep", "deep", "deep"]
