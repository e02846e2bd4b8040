"""Certificates of whole servers: at the start, renewed, and by reload, while clients go on."""

from __future__ import annotations

import http.client
import os
import re
import signal
import socket
import ssl
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from sdserve.errors import EXIT_CONFIG, EXIT_FAILURE
from sdserve.host.control_client import call
from tests.certificates import Authority
from tests.run.conftest import APPLICATION
from tests.serving import TIMEOUT, wait_until

_PAUSE = 0.005
"""Seconds between two requests of a client: enough of them at any time, and time for others."""


@pytest.fixture
def authority(tmp_path):
    return Authority(tmp_path)


def configure(tmp_path, *lines, certificate="localhost.pem", key="localhost.key"):
    text = [
        "[app]",
        f"application = {APPLICATION}",
        "[listen:https]",
        "address = 127.0.0.1:0",
        f"certificate = {certificate}",
        f"key = {key}",
        "[workers]",
        "count = 2",
        *lines,
    ]
    (tmp_path / "shop.ini").write_text("\n".join(text))
    return str(tmp_path / "shop.ini")


@pytest.fixture
def shop(tmp_path, run, authority, status):
    """A server called `shop` that speaks TLS; its port."""
    authority.issue("localhost", "one.example")
    with run(configure(tmp_path)) as server:
        server.wait_until_ready()
        server.port = int(status()["listeners"][0]["address"].rpartition(":")[2])
        yield server
        server.stop()


@pytest.fixture
def hints(status):
    """Asks the instance what a reload would change."""
    return lambda: call("shop", "Check", timeout=TIMEOUT)["hints"]


def pids(state):
    return {worker["pid"] for worker in state["workers"] if worker["state"] == "ready"}


def shown(server, authority):
    """The second name in the certificate that a new connection is shown."""
    with (
        socket.create_connection(("127.0.0.1", server.port), TIMEOUT) as connected,
        authority.client_context().wrap_socket(connected, server_hostname="localhost") as secure,
    ):
        return secure.getpeercert()["subjectAltName"][1][1]


class Clients:
    """Who asks again and again, on connections that are kept until an answer says that it is the last."""

    def __init__(self, server, authority, number=4):
        self.answered = 0
        self.failures = []
        self._over = threading.Event()
        self._arguments = (server.port, authority.client_context())
        self._threads = [threading.Thread(target=self._ask, args=(turn,)) for turn in range(number)]

    @contextmanager
    def at_work(self) -> Iterator[Clients]:
        for thread in self._threads:
            thread.start()
        try:
            wait_until(lambda: self.answered > 20 or self.failures)
            yield self
            before = self.answered
            wait_until(lambda: self.answered > before + 20 or self.failures)
        finally:
            self._over.set()
            for thread in self._threads:
                thread.join(TIMEOUT)

    def _ask(self, turn):
        port, context = self._arguments
        client = http.client.HTTPSConnection("localhost", port, timeout=TIMEOUT, context=context)
        asked = 0
        while not self._over.wait(_PAUSE) and not self.failures:
            try:
                client.request("POST", "/", b"x" * 100)
                answer = client.getresponse()
                answer.read()
                if answer.status != 200:
                    self.failures.append(answer.status)
            except (OSError, http.client.HTTPException) as error:
                self.failures.append(error)
            self.answered += 1
            asked += 1
            if turn % 2 and asked % 10 == 0:
                client.close()  # half of them come again and again
        client.close()


def test_new_certificates_without_new_workers_and_without_a_failed_request(
    shop, authority, command, status, tmp_path
):
    before = pids(status())
    with Clients(shop, authority).at_work() as clients:
        for name in ("two.example", "three.example"):
            authority.issue("localhost", name)
            code, lines = command("reload", "--certificates", "shop")
            assert (code, lines[0]) == (0, "new connections are shown the certificates that were read")
            assert re.fullmatch(rf"\[listen:https\] localhost, {name}: until 20.*UTC", lines[1])
            wait_until(lambda name=name: all(shown(shop, authority) == name for _ in range(10)))
    assert clients.failures == []
    assert pids(status()) == before
    assert status()["last_reload"] is None


def test_a_worker_that_is_started_later_has_them_too(shop, authority, command, status):
    authority.issue("localhost", "two.example")
    assert command("reload", "--certificates", "shop")[0] == 0
    authority.issue("localhost", "not-read.example")
    before = pids(status())
    for pid in before:
        os.kill(pid, signal.SIGKILL)
    wait_until(lambda: len(pids(status()) - before) == 2)
    assert {shown(shop, authority) for _ in range(10)} == {"two.example"}


def test_a_reload_reads_them_as_well_and_loses_no_request(shop, authority, command, status):
    with Clients(shop, authority).at_work() as clients:
        for name in ("two.example", "three.example"):
            authority.issue("localhost", name)
            assert command("reload", "shop")[0] == 0
            assert shown(shop, authority) == name
    assert clients.failures == []


@pytest.mark.parametrize("arguments", [("reload", "shop"), ("reload", "--certificates", "shop")])
def test_a_bad_pair_keeps_the_old_one_and_fails_by_name(
    shop, authority, command, status, hints, tmp_path, arguments
):
    before = pids(status())
    other = authority.issue("other.example")
    Path(other.key).replace(tmp_path / "localhost.key")
    code, lines = command(*arguments)
    assert code == EXIT_FAILURE
    assert lines == [
        f"{tmp_path}/localhost.key: the key does not belong to the certificate in {tmp_path}/localhost.pem"
    ]
    assert shown(shop, authority) == "one.example"
    assert pids(status()) == before
    assert any("a reload would be refused" in hint for hint in hints())


def test_an_expired_one_is_no_new_one(shop, authority, command, status, tmp_path):
    authority.issue("localhost", days=-1, age=90)
    code, lines = command("reload", "--certificates", "shop")
    assert code == EXIT_FAILURE
    assert lines == [f"{tmp_path}/localhost.pem: the certificate has expired, 1 day ago"]
    assert shown(shop, authority) == "one.example"


def test_what_is_on_the_disk_and_not_read_is_hinted_at(shop, authority, command, hints):
    assert hints() == []
    authority.issue("localhost", "two.example")
    assert hints() == ["certificates have changed, `sdserve reload --certificates` to show them"]
    assert command("reload", "--certificates", "shop")[0] == 0
    assert hints() == []


def test_the_status_warns_of_what_expires_soon(shop, authority, command, status, tmp_path):
    assert "Certificates" in command("status", "shop")[1]
    authority.issue("localhost", "two.example", days=9.5)
    assert command("reload", "--certificates", "shop")[0] == 0
    [certificate] = status()["certificates"]
    assert certificate["listener"] == "https"
    assert certificate["file"] == f"{tmp_path}/localhost.pem"
    assert certificate["names"] == ["localhost", "two.example"]
    assert 9 * 86400 < certificate["expires_in"] < 10 * 86400
    warning = f"{tmp_path}/localhost.pem: the certificate expires in 9 days, renew it"
    assert status()["hints"] == [warning]
    assert f"  {warning}" in command("status", "shop")[1]
    assert f"warning {warning}" in shop.stderr()


def test_it_starts_with_an_expired_one_and_says_so(run, authority, tmp_path):
    authority.issue("localhost", days=-2, age=90)
    with run(configure(tmp_path)) as server:
        server.wait_until_ready()
        assert "localhost.pem: the certificate has expired, 2 days ago" in server.stderr()
        server.stop()


def encrypt(path):
    plain = path.rename(f"{path}.plain")
    command = ["openssl", "pkey", "-aes256", "-passout", "pass:x", "-in", str(plain), "-out", str(path)]
    subprocess.run(command, check=True)


@pytest.mark.parametrize("way", ["start", "check"])
@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda path: path.unlink(), "{}/localhost.key cannot be read: No such file or directory"),
        (lambda path: path.write_text(""), "{}/localhost.key has no private key in it"),
        (
            encrypt,
            "{}/localhost.key: the key is encrypted, and nobody is there to be asked for the passphrase",
        ),
    ],
)
def test_a_bad_key_fails_the_start_by_name(run, command, authority, tmp_path, way, spoil, message):
    authority.issue("localhost")
    spoil(tmp_path / "localhost.key")
    path = configure(tmp_path)
    if way == "check":
        code, lines = command("check", path)
        said = "\n".join(lines)
        assert f"{path}:6: [listen:https] key: " in said
    else:
        with run(path) as server:
            code = server.process.wait(TIMEOUT)
            said = server.stderr()
    assert code == EXIT_CONFIG
    assert message.format(tmp_path) in said


def test_a_credential(run, authority, tmp_path, monkeypatch, command):
    """As LoadCredential= in a unit gives them."""
    files = authority.issue("localhost")
    credentials = tmp_path / "credentials"
    credentials.mkdir()
    Path(files.certificate).rename(credentials / "shop.pem")
    Path(files.key).rename(credentials / "shop.key")
    path = configure(tmp_path, certificate="credential:shop.pem", key="credential:shop.key")
    code, lines = command("check", path)
    assert code == 0
    assert lines[-1] == ("[listen:https]: credentials are seen by the service only, and were not checked")
    with run(path) as server:
        assert server.process.wait(TIMEOUT) == EXIT_CONFIG
        assert "the unit needs LoadCredential=shop.pem:PATH" in server.stderr()
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(credentials))
    assert command("check", path)[0] == 0
    with run(path) as server:
        server.wait_until_ready()
        server.stop()


def test_plain_listeners_are_not_asked_for(serve, command):
    with serve("--workers", "1") as server:
        code, lines = command("reload", "--certificates", "sdserve")
        assert (code, lines) == (EXIT_FAILURE, ["no listener has a certificate"])
        server.stop()


def test_curl_and_openssl(shop, authority):
    curl = ["curl", "--silent", "--show-error", "--cacert", authority.file]
    there = ["--resolve", f"localhost:{shop.port}:127.0.0.1"]
    for more in (["--tlsv1.3"], ["--tls-max", "1.2"]):
        done = subprocess.run(
            [*curl, *there, *more, f"https://localhost:{shop.port}/"],
            capture_output=True,
            text=True,
            check=True,
        )
        assert '"slot"' in done.stdout
    plain = subprocess.run(
        [*curl, "--write-out", " %{http_code}", f"http://127.0.0.1:{shop.port}/"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert plain.stdout.startswith("This port speaks HTTPS")
    assert plain.stdout.endswith(" 400")
    to = ["-connect", f"127.0.0.1:{shop.port}", "-servername", "localhost", "-alpn", "h2,http/1.1"]
    done = subprocess.run(
        ["openssl", "s_client", *to, "-CAfile", authority.file, "-verify_return_error"],
        capture_output=True,
        text=True,
        input="",
        check=True,
    )
    assert "ALPN protocol: http/1.1" in done.stdout


def test_old_clients_hear_why(shop):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.set_ciphers("AES256-SHA:@SECLEVEL=0")
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    with (
        socket.create_connection(("127.0.0.1", shop.port), TIMEOUT) as connected,
        pytest.raises(ssl.SSLError, match="HANDSHAKE_FAILURE"),
    ):
        context.wrap_socket(connected)
