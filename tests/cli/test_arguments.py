import pytest

from sdserve.cli.main import main

SECTIONS = "app, listen:NAME, workers, reload, http, websocket, log, environment"
WHICH_HOST = "of which host? 0.0.0.0:80 is all of IPv4, [::]:80 all of IPv6"


def shown(shell, *argv):
    """Return {section.option: (value, origin)} as `show` prints them; of several values the last."""
    code, out, err = shell.run("show", *argv)
    assert (code, err) == (0, [])
    found = {}
    for line in filter(None, out):
        name, _, rest = line.partition("=")
        value, _, origin = rest.partition("  # ")
        found[name.strip()] = (value.strip(), origin)
    return found


@pytest.mark.parametrize(
    ("argv", "name", "value"),
    [
        (["--workers", "3"], "workers.count", "3"),
        (["--threads=4"], "workers.threads", "4"),
        (["--interface", "wsgi"], "app.interface", "wsgi"),
        (["--bind", "/run/x"], "listen:http.address", "unix:/run/x"),
    ],
)
def test_options_of_the_file_have_options_of_the_command_line(shell, argv, name, value):
    assert shown(shell, "a:b", *argv)[name] == (value, argv[0].partition("=")[0])


def test_the_command_line_wins_over_the_file(shell):
    shell.write("etc/shop.ini", "[app]\napplication = a:b\n[workers]\ncount = 2\nthreads = 2\n")
    found = shown(shell, "shop", "--workers", "3")
    assert found["workers.count"] == ("3", "--workers")
    assert found["workers.threads"] == ("2", f"{shell.path}/etc/shop.ini:5")


def test_set_sets_any_option(shell):
    found = shown(shell, "a:b", "--set", "http.max_body=8M", "--set", "environment.A_B=c = #d")
    assert found["http.max_body"] == ("8M", "--set")
    assert found["environment.A_B"] == ('"c = #d"', "--set")


def test_set_reaches_listeners_also_with_dots_in_their_name(shell):
    found = shown(shell, "a:b", "--set", "listen:a.b.backlog=7")
    assert found["listen:a.b.backlog"] == ("7", "--set")


def test_the_last_set_wins(shell):
    assert (
        shown(shell, "a:b", "--set", "log.level=info", "--set", "log.level=error")["log.level"][0] == "error"
    )


def test_set_without_a_value_takes_the_default(shell):
    shell.write("etc/shop.ini", "[app]\napplication = a:b\n[workers]\nthreads = 2\n")
    assert shown(shell, "shop", "--set", "workers.threads=")["workers.threads"] == ("1", "default")


def test_bind_takes_the_place_of_all_listeners(shell):
    shell.write("etc/shop.ini", "[app]\napplication = a:b\n[listen:x]\naddress = 127.0.0.1:1\n")
    found = shown(shell, "shop", "--bind", "127.0.0.1:2", "--bind", "[::1]:2")
    assert {name.partition(".")[0] for name in found if name.startswith("listen:")} == {"listen:http"}
    assert found["listen:http.address"] == ("[::1]:2", "--bind")


@pytest.mark.parametrize("text", ["x", "x=1", "workers.threads", "=", ""])
def test_set_needs_a_section_an_option_and_a_value(shell, text):
    assert shell.run("show", "a:b", "--set", text) == (
        2,
        [],
        [f"sdserve: --set {text}: write SECTION.OPTION=VALUE, as in --set workers.count=2"],
    )


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["--workers", "0"], "--workers: [workers] count: 0 is out of range, 1 to 1024"),
        (["--threads", "x"], "--threads: [workers] threads: 'x' is not a whole number"),
        (["--bind", ":80"], f"--bind: [listen:http] address: {WHICH_HOST}"),
        (["--set", "log.levl=x"], "--set: [log] levl: unknown option, did you mean level?"),
        (["--set", "lag.level=x"], "--set: [lag]: unknown section, did you mean log?"),
        (["--set", ".x=1"], f"--set: []: unknown section; the sections are: {SECTIONS}"),
    ],
)
def test_a_wrong_value_names_the_option_of_the_command_line(shell, argv, message):
    assert shell.run("show", "a:b", *argv) == (78, [], [message])


def test_a_value_that_looks_like_an_option_can_be_given(shell):
    assert shown(shell, "a:b", "--set=environment.A=--x")["environment.A"] == ("--x", "--set")


def test_the_variable_names_the_directory(shell, monkeypatch):
    shell.write("other/shop.ini", "[app]\napplication = other:app\n")
    monkeypatch.setenv("SDSERVE_CONFIG_DIR", "other")
    assert shown(shell, "shop")["app.application"] == ("other:app", "other/shop.ini:2")


@pytest.mark.parametrize("value", ["", None])
def test_without_the_variable_the_directory_is_that_of_the_system(shell, monkeypatch, value):
    if value is None:
        monkeypatch.delenv("SDSERVE_CONFIG_DIR")
    else:
        monkeypatch.setenv("SDSERVE_CONFIG_DIR", value)
    code, _, err = shell.run("show", "no-such-instance")
    assert code == 78
    assert err[0].startswith("/etc/sdserve/no-such-instance.ini: there is no instance no-such-instance")


@pytest.mark.parametrize("name", ["run", "check", "show"])
def test_all_commands_that_read_a_configuration_take_the_same_arguments(shell, capfd, name):
    assert main([name, "--help"]) == 0
    text = capfd.readouterr().out
    assert all(
        option in text for option in ("TARGET", "--bind", "--workers", "--threads", "--interface", "--set")
    )
