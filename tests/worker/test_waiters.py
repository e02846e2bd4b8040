"""Tasks that wait for the same thing."""

from __future__ import annotations

import asyncio

from sdserve.worker.waiters import Waiters


async def start(waiters, number):
    tasks = [asyncio.ensure_future(waiters.wait()) for _ in range(number)]
    await asyncio.sleep(0)
    return tasks


def test_all_go_on():
    async def main():
        waiters = Waiters(asyncio.get_running_loop())
        tasks = await start(waiters, 3)
        waiters.wake()
        await asyncio.gather(*tasks)
        waiters.wake()  # nobody waits, which is fine

    asyncio.run(main())


def test_who_comes_later_waits_for_the_next():
    async def main():
        waiters = Waiters(asyncio.get_running_loop())
        waiters.wake()
        (task,) = await start(waiters, 1)
        assert not task.done()
        waiters.wake()
        await task

    asyncio.run(main())


def test_cancelling_one_leaves_the_others():
    async def main():
        waiters = Waiters(asyncio.get_running_loop())
        first, second, third = await start(waiters, 3)
        first.cancel()
        await asyncio.sleep(0)
        third.cancel()  # its future is cancelled by now, and it has not been told yet
        waiters.wake()
        await second
        assert first.cancelled()
        await asyncio.gather(third, return_exceptions=True)
        assert third.cancelled()

    asyncio.run(main())
