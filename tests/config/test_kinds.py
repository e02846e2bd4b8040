import re

import pytest

from sdserve.config import kinds


def refused(kind, text, message):
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        kind.read(text)


def test_a_choice_is_one_of_its_words():
    kind = kinds.choice("auto", "wsgi", "asgi")
    assert [kind.read(word) for word in ("auto", "wsgi", "asgi")] == ["auto", "wsgi", "asgi"]
    refused(kind, "WSGI", "'WSGI' is not valid, did you mean wsgi?")
    refused(kind, "cgi-bin", "'cgi-bin' is not valid; choose one of: auto, wsgi, asgi")


def test_a_boolean_is_a_word():
    assert kinds.boolean().read("yes") is True
    refused(kinds.boolean(), "ja", "'ja' is neither yes nor no (true, false, on, off, 1, 0)")


def test_an_integer_has_its_range():
    kind = kinds.integer(1, 10)
    assert (kind.read("1"), kind.read("10")) == (1, 10)
    refused(kind, "0", "0 is out of range, 1 to 10")
    refused(kind, "11", "11 is out of range, 1 to 10")
    for text in ("", "-1", "1.5", "4k", "٣", "1_0", "9" * 10):
        refused(kind, text, f"{text!r} is not a whole number")


def test_a_count_may_be_auto():
    kind = kinds.auto_or_integer(1, 10)
    assert (kind.read("auto"), kind.read("4")) == (kinds.AUTO, 4)
    refused(kind, "Auto", "'Auto' is neither auto nor a whole number")
    refused(kind, "11", "11 is out of range, 1 to 10")


def test_a_duration_has_its_range():
    kind = kinds.duration(1, 60)
    assert kind.read("1m") == 60.0
    refused(kind, "1m1s", "1m1s is out of range, 1s to 1m")
    refused(kind, "soon", "'soon' is not a duration like 30s, 5m, 1h30m or 500ms")


def test_a_size_has_its_range():
    kind = kinds.size(64, 1024)
    assert kind.read("1K") == 1024
    refused(kind, "2K", "2K is out of range, 64 to 1K")
    refused(kind, "big", "'big' is not a size like 4096, 64K, 8M or 1G")


@pytest.mark.parametrize(
    "text", ["shop:app", "shop.wsgi:application", "shop:site.app", "shop.app:create_app()", "café:app"]
)
def test_an_application_is_a_module_and_what_is_in_it(text):
    assert kinds.application().read(text) == text


@pytest.mark.parametrize(
    "text",
    [
        "",
        "shop",
        "shop:",
        ":app",
        "shop.:app",
        ".shop:app",
        "shop:app(",
        "shop:app(1)",
        "shop:a b",
        "a:b:c",
        "a-b:c",
    ],
)
def test_nothing_else_is_an_application(text):
    refused(kinds.application(), text, f"{text!r} is neither module:attribute nor module:factory()")


def test_a_path_is_not_expanded():
    assert kinds.path().read("a/../b c") == "a/../b c"
    refused(kinds.path(), "~/shop", "~ is not expanded, write the whole path")


@pytest.mark.parametrize(("text", "mode"), [("0660", 0o660), ("600", 0o600), ("0000", 0), ("777", 0o777)])
def test_a_file_mode_is_octal(text, mode):
    assert kinds.file_mode().read(text) == mode


@pytest.mark.parametrize("text", ["", "66", "0o660", "888", "1777", "rw-rw----"])
def test_nothing_else_is_a_file_mode(text):
    refused(kinds.file_mode(), text, f"{text!r} is not a file mode like 0660")


@pytest.mark.parametrize("text", ["", "sdserve", "a b (c)/1.0", "x" * 128])
def test_a_field_value_is_printable_ascii(text):
    assert kinds.field_value().read(text) == text


@pytest.mark.parametrize("text", [" a", "a ", "a\r\nb", "é", "a\tb", "x" * 129])
def test_nothing_else_is_a_field_value(text):
    message = f"{text!r} is not up to 128 printable ASCII characters without spaces at the ends"
    refused(kinds.field_value(), text, message)


@pytest.mark.parametrize("text", ["", "/", "/health?all=yes&x=%20", "/~shop/a-b_c.d;e@f:g!$'()*+,="])
def test_a_request_path_can_be_sent_as_it_is(text):
    assert kinds.request_path().read(text) == text


@pytest.mark.parametrize(
    "text", ["health", "/a b", "/a#b", "/\u00e9", '/"', "/a\r\nb", "http://a/", "/" + "x" * 501]
)
def test_nothing_else_is_a_request_path(text):
    refused(
        kinds.request_path(), text, f"{text!r} does not begin with / or has what needs %-escapes, as spaces"
    )


@pytest.mark.parametrize("text", ["www-data", "_apt", "shop.example", "0", "1000"])
def test_an_account_has_a_name_or_a_number(text):
    assert kinds.account().read(text) == text


@pytest.mark.parametrize("text", ["www data", "-x", "007", "1a", "a:b", "x" * 32, "%n"])
def test_nothing_else_is_an_account(text):
    refused(kinds.account(), text, f"{text!r} is no name or number of a user or group")


def test_peers_are_networks_with_commas_between_them():
    kind = kinds.peers()
    assert kind.read("10.0.0.0/8,unix , ::1") == ("10.0.0.0/8", "unix", "::1")
    assert kind.show(("10.0.0.0/8", "unix")) == "10.0.0.0/8, unix"
    assert kind.read(kind.show(())) == ()
    refused(kind, "10.0.0.0/8,", "'' is neither a network as 10.0.0.0/8 nor an address nor unix")


def test_proxy_fields_have_names_of_which_no_two_say_the_same():
    kind = kinds.proxy_fields()
    assert kind.read("X-Forwarded-For, x-forwarded-proto") == ("x-forwarded-for", "x-forwarded-proto")
    assert kind.read("Forwarded, X-Forwarded-Prefix") == ("forwarded", "x-forwarded-prefix")
    assert kind.read("") == ()
    refused(kind, "x-forwarded-fro", "'x-forwarded-fro' is not valid, did you mean x-forwarded-for?")
    refused(
        kind,
        "x-forwarded-host, forwarded",
        "forwarded and x-forwarded-host say the same; name the one that the proxy sets",
    )


def test_a_root_path_has_whole_segments():
    kind = kinds.root_path()
    for text in ("", "/shop", "/shop/de-at", "/~user/v1.0"):
        assert kind.read(text) == text
    for text in ("shop", "/", "/shop/", "//shop", "/a b", "/%20", "/shop?x", "/../shop", "/shop/."):
        refused(kind, text, f"{text!r} is not a path like /shop: no slash at its end, nothing to be escaped")
