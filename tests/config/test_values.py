import pytest

from sdserve.config import ini
from sdserve.config.values import Source, Value, find_option, listener_names, read_values

SECTIONS = "app, listen:NAME, workers, reload, http, websocket, log, environment"


def source(text, *, base="/srv"):
    sections, problems = ini.read(text.encode(), "shop.ini")
    assert problems == []
    return Source("shop.ini", base, tuple(sections))


def values(text, **more):
    found, problems = read_values(source(text, **more))
    assert problems == []
    return {(value.section, value.name): value.value for value in found}


def problems(text):
    return [str(problem) for problem in read_values(source(text))[1]]


def test_values_have_their_units_converted():
    text = "[workers]\nthreads = 4\ndrain_timeout = 1m\n[http]\nmax_body = 8M\n[app]\npreload = on\n"
    assert values(text) == {
        ("workers", "threads"): 4,
        ("workers", "drain_timeout"): 60.0,
        ("http", "max_body"): 8 << 20,
        ("app", "preload"): True,
    }


def test_a_value_knows_its_lines():
    found, _ = read_values(source("[listen:http]\naddress = 127.0.0.1:80\n\n  [::1]:80\nbacklog =\n"))
    assert found == [
        Value("listen:http", "address", ("127.0.0.1:80", "[::1]:80"), "shop.ini", (2, 4)),
        Value("listen:http", "backlog", None, "shop.ini", (5,)),
    ]
    assert [found[0].origin(0), found[0].origin(1), found[1].origin()] == [
        "shop.ini:2",
        "shop.ini:4",
        "shop.ini:5",
    ]


def test_a_value_of_the_command_line_has_no_line():
    assert Value("workers", "threads", 4, "--threads", (0,)).origin() == "--threads"


@pytest.mark.parametrize("option", ["directory", "venv"])
def test_a_relative_path_starts_at_the_base(option):
    assert values(f"[app]\n{option} = current/x\n") == {("app", option): "/srv/current/x"}
    assert values(f"[app]\n{option} = /opt/x\n") == {("app", option): "/opt/x"}
    assert values(f'[app]\n{option} = ""\n') == {("app", option): ""}


def test_no_value_puts_an_option_back_to_its_default():
    assert values("[workers]\nthreads =\n[listen:a]\naddress = ; none\n[environment]\nA =\n") == {
        ("workers", "threads"): None,
        ("listen:a", "address"): None,
        ("environment", "A"): None,
    }


def test_variables_keep_their_case_and_their_text():
    assert values("[environment]\nPath = a = 'b'\npath = \"\"\n_1 = ~/$HOME/%(x)s\n") == {
        ("environment", "Path"): "a = 'b'",
        ("environment", "path"): "",
        ("environment", "_1"): "~/$HOME/%(x)s",
    }


@pytest.mark.parametrize("name", ["1A", "A-B", "A B", "Ä", "a.b"])
def test_not_every_name_is_a_variables(name):
    assert problems(f"[environment]\n{name} = 1\n") == [
        f"shop.ini:2: [environment] {name}: a variable's name has letters, digits and _, and no digit first"
    ]


@pytest.mark.parametrize(("section", "option"), [("environment", "A"), ("workers", "threads")])
def test_an_option_with_one_value_takes_no_second(section, option):
    assert problems(f"[{section}]\n{option} = 1\n  2\n  3\n") == [
        f"shop.ini:3: [{section}] {option}: takes one value; this indented line would be a second one"
    ]


def test_a_wrong_value_is_named_with_its_line():
    assert problems("[workers]\nthreads =\n  4k\n") == [
        "shop.ini:3: [workers] threads: '4k' is not a whole number"
    ]


def test_each_of_several_wrong_values_is_named_with_its_line():
    assert problems("[listen:http]\naddress = 80\n  [::]:80\n  :80\n") == [
        "shop.ini:2: [listen:http] address: '80' is none of HOST:PORT, [IPV6]:PORT and unix:/path",
        "shop.ini:4: [listen:http] address: of which host? 0.0.0.0:80 is all of IPv4, [::]:80 all of IPv6",
    ]


@pytest.mark.parametrize(
    ("section", "option", "hint"),
    [
        ("workers", "thread", ", did you mean threads?"),
        ("workers", "Threads", ", did you mean threads?"),
        ("listen:a", "adress", ", did you mean address?"),
        ("app", "threads", ", it belongs into [workers]"),
        ("app", "address", ", it belongs into [listen:NAME]"),
        ("log", "file", "; the options are: level, access"),
    ],
)
def test_an_unknown_option_comes_with_what_was_meant(section, option, hint):
    assert problems(f"[{section}]\n{option} = 1\n") == [
        f"shop.ini:2: [{section}] {option}: unknown option{hint}"
    ]


@pytest.mark.parametrize(
    ("section", "message"),
    [
        ("worker", "unknown section, did you mean workers?"),
        ("App", "unknown section, did you mean app?"),
        ("app:x", "unknown section, did you mean app?"),
        ("listn:http", "unknown section, did you mean listen:http?"),
        (
            "xyz",
            f"unknown section; the sections are: {SECTIONS}",
        ),
        (
            "",
            f"unknown section; the sections are: {SECTIONS}",
        ),
        ("listen", "a listener has a name, as in [listen:http]"),
        ("listen:", "a listener has a name, as in [listen:http]"),
        ("listen:a b", "the name 'a b' is not printable ASCII without spaces, colons and brackets"),
        ("listen:a:b", "the name 'a:b' is not printable ASCII without spaces, colons and brackets"),
        ("listen:ä", "the name 'ä' is not printable ASCII without spaces, colons and brackets"),
        (
            "listen:sdserve-web",
            "names that begin with 'sdserve-' are for what systemd keeps for sdserve itself",
        ),
    ],
)
def test_an_unknown_section_is_named_once_whatever_is_in_it(section, message):
    assert problems(f"\n[{section}]\na = 1\nb = 2\n") == [f"shop.ini:2: [{section}]: {message}"]


@pytest.mark.parametrize("name", ["http", "http-2.x_y", "sdserve@shop.socket", "x" * 255])
def test_a_listener_may_have_the_names_of_descriptors(name):
    assert values(f"[listen:{name}]\nbacklog = 7\n") == {(f"listen:{name}", "backlog"): 7}


def test_listeners_are_named_in_their_order_also_when_empty():
    assert list(listener_names(source("[listen:b]\n[app]\n[listen:a]\nmode = 600\n[listen:]\n"))) == [
        "b",
        "a",
    ]


def test_an_option_is_found_in_its_section():
    assert find_option("listen:x", "mode").field == "mode"
    assert find_option("workers", "mode") is None
    assert find_option("environment", "A") is None


@pytest.mark.parametrize("section", ["environment", "listen:a", "app"])
def test_no_value_of_the_command_line_has_a_control_character(section):
    options = {"environment": "A", "listen:a": "address", "app": "venv"}
    setting = ini.Setting(options[section], 0, [ini.Line(0, "/x\ny")])
    _, found = read_values(Source("--set", "/", (ini.Section(section, 0, [setting]),)))
    assert [str(problem) for problem in found] == [
        f"--set: [{section}] {options[section]}: the value has a control character"
    ]
