"""The client: a schedule, its connections, and the patience that ends every request."""

from __future__ import annotations

import asyncio
import socket
from collections import deque

from tests.load.answers import Answer
from tests.load.connection import Connection
from tests.load.plan import GET, IDLE, NEW, PAIR, Plan
from tests.load.report import Ending, Outcome, Report
from tests.load.requests import Request, RequestMaker
from tests.load.tally import Tally

Address = tuple[str, int]
"""An IPv4 address, and a port."""

_SWEEP = 0.1
"""Seconds between two looks for requests that have timed out."""


class Client:
    """Makes load from `start` to `stop`. An `Observer` of its connections."""

    def __init__(self, plan: Plan, address: Address, phase: str) -> None:
        """To be started at once, in the running loop; `phase` is the name of the first one."""
        self._plan = plan
        self._address = address
        self._loop = asyncio.get_running_loop()
        self._maker = RequestMaker(plan)
        self._turns = plan.turns()
        self._shared: deque[Connection] = deque()
        self._idle: list[Connection | None] = [None] * plan.idle
        self._all: set[Connection] = set()
        self._open: dict[Request, Connection | asyncio.Task[None]] = {}
        """What has not ended, in the order of its begin: where it waits for its answer or its connection."""
        self._quiet = asyncio.Event()
        self._running = False
        self._alone = 0
        self._due = self._loop.time()
        self.tally = Tally(self._due)
        self.tally.phase = phase

    # Orders

    def start(self) -> None:
        """Begin: each connection that is to last is opened with a request."""
        self._running = True
        for _ in range(self._plan.shared):
            self._connect([self._make(GET, self._due)])
        for index in range(self._plan.idle):
            share = index / self._plan.idle
            self._loop.call_at(self._due + share * self._plan.idle_seconds, self._idle_turn, index)
        if self._plan.rate:
            self._tick()
        self._sweep()

    async def stop(self) -> Report:
        """Send no more, wait for what is open (no longer than patience lasts), and say what was seen."""
        self._running = False
        while self._open:
            self._quiet.clear()
            await self._quiet.wait()
        report = self.tally.report(self._loop.time())
        for connection in list(self._all):
            connection.close()
        await asyncio.sleep(0)  # the loop closes them in its next turn
        return report

    def counts(self) -> dict[str, float]:
        """What `process.Counts` has."""
        now = self._loop.time()
        oldest = next(iter(self._open), None)
        return self.tally.counts(now, settled=now if oldest is None else oldest.begun)

    # The schedule

    def _tick(self) -> None:
        if not self._running:
            return
        now = self._loop.time()
        while self._due <= now:
            self._launch(next(self._turns), self._due)
            self._due += self._plan.interval
        self._loop.call_at(self._due, self._tick)

    def _launch(self, kind: str, due: float) -> None:
        if kind == NEW or not self._plan.keep:
            self._alone += 1
            # Every other one says so.
            self._connect([self._make(kind, due, last=True, close=self._alone % 2 == 0)])
            return
        requests = [self._make(kind, due) for _ in range(2 if kind == PAIR else 1)]
        while self._shared:
            # The one that was idle longest, so that each has its turn.
            connection = self._shared.popleft()
            if connection.usable:
                self._send(connection, requests)
                return
        self._connect(requests)

    def _idle_turn(self, index: int) -> None:
        if not self._running:
            return
        due = self._loop.time()
        self._loop.call_at(due + self._plan.idle_seconds, self._idle_turn, index)
        request = self._make(IDLE, due)
        connection = self._idle[index]
        if connection is not None and connection.usable:
            self._send(connection, [request])
        else:
            self._connect([request], index)

    def _make(self, kind: str, due: float, *, last: bool = False, close: bool = False) -> Request:
        now, phase = self._loop.time(), self.tally.phase
        return self._maker.make(kind, due=due, now=now, phase=phase, last=last, close=close)

    def _send(self, connection: Connection, requests: list[Request]) -> None:
        self._open.update(dict.fromkeys(requests, connection))
        connection.send(*requests)

    # Connections

    def _connect(self, requests: list[Request], idle: int | None = None) -> None:
        task = self._loop.create_task(self._connect_and_send(requests, idle))
        self._open.update(dict.fromkeys(requests, task))

    async def _connect_and_send(self, requests: list[Request], idle: int | None) -> None:
        connection = Connection(self, self._loop)
        connecting = socket.socket(socket.AF_INET)
        connecting.setblocking(False)
        try:
            await self._loop.sock_connect(connecting, self._address)
            await self._loop.create_connection(lambda: connection, sock=connecting)
        except OSError as error:
            connecting.close()
            reset = isinstance(error, ConnectionResetError)
            for request in requests:
                self.failed(connection, request, Outcome.RESET if reset else Outcome.REFUSED, str(error))
            return
        except asyncio.CancelledError:
            connecting.close()
            raise
        self.tally.opened += 1
        self._all.add(connection)
        if idle is not None:
            self._idle[idle] = connection
        self._send(connection, requests)

    def _sweep(self) -> None:
        """Give up on requests that are out of patience. The others began later."""
        overdue = self._loop.time() - self._plan.patience
        for request, where in list(self._open.items()):
            if request.begun > overdue:
                break
            if isinstance(where, Connection):
                where.give_up(Outcome.TIMEOUT, f"no answer within {self._plan.patience:g} s")
            elif not request.over:
                where.cancel()
                self.failed(None, request, Outcome.TIMEOUT, f"no connection in {self._plan.patience:g} s")
        if self._running or self._open:
            self._loop.call_later(_SWEEP, self._sweep)

    # What becomes of them

    def answered(self, connection: Connection, request: Request, answer: Answer) -> None:
        self._end(request)
        self.tally.answered(request, answer, self._loop.time())
        if request.last:
            connection.close()
            self._all.discard(connection)
        elif connection.usable and request.kind != IDLE:
            self._shared.append(connection)

    def failed(self, connection: Connection | None, request: Request, outcome: Outcome, text: str) -> None:
        self._end(request)
        port, pid = (connection.port, connection.pid) if connection is not None else (0, "")
        self.tally.failure(request, outcome, self._loop.time(), port=port, pid=pid, text=text)
        if connection is not None:
            self._all.discard(connection)

    def ended(self, connection: Connection, ending: Ending, *, reset: bool) -> None:
        self.tally.closing(ending, self._loop.time(), reset=reset, port=connection.port, pid=connection.pid)
        self._all.discard(connection)

    def _end(self, request: Request) -> None:
        assert not request.over, "a request ends once"
        request.over = True
        del self._open[request]
        if not self._open:
            self._quiet.set()
