from __future__ import annotations

import pytest

from sdserve.generator import units
from sdserve.generator.listening import Listener

SOURCE = "/etc/sdserve/shop.ini"


def listener(name="http", *addresses, **options):
    made = Listener(name)
    made.addresses = addresses
    for option, value in options.items():
        setattr(made, option, value)
    return made


def settings(text):
    """Return the settings of a unit file, those that stand in it several times as a list."""
    found = {}
    for line in text.splitlines():
        name, equals, value = line.partition("=")
        if equals and not line.startswith("#"):
            found.setdefault(name, []).append(value)
    return {name: values[0] if len(values) == 1 else values for name, values in found.items()}


def socket_settings(*addresses, is_user=False, **options):
    made = units.files("shop", SOURCE, [listener("http", *addresses, **options)], is_user=is_user)
    return settings(made["sdserve@shop@http.socket"])


def test_a_tcp_listener_is_a_socket_unit():
    assert socket_settings("127.0.0.1:80", "[::1]:80", backlog=9) == {
        "Description": "Socket of the sdserve application server, instance shop, [listen:http]",
        "Documentation": "man:sdserve.ini(5)",
        "SourcePath": SOURCE,
        "PartOf": "sdserve-sockets@shop.target",
        "FileDescriptorName": "http",
        "Service": "sdserve@shop.service",
        "ListenStream": ["127.0.0.1:80", "[::1]:80"],
        "BindIPv6Only": "ipv6-only",
        "NoDelay": "yes",
        "Backlog": "9",
        "TriggerLimitIntervalSec": "30s",
        "TriggerLimitBurst": "20",
    }


def test_a_unix_socket_has_rights():
    made = socket_settings("unix:/run/shop.sock", mode=0o666, owner="shop", group="www-data")
    assert made["ListenStream"] == "/run/shop.sock"
    assert (made["SocketMode"], made["SocketUser"], made["SocketGroup"]) == ("0666", "shop", "www-data")
    assert made["RemoveOnStop"] == "yes"
    assert "NoDelay" not in made


def test_a_users_manager_gives_nothing_away():
    made = socket_settings("unix:/run/shop.sock", owner="shop", group="www-data", is_user=True)
    assert not {"SocketUser", "SocketGroup"} & set(made)


def test_both_kinds_of_sockets_are_two_units_of_one_name():
    made = units.files("shop", SOURCE, [listener("http", "unix:/run/x", "0.0.0.0:80", defer_accept=1.5)])
    first = settings(made["sdserve@shop@http.socket"])
    second = settings(made["sdserve@shop@http@unix.socket"])
    assert (first["ListenStream"], second["ListenStream"]) == ("0.0.0.0:80", "/run/x")
    assert first["FileDescriptorName"] == second["FileDescriptorName"] == "http"
    assert (first["DeferAcceptSec"], "DeferAcceptSec" in second) == ("1.5s", False)


@pytest.mark.parametrize(
    ("address", "may_come_later"),
    [
        ("192.0.2.1:80", True),
        ("[2001:db8::1]:80", True),
        ("127.0.0.2:80", False),
        ("0.0.0.0:80", False),
        ("[::]:80", False),
        ("[::1]:80", False),
    ],
)
def test_an_address_that_is_not_there_yet_can_be_listened_on(address, may_come_later):
    assert ("FreeBind" in socket_settings(address)) is may_come_later


def test_the_service_knows_its_sockets_and_the_target_wants_them():
    made = units.files("shop", SOURCE, [listener("http", "0.0.0.0:80"), listener("admin", "0.0.0.0:81")])
    drop_in = settings(made["sdserve@shop.service.d/00-sdserve.conf"])
    assert drop_in == {"Sockets": "sdserve@shop@http.socket sdserve@shop@admin.socket"}
    assert units.wants("shop", list(made)) == {
        "sdserve-sockets@shop.target.wants/sdserve@shop@http.socket": "../sdserve@shop@http.socket",
        "sdserve-sockets@shop.target.wants/sdserve@shop@admin.socket": "../sdserve@shop@admin.socket",
    }


def test_every_file_says_where_it_comes_from():
    made = units.files("shop", SOURCE, [listener("http", "0.0.0.0:80")])
    assert {text.splitlines()[0] for text in made.values()} == {
        f"# Made by sdserve-generator from {SOURCE}. Edit that, and run: sdserve apply shop"
    }


def test_sockets_without_an_address_come_from_elsewhere():
    assert units.files("shop", SOURCE, [listener("http")]) == {}


def test_what_systemd_would_interpret_is_escaped():
    made = units.files("shop", SOURCE, [listener("a/%n\\@b", "unix:/run/%n.sock")])
    text = made["sdserve@shop@a\\x2f\\x25n\\x5c\\x40b.socket"]
    assert settings(text)["ListenStream"] == "/run/%%n.sock"
    assert settings(text)["FileDescriptorName"] == "a/%%n\\@b"
    drop_in = settings(made["sdserve@shop.service.d/00-sdserve.conf"])
    assert drop_in["Sockets"] == "sdserve@shop@a\\\\x2f\\\\x25n\\\\x5c\\\\x40b.socket"


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        (listener("http", "unix:/run/sdserve/shop/x.sock"), "write unix:/run/sdserve/shop.sock"),
        (listener("http", "unix:/run/x\\"), "a backslash at the end"),
        (listener("x" * 255, "0.0.0.0:80"), "too long for a unit"),
    ],
)
def test_what_cannot_be_is_explained(wrong, reason):
    with pytest.raises(ValueError, match=reason):
        units.files("shop", SOURCE, [wrong])


@pytest.mark.parametrize("name", ["shop", "My_Shop-2", "x" * 23])
def test_the_users_name_is_the_instances(name):
    assert units.service_files(name, SOURCE) == {}


def test_a_name_that_no_user_may_have_gets_one_of_its_own():
    users = set()
    for name in ("shop.example", "shop-example", "shop.example.org", "x" * 24, "x" * 25):
        for text in units.service_files(name, SOURCE).values():
            user = settings(text)["User"]
            assert len(user) <= 31
            assert user.startswith("sdserve-")
            assert "." not in user
            users.add(user)
    assert len(users) == 4


def test_without_a_word_about_it_the_listener_is_that_of_the_configuration():
    from sdserve.config.model import DEFAULT_LISTENER

    made = units.default_listener()
    assert (made.name, made.addresses) == (DEFAULT_LISTENER.name, DEFAULT_LISTENER.addresses)
