"""A small server that answers rightly, except where it is told not to."""

from __future__ import annotations

import asyncio
import contextlib
import re
import socket
import struct
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager

Fault = Callable[[asyncio.StreamWriter, bytes], Awaitable[None]]
"""What is done to a connection in place of writing the right answer. It may close it."""

PID = b"4711"


class BadServer:
    """Counts the requests that arrive from 1; `faults` has those that are not answered rightly."""

    def __init__(self, faults: Mapping[int, Fault]) -> None:
        self.faults = dict(faults)
        self.arrived = 0
        self.writers: list[asyncio.StreamWriter] = []
        self.address = ("", 0)
        self.may_answer = asyncio.Event()
        """While it is not set the server stands still."""
        self.may_answer.set()

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.writers.append(writer)
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while not writer.is_closing():
                head = await reader.readuntil(b"\r\n\r\n")
                length = re.search(rb"Content-Length: (\d+)", head)
                body = await reader.readexactly(int(length[1])) if length else b""
                self.arrived += 1
                fault = self.faults.get(self.arrived, _write)
                await self.may_answer.wait()
                await fault(writer, right_answer(head, body))
                if b"Connection: close" in head:
                    break
        writer.close()


@asynccontextmanager
async def bad_server(faults: Mapping[int, Fault]) -> AsyncIterator[BadServer]:
    server = BadServer(faults)
    listening = await asyncio.start_server(server.handle, "127.0.0.1", 0)
    server.address = listening.sockets[0].getsockname()
    try:
        yield server
    finally:
        listening.close()
        for writer in server.writers:
            writer.transport.abort()
        await asyncio.sleep(0)  # the loop closes them in its next turn


def right_answer(head: bytes, body: bytes) -> bytes:
    number = re.search(rb"[?]n=(\d+)", head)
    assert number is not None
    if pieces := re.search(rb"pieces=(\d+)", head):
        content = b"".join(chunk(b"%s %d\n" % (number[1], piece)) for piece in range(int(pieces[1])))
        length, content = b"Transfer-Encoding: chunked", content + b"0\r\n\r\n"
    else:
        content = body or number[1] + b"\n"
        length = b"Content-Length: %d" % len(content)
    return b"HTTP/1.1 200 OK\r\nX-Number: %s\r\nX-Pid: %s\r\n%s\r\n\r\n%s" % (number[1], PID, length, content)


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(data), data)


# Faults


async def _write(writer: asyncio.StreamWriter, answer: bytes) -> None:
    writer.write(answer)


async def reset(writer: asyncio.StreamWriter, answer: bytes) -> None:
    connection = writer.get_extra_info("socket")
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


async def close(writer: asyncio.StreamWriter, answer: bytes) -> None:
    writer.close()


async def cut_in_the_head(writer: asyncio.StreamWriter, answer: bytes) -> None:
    writer.write(answer[:20])
    writer.close()


async def cut_in_the_body(writer: asyncio.StreamWriter, answer: bytes) -> None:
    writer.write(answer[:-1])
    writer.close()


async def cut_by_a_reset(writer: asyncio.StreamWriter, answer: bytes) -> None:
    writer.write(answer[:-1])
    await reset(writer, answer)


async def fail(writer: asyncio.StreamWriter, answer: bytes) -> None:
    writer.write(answer.replace(b"200 OK", b"500 Internal Server Error"))


async def say_nothing(writer: asyncio.StreamWriter, answer: bytes) -> None:
    """The connection stays open."""


async def answer_another_request(writer: asyncio.StreamWriter, answer: bytes) -> None:
    writer.write(answer.replace(b"X-Number: ", b"X-Number: 9"))


async def change_the_body(writer: asyncio.StreamWriter, answer: bytes) -> None:
    writer.write(answer[:-2] + b"!\n")


async def babble(writer: asyncio.StreamWriter, answer: bytes) -> None:
    writer.write(b"SSH-2.0-OpenSSH_9.2p1\r\n\r\n")


async def announce_a_close(writer: asyncio.StreamWriter, answer: bytes) -> None:
    writer.write(answer.replace(b"\r\n", b"\r\nConnection: close\r\n", 1))
    writer.close()


async def answer_and_close(writer: asyncio.StreamWriter, answer: bytes) -> None:
    writer.write(answer)
    writer.close()


async def answer_twice(writer: asyncio.StreamWriter, answer: bytes) -> None:
    writer.write(answer + answer)


def later(fault: Fault, seconds: float = 0.2) -> Fault:
    """Answer, and do it to the idle connection after a while."""

    async def answer_then_fault(writer: asyncio.StreamWriter, answer: bytes) -> None:
        writer.write(answer)
        await asyncio.sleep(seconds)
        await fault(writer, answer)

    return answer_then_fault
