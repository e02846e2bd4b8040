import sys

import pytest

from sdserve.host import reachability


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
