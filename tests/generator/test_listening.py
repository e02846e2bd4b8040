from __future__ import annotations

import dataclasses

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sdserve.config import ini
from sdserve.config.model import Listener
from sdserve.config.options import BY_SECTION, ENVIRONMENT, LISTEN
from sdserve.generator import listening, whole

FIELDS = [field.name for field in dataclasses.fields(Listener) if field.name in listening.Listener.__slots__]


def plain(listeners):
    return [{field: getattr(listener, field) for field in FIELDS} for listener in listeners]


@pytest.fixture
def read(tmp_path):
    """Reads files whose texts are given; in what is wrong with them they are called 0, 1, ..."""

    def read(*texts):
        paths = []
        for number, text in enumerate(texts):
            path = tmp_path / str(number)
            path.write_bytes(text if isinstance(text, bytes) else text.encode())
            paths.append(str(path))
        try:
            return plain(listening.read(paths))
        except listening.BrokenError as error:
            return [str(problem).removeprefix(f"{tmp_path}/") for problem in error.problems]

    return read


def test_what_is_known_here_is_what_is_declared():
    assert set(listening.SECTIONS) == {*BY_SECTION, ENVIRONMENT} - {LISTEN}
    assert {*listening.OPTIONS, *listening.OTHERS} == set(BY_SECTION[LISTEN])
    assert not set(listening.OPTIONS) & set(listening.OTHERS)


def test_the_defaults_are_those_of_the_configuration():
    assert plain([listening.Listener("web")]) == plain([Listener(name="web")])


def test_listeners_have_what_their_sections_say(read):
    text = """
[app]
application = shop:app

[listen:http]
address = 127.0.0.1:8000
    [::1]:8000    # and here
    /run/shop.sock
backlog = 100
mode = 600
owner = shop
group = www-data

[listen:admin]
address = localhost:8001
"""
    http, admin = read(text)
    assert http == {
        "name": "http",
        "addresses": ("127.0.0.1:8000", "[::1]:8000", "unix:/run/shop.sock"),
        "backlog": 100,
        "defer_accept": 0.0,
        "mode": 0o600,
        "owner": "shop",
        "group": "www-data",
    }
    assert (admin["name"], admin["addresses"], admin["mode"]) == ("admin", ("127.0.0.1:8001",), 0o660)


def test_a_later_file_wins_option_by_option(read):
    first = "[listen:http]\naddress = 127.0.0.1:1\nbacklog = 5\nmode = 0600\n"
    (http,) = read(first, "[listen:http]\naddress = 127.0.0.1:2\nmode =\n")
    assert (http["addresses"], http["backlog"], http["mode"]) == (("127.0.0.1:2",), 5, 0o660)


def test_a_listener_without_an_address_is_one(read):
    assert [listener["addresses"] for listener in read("[listen:http]\n")] == [()]


def test_other_sections_and_their_mistakes_do_not_matter(read):
    text = "[workers]\ncuont = 2\ncuont = 3\n\tx\n[listen:http]\naddress = 127.0.0.1:80\n"
    assert [listener["addresses"] for listener in read(text)] == [("127.0.0.1:80",)]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("[listn:http]\n", "0:1: [listn:http]: unknown section, did you mean listen:http?"),
        ("[listen:http]\nadress = x\n", "0:2: [listen:http] adress: unknown option, did you mean address?"),
        ("[listen:http]\nbacklog = 0\n", "0:2: [listen:http] backlog: 0 is out of range, 1 to 65535"),
        ("x = 1\n", "0:1: x stands before the first [section]"),
        ("[app\n", "0:1: a section is [NAME]; indent the line if it continues the one above"),
        (b"\xff\n", "0:1: byte 0xff is not UTF-8, save the file as UTF-8"),
        (
            "[listen:a]\naddress = 127.0.0.1:80\n[listen:b]\naddress = 127.0.0.1:80\n",
            "0:4: [listen:b] address: 127.0.0.1:80 is listened on already, by {}/0:2",
        ),
        (
            "[listen:http]\naddress = 127.0.0.1:0\n",
            "0:2: [listen:http] address: a socket unit needs a port, 0 takes any only without one",
        ),
    ],
)
def test_what_may_concern_the_sockets_is_named_with_its_line(read, tmp_path, text, problem):
    assert read(text) == [problem.format(tmp_path)]


def test_all_that_is_wrong_is_told_at_once(read):
    assert len(read("[listen:http]\nbacklog = x\nmode = y\n", "[listen:http]\naddress = z\n")) == 3


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(listening.BrokenError, match="cannot be read: No such file or directory"):
        listening.read([f"{tmp_path}/shop.ini"])


def test_the_files_of_an_instance_are_the_ini_and_its_drop_ins(tmp_path):
    (tmp_path / "shop.ini.d").mkdir()
    (tmp_path / "shop.ini.d" / "x.conf").write_text("")
    assert listening.instance_files(str(tmp_path), "shop") == [
        f"{tmp_path}/shop.ini",
        f"{tmp_path}/shop.ini.d/x.conf",
    ]


VALUES = """
127.0.0.1:80 127.0.0.1:0 127.0.0.1:80 127.0.0.1:65535 127.0.0.1:65536 127.0.0.01:80 256.0.0.1:80 0.0.0.0:80
1.2.3:80 localhost:8000 LOCALHOST:1 [::]:80 [::1]:80 [::0]:80 [fe80::1%eth0]:80 ::1 :80 *:80 example.org:80
unix:/run/x /run/x /run/../x unix:x /run/%n /run/x\\ 1 0 65535 65536 00001 660 0660 0999 1777 www-data root
Root 33 033 a.b 5s 1m 500ms 1h30m 2h -1 https://x:80
"""
NAMES = "listen:http listen:admin listen:a.b listen:ä listen listen: lsten:x"
OPTION = st.tuples(
    st.sampled_from([*listening.OPTIONS, "adress"]),
    st.lists(st.sampled_from(VALUES.split()), max_size=3),
)
FILE = st.lists(
    st.tuples(st.sampled_from(NAMES.split()), st.lists(OPTION, max_size=3)),
    max_size=3,
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=300, deadline=None)
@given(st.lists(FILE, min_size=1, max_size=2))
def test_what_is_understood_here_means_the_same_to_the_whole_configuration(files):
    sections = []
    for number, file in enumerate(files):
        lines = []
        for name, options in file:
            lines.append(f"[{name}]")
            for option, values in options:
                lines += [f"{option} =", *(f"  {value}" for value in values)]
        found, _ = ini.read("\n".join(lines).encode(), str(number))
        sections += [(str(number), section) for section in found]
    try:
        usual = list(listening._usual(section for _, section in sections))
    except listening._UnusualError:
        return
    assert plain(usual) == plain(whole.read(sections))
