"""`python -m tests.load PLAN HOST PORT`: the client as a process of its own, led over its standard input.

PLAN is that of `Plan.to_json`. A command is a line: `start PHASE`, `mark PHASE`, `look`, `stop`. Each is
answered by one line of JSON: what has been counted so far, and after `stop` the report. At the end of the
input the process ends, whatever it is doing.
"""

from __future__ import annotations

import asyncio
import gc
import json
import sys

from tests.load.client import Address, Client
from tests.load.plan import Plan


async def lead(plan: Plan, address: Address) -> None:
    loop = asyncio.get_running_loop()
    commands = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(commands), sys.stdin)
    client: Client | None = None
    while line := await commands.readline():
        command, _, phase = line.decode().strip().partition(" ")
        if command == "start":
            client = Client(plan, address, phase)
            client.start()
        assert client is not None, "start is the first command"
        if command == "mark":
            client.tally.phase = phase
        report = await client.stop() if command == "stop" else None
        print(report.to_json() if report else json.dumps(client.counts()), flush=True)


if __name__ == "__main__":
    # A collection of garbage would look like a server that stands still, and there is little of it.
    gc.disable()
    asyncio.run(lead(Plan.from_json(sys.argv[1]), (sys.argv[2], int(sys.argv[3]))))
