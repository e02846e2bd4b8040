"""TLS under systemd: keys as credentials, new certificates by a path unit."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.certificates import Authority, Files
from tests.system.instance import Instance
from tests.system.waiting import wait_for

pytestmark = pytest.mark.system

_PLACE = "/etc/hello-tls"
_PATH_UNIT = "sdserve-certificates@hello.path"
_RELOAD_UNIT = "sdserve-certificates@hello.service"


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


def install(hello: Instance, files: Files) -> None:
    """Put a pair in place as those do who renew: new files, and then a rename each."""
    for name, source in (("key", files.key), ("pem", files.certificate)):
        hello.machine.write(f"{_PLACE}/new", Path(source).read_text(), mode=0o640)
        hello.machine.run("chgrp", "www-data", f"{_PLACE}/new")
        new = hello.machine.path(f"{_PLACE}/new")
        new.replace(new.with_name(f"hello.{name}"))


def configure(hello: Instance, certificate: str, key: str) -> None:
    hello.configure_text(
        "[app]\napplication = flask_probe:app\ndirectory = /srv/applications\n"
        f"[listen:http]\ncertificate = {certificate}\nkey = {key}\n[workers]\ncount = 2\n"
    )


def shown(hello: Instance, authority: Authority) -> str:
    """The second name in the certificate that a new connection is shown."""
    context = authority.client_context()
    with (
        hello.machine.connect_tcp("127.0.0.1", hello.port) as connected,
        context.wrap_socket(connected, server_hostname="localhost") as secure,
    ):
        certificate = secure.getpeercert() or {}
        names: list[tuple[str, str]] = certificate["subjectAltName"]  # type: ignore[assignment]
        return names[1][1]


def test_a_key_that_only_root_can_read_is_passed_as_a_credential(
    hello: Instance, authority: Authority
) -> None:
    install(hello, authority.issue("localhost", "one.example"))
    hello.drop_in(
        hello.service,
        f"[Service]\nDynamicUser=yes\nLoadCredential=pem:{_PLACE}/hello.pem\nLoadCredential=key:{_PLACE}/hello.key\n",
    )
    configure(hello, "credential:pem", "credential:key")
    hello.listen()
    hello.start()

    assert shown(hello, authority) == "one.example"
    hello.machine.systemctl("reload", hello.service)
    assert shown(hello, authority) == "one.example"


def test_a_key_that_the_user_may_not_read_is_named(hello: Instance, authority: Authority) -> None:
    install(hello, authority.issue("localhost", "one.example"))
    hello.drop_in(hello.service, "[Service]\nDynamicUser=yes\n")
    configure(hello, f"{_PLACE}/hello.pem", f"{_PLACE}/hello.key")
    hello.listen()
    result = hello.machine.run("systemctl", "start", hello.service, check=False)

    assert result.returncode != 0
    assert hello.property("ExecMainStatus") == "78"
    assert f"{_PLACE}/hello.pem may not be read by user id" in hello.journal()


def test_new_certificates_are_used_when_they_appear(hello: Instance, authority: Authority) -> None:
    install(hello, authority.issue("localhost", "one.example"))
    configure(hello, f"{_PLACE}/hello.pem", f"{_PLACE}/hello.key")
    hello.drop_in(hello.service, "[Service]\nSupplementaryGroups=www-data\n")
    hello.listen()
    hello.start()
    hello.drop_in(_PATH_UNIT, f"[Path]\nPathChanged={_PLACE}\n")
    hello.machine.systemctl("start", _PATH_UNIT)
    pids = hello.pids()

    install(hello, authority.issue("localhost", "two.example"))
    wait_for(lambda: shown(hello, authority) == "two.example", what="the new certificate is shown")
    wait_for(lambda: hello.pids() == pids, what="the same processes are there, and no others")
    wait_until_watched(hello)

    install(hello, Files(authority.issue("localhost", "x.example").certificate, authority.issue("b").key))
    wait_for(
        lambda: hello.property("Result", unit=_RELOAD_UNIT) == "exit-code", what="the bad pair is refused"
    )
    assert f"{_PLACE}/hello.key: the key does not belong to" in hello.journal(unit=_RELOAD_UNIT)
    assert shown(hello, authority) == "two.example"
    wait_for(lambda: hello.pids() == pids, what="the same processes are there, and no others")
    wait_until_watched(hello)

    install(hello, authority.issue("localhost", "three.example"))
    wait_for(lambda: shown(hello, authority) == "three.example", what="the good pair is shown")
    wait_until_watched(hello)
    assert hello.property("Result", unit=_RELOAD_UNIT) == "success"


def wait_until_watched(hello: Instance) -> None:
    """What changes while the unit is at work for what changed before is not told to it."""
    wait_for(
        lambda: hello.property("SubState", unit=_PATH_UNIT) == "waiting", what="the path is watched again"
    )


def test_root_may_keep_the_key_and_renew_without_a_restart(hello: Instance, authority: Authority) -> None:
    """As the manual has it: copies that the service may read, made by root."""
    place = f"/run/sdserve/{hello.name}"
    copy = f"/usr/bin/install -m 0400 -o nobody -t {place} {_PLACE}/hello.pem {_PLACE}/hello.key"
    install(hello, authority.issue("localhost", "one.example"))
    hello.drop_in(hello.service, f"[Service]\nUser=nobody\nExecStartPre=+{copy}\n")
    hello.drop_in(_RELOAD_UNIT, f"[Service]\nProtectSystem=full\nExecStartPre={copy}\n")
    configure(hello, f"{place}/hello.pem", f"{place}/hello.key")
    hello.listen()
    hello.start()
    assert shown(hello, authority) == "one.example"
    pids = hello.pids()

    install(hello, authority.issue("localhost", "two.example"))
    hello.machine.systemctl("start", _RELOAD_UNIT)
    wait_for(lambda: shown(hello, authority) == "two.example", what="the new certificate is shown")
    wait_for(lambda: hello.pids() == pids, what="the same processes are there, and no others")


def test_nothing_is_done_for_an_instance_that_does_not_run(hello: Instance) -> None:
    hello.drop_in(_PATH_UNIT, f"[Path]\nPathChanged={_PLACE}\n")
    hello.machine.systemctl("start", _RELOAD_UNIT)

    assert hello.property("ConditionResult", unit=_RELOAD_UNIT) == "no"
    verified = hello.machine.run("systemd-analyze", "verify", _PATH_UNIT, _RELOAD_UNIT, check=False)
    assert (verified.returncode, verified.stdout, verified.stderr) == (0, "", "")
