import sys

import pytest

from sdserve.host import reachability
from tests.certificates import Authority


@pytest.fixture
def instance(shell):
    """An instance whose places are all there."""
    (shell.path / "etc" / "code").mkdir()
    shell.write("etc/venv/pyvenv.cfg", f"version = {sys.version.split()[0]}\n")
    shell.write(f"etc/venv/lib/python3.{sys.version_info.minor}/site-packages/x.py", "")
    shell.write("etc/shop.ini", "[app]\napplication = a:b\ndirectory = code\nvenv = venv\n")
    return shell


def test_a_right_configuration_is_one_line(instance):
    code, out, err = instance.run("check", "shop")
    assert (code, err) == (0, [])
    assert out == [f"OK: a:b, configured by {instance.path}/etc/shop.ini"]


def test_all_files_that_were_read_are_named(instance):
    instance.write("etc/sdserve.ini", "")
    instance.write("etc/shop.ini.d/x.conf", "")
    _, out, _ = instance.run("check", "shop")
    etc = f"{instance.path}/etc"
    assert out == [f"OK: a:b, configured by {etc}/sdserve.ini, {etc}/shop.ini, {etc}/shop.ini.d/x.conf"]


def test_an_application_without_a_file_can_be_checked(shell):
    assert shell.run("check", "a:b") == (0, ["OK: a:b, configured by no file"], [])


def test_places_that_are_not_there_are_named_each_with_its_line(instance):
    instance.write("etc/shop.ini.d/x.conf", "[app]\ndirectory = nowhere\n\nvenv = x\n")
    assert instance.run("check", "shop") == (
        78,
        [],
        [
            "etc/shop.ini.d/x.conf:2: [app] directory: etc/nowhere does not exist",
            "etc/shop.ini.d/x.conf:4: [app] venv: etc/x does not exist",
        ],
    )


def test_a_file_is_no_directory(instance):
    assert instance.run("check", "shop", "--set", "app.directory=etc/shop.ini") == (
        78,
        [],
        ["--set: [app] directory: etc/shop.ini is not a directory"],
    )


def test_a_directory_is_not_a_virtual_environment(instance):
    instance.write("etc/shop.ini", "[app]\napplication = a:b\nvenv = code\n")
    assert instance.run("check", "shop") == (
        78,
        [],
        ["etc/shop.ini:3: [app] venv: etc/code is no virtual environment: there is no readable pyvenv.cfg"],
    )


def test_they_are_reported_with_all_other_problems_in_the_order_of_the_file(instance):
    instance.write(
        "etc/shop.ini",
        "[app]\napplication = nonsense\ndirectory = nowhere\ninterface = x\nvenv = code\n[log]\nlevel = x\n",
    )
    code, out, err = instance.run("check", "shop")
    assert (code, out) == (78, [])
    assert [line.split(": ")[:2] for line in err] == [
        ["etc/shop.ini:2", "[app] application"],
        ["etc/shop.ini:3", "[app] directory"],
        ["etc/shop.ini:4", "[app] interface"],
        ["etc/shop.ini:5", "[app] venv"],
        ["etc/shop.ini:7", "[log] level"],
    ]


def test_accounts_that_are_not_there_are_named(instance):
    instance.write("etc/shop.ini.d/x.conf", "[listen:http]\nowner = root\ngroup = nobody-like-this\n")
    code, _, err = instance.run("check", "shop")
    assert code == 78
    message = "there is no group nobody-like-this"
    assert err == [f"etc/shop.ini.d/x.conf:3: [listen:http] group: {message}"]


def test_a_proxy_needs_a_unix_socket(instance):
    code, _, err = instance.run("check", "shop", "--proxy-user", "root")
    assert code == 2
    assert "no unix socket is configured" in err[0]


def test_a_proxy_that_can_connect_is_told_so_and_one_that_cannot_why(instance, monkeypatch):
    place = instance.path / "web.sock"
    other = instance.path / "other.sock"
    instance.write("etc/shop.ini.d/x.conf", f"[listen:http]\naddress = {place}\n  {other}\n")
    asked = []

    def obstacle(path, user):
        asked.append((path, user))
        return "may not write to it" if path == str(other) and is_closed else ""

    monkeypatch.setattr(reachability, "obstacle", obstacle)
    is_closed = False
    code, out, err = instance.run("check", "shop", "--proxy-user", "daemon")
    assert (code, err) == (0, [])
    assert out[1:] == [f"OK: daemon can connect to unix:{path}" for path in (place, other)]
    assert asked == [(str(place), "daemon"), (str(other), "daemon")]
    is_closed = True
    code, out, err = instance.run("check", "shop", "--proxy-user", "daemon")
    assert (code, out) == (78, [])
    advice = "daemon may not write to it; set group = daemon in [listen:http]"
    assert err == [f"etc/shop.ini.d/x.conf:3: [listen:http] address: {advice}"]


def tls_ini(*lines):
    text = ["[app]", "application = a:b", "[listen:x]", "address = 127.0.0.1:1", *lines, ""]
    return "\n".join(text)


def test_each_certificate_is_tried_and_named_with_its_line(shell, tmp_path):
    authority = Authority(tmp_path)
    good, old, other = (
        authority.issue("good.example"),
        authority.issue("old.example", days=-1, age=90),
        authority.issue("other.example"),
    )
    lines = (
        f"certificate = {good.certificate}",
        f"  {old.certificate}",
        f"  {other.certificate}",
        "  /missing.pem",
        f"key = {good.key}",
        f"  {old.key}",
        f"  {good.key}",
        f"  {good.key}",
    )
    shell.write("etc/shop.ini", tls_ini(*lines))
    code, _, errors = shell.run("check", "shop")
    assert code == 78
    does_not_belong = "the key does not belong to the certificate in"
    assert [line.partition("shop.ini:")[2] for line in errors] == [
        "6: [listen:x] certificate: old.example.pem: the certificate has expired, 1 day ago",
        "8: [listen:x] certificate: /missing.pem cannot be read: No such file or directory",
        f"11: [listen:x] key: good.example.key: {does_not_belong} other.example.pem",
    ]


def test_authorities_and_ciphers_are_tried_too(shell, tmp_path):
    authority = Authority(tmp_path)
    good = authority.issue("good.example")
    pair = (f"certificate = {good.certificate}", f"key = {good.key}")
    shell.write("etc/shop.ini", tls_ini(*pair, "client_ca = shop.ini"))
    [error] = shell.run("check", "shop")[2]
    assert error.endswith("shop.ini:7: [listen:x] client_ca: etc/shop.ini has no certificate in it")
    shell.write("etc/shop.ini", tls_ini(*pair, "tls_ciphers = NONSENSE"))
    [error] = shell.run("check", "shop")[2]
    assert error.endswith("shop.ini:7: [listen:x] tls_ciphers: OpenSSL knows none of 'NONSENSE'")


def test_what_expires_soon_is_no_error_but_said(shell, tmp_path):
    soon = Authority(tmp_path).issue("soon.example", days=3.5)
    shell.write("etc/shop.ini", tls_ini(f"certificate = {soon.certificate}", f"key = {soon.key}"))
    code, lines, _ = shell.run("check", "shop")
    assert code == 0
    assert lines[1:] == [f"{soon.certificate}: the certificate expires in 3 days, renew it"]
