"""nginx and HAProxy, as Debian has them, in front of an sdserve: each a child process of the test.

    with serve(...) as server, nginx(tmp_path, http="...") as proxy:
        assert proxy.request("/").json[...]

A proxy inherits its listening socket, as sdserve does: no port is guessed, and who connects before it is
ready waits in the backlog.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.serving import TIMEOUT, Response, Server, listener
from tests.serving import Connection as Client

_STREAM_MODULE = "/usr/lib/nginx/modules/ngx_stream_module.so"


class Proxy:
    """A proxy that runs, as its clients see it."""

    def __init__(self, process: subprocess.Popen[bytes], address: tuple[str, int], log: Path) -> None:
        self.process = process
        self.address = address
        self.log = log

    @contextmanager
    def connection(self) -> Iterator[Client]:
        """A new connection for several requests."""
        client = Client(socket.create_connection(self.address, TIMEOUT))
        try:
            yield client
        finally:
            client.close()

    def request(self, target: str = "/", **fields: str) -> Response:
        """One request on a connection of its own; names of fields with `_` for `-`."""
        given = {name.replace("_", "-"): value for name, value in fields.items()}
        with self.connection() as client:
            return client.exchange("GET", target, None, given)


def upstream(server: Server, *, prefix: str = "unix:") -> str:
    """The server's address as proxies write it."""
    if isinstance(server.address, str):
        return f"{prefix}{server.address}"
    host, port = server.address
    return f"{host}:{port}"


@contextmanager
def nginx(directory: Path, *, http: str = "", stream: str = "") -> Iterator[Proxy]:
    """Run nginx until the block ends. `LISTEN` in its configuration is what it is to listen on."""
    program = _find("nginx")
    if stream and not Path(_STREAM_MODULE).exists():
        _give_up("libnginx-mod-stream")
    scratch = "".join(
        f"{name}_temp_path {directory}/nginx;\n"
        for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    text = f"""
        daemon off;
        user root;
        worker_processes 1;
        pid {directory}/nginx.pid;
        error_log stderr notice;
        {f"load_module {_STREAM_MODULE};" if stream else ""}
        events {{ worker_connections 1024; }}
        {f"stream {{ {stream} }}" if stream else ""}
        {f"http {{ access_log off; {scratch} {http} }}" if http else ""}
    """
    with listener(("127.0.0.1", 0)) as listening:
        host, port = listening.getsockname()
        configuration = directory / "nginx.conf"
        configuration.write_text(text.replace("LISTEN", f"{host}:{port}"))
        command = [program, "-c", str(configuration), "-p", str(directory)]
        # How a new binary of nginx gets the sockets of the old one.
        environment = {**os.environ, "NGINX": f"{listening.fileno()};"}
        with _running(command, listening, environment, directory / "nginx.log") as proxy:
            yield proxy


@contextmanager
def haproxy(directory: Path, text: str, *, host: str = "127.0.0.1") -> Iterator[Proxy]:
    """Run HAProxy until the block ends. `LISTEN` in its configuration is what it is to bind."""
    program = _find("haproxy")
    defaults = "defaults\n timeout connect 5s\n timeout client 20s\n timeout server 20s\n"
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as listening:
        listening.bind((host, 0))
        listening.listen(128)
        configuration = directory / "haproxy.cfg"
        configuration.write_text(defaults + text.replace("LISTEN", f"fd@{listening.fileno()}") + "\n")
        command = [program, "-db", "-f", str(configuration)]
        with _running(command, listening, dict(os.environ), directory / "haproxy.log") as proxy:
            yield proxy


@contextmanager
def _running(
    command: Sequence[str], listening: socket.socket, environment: dict[str, str], log: Path
) -> Iterator[Proxy]:
    with log.open("wb") as output:
        process = subprocess.Popen(
            command,
            env=environment,
            pass_fds=[listening.fileno()],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
        )
    try:
        yield Proxy(process, listening.getsockname()[:2], log)
        assert process.poll() is None, "it has ended by itself"
    except BaseException as error:
        error.add_note(f"output of {command[0]}:\n{log.read_text(errors='replace')}")
        raise
    finally:
        process.terminate()
        try:
            process.wait(TIMEOUT)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _find(program: str) -> str:
    found = shutil.which(program, path=f"{os.environ.get('PATH', '')}:/usr/sbin")
    if found is None:
        _give_up(program)
    assert found is not None
    return found


def _give_up(package: str) -> None:
    if os.environ.get("CI") == "true":
        pytest.fail(f"{package} is not installed", pytrace=False)
    pytest.skip(f"{package} is not installed")
