import pytest
from hypothesis import given
from hypothesis import strategies as st

from sdserve.config import ini
from sdserve.config.listing import Row, quoted, rows
from sdserve.config.options import OPTIONS
from sdserve.host.cpus import usable_cpus

APP = "[app]\napplication = shop:app\n"


def listed(etc, target="shop"):
    return [
        Row(row.section, row.option, row.text, etc.shortened(row.origin)) for row in rows(etc.load(target))
    ]


def of_section(etc, section):
    return [(row.option, row.text, row.origin) for row in listed(etc) if row.section == section]


def test_every_option_is_listed_in_the_order_of_the_manual(etc):
    etc.write("shop.ini", APP)
    names = [(row.section.partition(":")[0], row.option) for row in listed(etc)]
    # What has several values, and none by default, has no line.
    assert names == [
        (option.section, option.name) for option in OPTIONS if option.name not in ("certificate", "key")
    ]


def test_a_value_comes_with_its_file_and_line_or_is_the_default(etc):
    etc.write("sdserve.ini", "[http]\nmax_body = 8192K\n")
    etc.write("shop.ini", APP + "venv = v\n")
    assert of_section(etc, "app") == [
        ("application", "shop:app", "etc/shop.ini:2"),
        ("directory", '""', "default"),
        ("venv", "etc/v".replace("etc", str(etc.path)), "etc/shop.ini:3"),
        ("interface", "auto", "default"),
        ("preload", "no", "default"),
    ]
    assert ("max_body", "8M", "etc/sdserve.ini:2") in of_section(etc, "http")
    assert ("keepalive_timeout", "1m15s", "default") in of_section(etc, "http")


def test_auto_is_shown_as_the_number_that_it_became(etc):
    etc.write("shop.ini", APP + "[workers]\ncount = auto\n")
    assert ("count", str(usable_cpus()), "etc/shop.ini:4 (auto)") in of_section(etc, "workers")


def test_auto_that_stays_auto_needs_no_remark(etc):
    etc.write("shop.ini", APP + "interface = auto\n")
    assert ("interface", "auto", "etc/shop.ini:3") in of_section(etc, "app")


def test_each_address_has_its_line(etc):
    etc.write("shop.ini", APP + "[listen:a]\naddress = 127.0.0.1:1\n  [::1]:1\nmode = 600\n[listen:b]\n")
    assert of_section(etc, "listen:a")[:4] == [
        ("address", "127.0.0.1:1", "etc/shop.ini:4"),
        ("address", "[::1]:1", "etc/shop.ini:5"),
        ("backlog", "2048", "default"),
        ("mode", "0600", "etc/shop.ini:6"),
    ]
    assert of_section(etc, "listen:b")[:2] == [("backlog", "2048", "default"), ("mode", "0660", "default")]
    assert of_section(etc, "listen:b")[-4:] == [
        ("trusted", '""', "default"),
        ("trusted_fields", "x-forwarded-for, x-forwarded-proto", "default"),
        ("proxy_protocol", "no", "default"),
        ("root_path", '""', "default"),
    ]


def test_each_certificate_has_its_line(etc):
    etc.write(
        "shop.ini", APP + "[listen:a]\ncertificate = a.pem\n  credential:b\nkey = /a.key\n  credential:k\n"
    )
    assert [row for row in of_section(etc, "listen:a") if row[0] in ("certificate", "key")] == [
        ("certificate", f"{etc.path}/a.pem", "etc/shop.ini:4"),
        ("certificate", "credential:b", "etc/shop.ini:5"),
        ("key", "/a.key", "etc/shop.ini:6"),
        ("key", "credential:k", "etc/shop.ini:7"),
    ]


def test_without_a_listener_the_default_one_is_shown(etc):
    etc.write("shop.ini", APP)
    assert of_section(etc, "listen:http")[0] == ("address", "127.0.0.1:8000", "default")


def test_variables_are_listed_last(etc):
    etc.write("shop.ini", "[environment]\nB = 1\nA = ' x'\n" + APP)
    assert [(row.section, row.option, row.text, row.origin) for row in listed(etc)[-2:]] == [
        ("environment", "B", "1", "etc/shop.ini:2"),
        ("environment", "A", '" x"', "etc/shop.ini:3"),
    ]


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a", "a"),
        ("a#b;c", "a#b;c"),
        ("it's", "it's"),
        ("", '""'),
        (" a", '" a"'),
        ("a #b", '"a #b"'),
        ("a\t;b", '"a\t;b"'),
        ("#a", '"#a"'),
        ("'a'", "\"'a'\""),
        ('"a"', "'\"a\"'"),
    ],
)
def test_what_a_file_would_read_otherwise_is_shown_in_quotes(text, shown):
    assert quoted(text) == shown


@given(
    st.text(st.characters(exclude_categories=["Cc", "Cs"])).filter(lambda text: not {'"', "'"} <= set(text))
)
def test_what_is_shown_could_have_been_written(text):
    sections, problems = ini.read(f"[a]\nx = {quoted(text)}\n".encode(), "x.ini")
    assert problems == []
    assert [line.text for line in sections[0].settings[0].lines] == [text]
