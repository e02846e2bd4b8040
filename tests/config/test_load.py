import os
from pathlib import Path
from textwrap import dedent

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sdserve.config.ini import Line, Section, Setting
from sdserve.config.load import automatic_count, load
from sdserve.config.model import Configuration, Listener, LogOptions
from sdserve.config.options import OPTIONS
from sdserve.config.target import Target
from sdserve.config.values import Source
from sdserve.core.fleet.options import FleetOptions
from sdserve.core.gateway.options import AppOptions, WorkerOptions
from sdserve.core.http.options import HttpOptions
from sdserve.core.tls.options import TlsOptions
from sdserve.core.websocket.options import WebSocketOptions
from sdserve.errors import ConfigurationError
from sdserve.host.cpus import usable_cpus

APP = "[app]\napplication = shop:app\n"

EVERYTHING = """\
[app]
application = shop.wsgi:make()
directory = /srv/shop/current
venv = /srv/venv
interface = wsgi
preload = yes

[listen:http]
address = 0.0.0.0:80
    [::]:80
backlog = 100

[listen:admin]
address = /run/shop.sock
mode = 0600
owner = shop
group = www-data
defer_accept = 5s
trusted = 10.0.0.0/8, unix
trusted_fields = Forwarded, X-Forwarded-Prefix
proxy_protocol = yes
root_path = /shop

[listen:https]
address = [::]:443
certificate = /etc/ssl/a.pem
    credential:b
key = /etc/ssl/a.key
    credential:b.key
client_ca = /etc/ssl/ca.pem
client_certificate = optional
tls_minimum = 1.3
tls_ciphers = HIGH:!aNULL
handshake_timeout = 5s

[workers]
count = 4
threads = 8
loop = asyncio
boot_timeout = 2m
drain_timeout = 1h
drain_soft = 20s
websocket_drain = 1m
max_requests = 10000
max_age = 1d
max_memory = 500M
request_timeout = 1m
max_queue_time = 10s
stall_timeout = 0
min_ready = 2
idle_exit = 10m

[reload]
surge = 3
warmup_path = /health?all=yes

[http]
parser = h11
max_request_line = 4K
max_field = 5K
max_fields = 50
max_head = 32K
max_trailers = 1K
max_chunk_extensions = 2K
max_body = 1G
body_memory = 0
max_output = 128K
max_pipelined = 8
max_connections = 1000
head_timeout = 1s
body_timeout = 2s
body_min_rate = 0
keepalive_timeout = 3s
write_timeout = 500ms
server_header = ""

[websocket]
max_message = 1M
max_queue = 16
compression = no
ping_interval = 30s
ping_timeout = 0
close_timeout = 5s

[log]
level = debug
access = yes

[environment]
DEBUG = 1
"""
AS_CONFIGURED = Configuration(
    name="shop",
    app=AppOptions(
        application="shop.wsgi:make()",
        directory="/srv/shop/current",
        venv="/srv/venv",
        interface="wsgi",
        preload=True,
    ),
    listen=(
        Listener(name="http", addresses=("0.0.0.0:80", "[::]:80"), backlog=100),
        Listener(
            name="admin",
            addresses=("unix:/run/shop.sock",),
            mode=0o600,
            owner="shop",
            group="www-data",
            defer_accept=5.0,
            trusted=("10.0.0.0/8", "unix"),
            trusted_fields=("forwarded", "x-forwarded-prefix"),
            proxy_protocol=True,
            root_path="/shop",
        ),
        Listener(
            name="https",
            addresses=("[::]:443",),
            tls=TlsOptions(
                certificates=("/etc/ssl/a.pem", "credential:b"),
                keys=("/etc/ssl/a.key", "credential:b.key"),
                client_ca="/etc/ssl/ca.pem",
                client_certificate="optional",
                minimum_version="1.3",
                ciphers="HIGH:!aNULL",
                handshake_timeout=5.0,
            ),
        ),
    ),
    fleet=FleetOptions(
        count=4, boot_timeout=120, drain_timeout=3600, stall_timeout=0, min_ready=2, idle_exit=600, surge=3
    ),
    workers=WorkerOptions(
        threads=8,
        loop="asyncio",
        drain_timeout=3600,
        drain_soft=20,
        websocket_drain=60,
        max_requests=10_000,
        max_age=86400,
        max_memory=500 << 20,
        warmup_path="/health?all=yes",
        request_timeout=60.0,
        max_queue_time=10.0,
    ),
    http=HttpOptions(
        parser="h11",
        max_request_line=4096,
        max_field=5120,
        max_fields=50,
        max_head=32768,
        max_trailers=1024,
        max_chunk_extensions=2048,
        max_body=1 << 30,
        body_memory=0,
        max_output=128 * 1024,
        max_pipelined=8,
        max_connections=1000,
        head_timeout=1,
        body_timeout=2,
        body_min_rate=0,
        keepalive_timeout=3,
        write_timeout=0.5,
        server_header="",
    ),
    websocket=WebSocketOptions(
        max_message=1 << 20,
        max_queue=16,
        compression=False,
        ping_interval=30,
        ping_timeout=0,
        close_timeout=5,
    ),
    log=LogOptions(level="debug", access=True),
    environment={"DEBUG": "1"},
)


def command_line(flag, full_name, *texts, replaces_listeners=False):
    section, _, option = full_name.rpartition(".")
    setting = Setting(option, 0, [Line(0, text) for text in texts])
    return Source(flag, os.getcwd(), (Section(section, 0, [setting]),), replaces_listeners)


def test_an_application_alone_is_enough(etc):
    etc.write("shop.ini", APP)
    assert etc.load().configuration == Configuration(
        name="shop",
        app=AppOptions(application="shop:app"),
        listen=(),
        fleet=FleetOptions(),
        workers=WorkerOptions(),
        http=HttpOptions(),
        websocket=WebSocketOptions(),
        log=LogOptions(),
    )


def test_everything_can_be_set(etc):
    etc.write("shop.ini", EVERYTHING)
    loaded = etc.load()
    assert loaded.configuration == AS_CONFIGURED
    set_here = {(section.partition(":")[0], option) for section, option in loaded.values}
    assert set_here >= {(option.section, option.name) for option in OPTIONS}


@pytest.mark.parametrize(
    ("cpus", "memory", "max_memory", "count"),
    [
        (4, None, 0, 4),
        (4, 512 << 20, 0, 4),
        (4, 300 << 20, 0, 2),
        (4, 100 << 20, 0, 1),
        (4, 1 << 30, 512 << 20, 2),
        (1, 1 << 40, 0, 1),
    ],
)
def test_auto_is_what_cpus_and_memory_are_enough_for(cpus, memory, max_memory, count):
    assert automatic_count(cpus, memory, max_memory) == count


def test_auto_is_the_number_of_usable_cpus(etc):
    etc.write("shop.ini", APP + "[workers]\ncount = auto\n")
    assert etc.load().configuration.fleet.count == usable_cpus()


def test_what_is_later_wins_option_by_option(etc):
    etc.write(
        "sdserve.ini", "[workers]\nthreads = 1\ncount = 1\n[http]\nmax_fields = 1\n[log]\nlevel = error\n"
    )
    etc.write("shop.ini", APP + "[workers]\nthreads = 2\ncount = 2\n[http]\nmax_fields = 2\n")
    etc.write("shop.ini.d/1.conf", "[workers]\nthreads = 3\ncount = 3\n")
    etc.write("shop.ini.d/2.conf", "[workers]\nthreads = 4\n")
    loaded = etc.load("shop", command_line("--threads", "workers.threads", "5"))
    origins = {name: etc.shortened(value.origin()) for (_, name), value in loaded.values.items()}
    assert origins == {
        "application": "etc/shop.ini:2",
        "threads": "--threads",
        "count": "etc/shop.ini.d/1.conf:3",
        "max_fields": "etc/shop.ini:7",
        "level": "etc/sdserve.ini:7",
    }
    configuration = loaded.configuration
    assert (configuration.workers.threads, configuration.fleet.count, configuration.http.max_fields) == (
        5,
        3,
        2,
    )
    assert configuration.log.level == "error"


def test_no_value_takes_an_earlier_one_back(etc):
    etc.write("sdserve.ini", "[workers]\nthreads = 7\n[environment]\nA = 1\nB = 2\n")
    etc.write("shop.ini", APP + "[workers]\nthreads =\n[environment]\nA =\n")
    loaded = etc.load()
    assert loaded.configuration.workers.threads == 1
    assert loaded.configuration.environment == {"B": "2"}
    assert ("workers", "threads") not in loaded.values


def test_listeners_come_together_and_addresses_are_replaced_as_a_whole(etc):
    etc.write("shop.ini", APP + "[listen:a]\naddress = 127.0.0.1:1\n  127.0.0.1:2\nbacklog = 5\n[listen:b]\n")
    etc.write("shop.ini.d/x.conf", "[listen:c]\n[listen:a]\naddress = 127.0.0.1:3\n")
    assert etc.load().configuration.listen == (
        Listener(name="a", addresses=("127.0.0.1:3",), backlog=5),
        Listener(name="b"),
        Listener(name="c"),
    )


def test_a_source_that_replaces_listeners_leaves_none_of_the_others(etc):
    etc.write("shop.ini", APP + "[listen:http]\naddress = 127.0.0.1:1\nbacklog = 5\n[listen:b]\n")
    bind = command_line("--bind", "listen:http.address", "[::1]:1", "[::1]:2", replaces_listeners=True)
    mode = command_line("--set", "listen:http.mode", "600")
    assert etc.load("shop", bind, mode).configuration.listen == (
        Listener(name="http", addresses=("[::1]:1", "[::1]:2"), mode=0o600),
    )


def test_relative_paths_start_where_the_instance_is_also_those_of_drop_ins(etc, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    etc.write("shop.ini", APP + "directory = a\n")
    etc.write("shop.ini.d/x.conf", "[app]\nvenv = b\n")
    app = etc.load("etc/shop.ini").configuration.app
    assert (app.directory, app.venv) == (f"{etc.path}/a", f"{etc.path}/b")


def test_relative_paths_on_the_command_line_start_where_we_are(etc, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    etc.write("shop.ini", APP)
    loaded = etc.load("shop", command_line("--set", "app.directory", "a"))
    assert loaded.configuration.app.directory == f"{tmp_path}/a"


def test_an_application_without_a_file_runs_where_we_are(etc, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    configuration = etc.load("shop:app").configuration
    assert configuration.name == "sdserve"
    assert configuration.app == AppOptions(application="shop:app", directory=str(tmp_path))


def test_all_that_is_wrong_in_all_files_is_reported_in_their_order(etc):
    etc.write("sdserve.ini", "[workers]\nthread = 1\n")
    etc.write("shop.ini", "x = 1\n[app]\naplication = shop:app\npreload = maybe\n[app]\n[listn:http]\n")
    etc.write("shop.ini.d/a.conf", "[workers]\ncount = 0\n")
    etc.write("shop.ini.d/b.conf", "[workers]\ncount = 2\n[http\n")
    assert etc.problems("shop", command_line("--set", "log.level", "loud")) == [
        "etc/sdserve.ini:2: [workers] thread: unknown option, did you mean threads?",
        "etc/shop.ini:1: x stands before the first [section]",
        "etc/shop.ini:3: [app] aplication: unknown option, did you mean application?",
        "etc/shop.ini:4: [app] preload: 'maybe' is neither yes nor no (true, false, on, off, 1, 0)",
        "etc/shop.ini:5: section [app] was opened before, in line 2",
        "etc/shop.ini:6: [listn:http]: unknown section, did you mean listen:http?",
        "etc/shop.ini.d/a.conf:2: [workers] count: 0 is out of range, 1 to 1024",
        "etc/shop.ini.d/b.conf:3: a section is [NAME]; indent the line if it continues the one above",
        "--set: [log] level: 'loud' is not valid; choose one of: debug, info, warning, error",
    ]


def test_what_a_later_file_replaces_must_be_right_too(etc):
    etc.write("shop.ini", APP + "[workers]\ncount = none\n")
    etc.write("shop.ini.d/a.conf", "[workers]\ncount = 2\n")
    assert etc.problems() == ["etc/shop.ini:4: [workers] count: 'none' is neither auto nor a whole number"]


@pytest.mark.parametrize("text", ["", "[app]\n", "[app]\napplication =\n"])
def test_the_application_is_required(etc, text):
    etc.write("shop.ini", text)
    assert etc.problems() == [
        "etc/shop.ini: [app] application: is missing; write module:attribute or module:factory()"
    ]


def test_an_application_that_is_written_wrongly_is_not_missing_as_well(etc):
    etc.write("shop.ini", "[app]\napplication = shop\n")
    assert etc.problems() == [
        "etc/shop.ini:2: [app] application: 'shop' is neither module:attribute nor module:factory()"
    ]


def test_an_application_may_be_missing_beside_other_mistakes(etc):
    etc.write("shop.ini", "[log]\nlevel = x\n")
    assert etc.problems() == [
        "etc/shop.ini: [app] application: is missing; write module:attribute or module:factory()",
        "etc/shop.ini:2: [log] level: 'x' is not valid; choose one of: debug, info, warning, error",
    ]


def test_an_application_on_the_command_line_is_checked_like_any_other(etc):
    assert etc.problems("shop:") == [
        "TARGET: [app] application: 'shop:' is neither module:attribute nor module:factory()"
    ]


def test_an_address_is_listened_on_once(etc):
    etc.write("shop.ini", APP + "[listen:a]\naddress = 127.0.0.1:80\n  127.0.0.1:81\n  localhost:80\n")
    etc.write("shop.ini.d/a.conf", "[listen:b]\naddress = 127.0.0.1:81\n")
    assert etc.problems() == [
        "etc/shop.ini:6: [listen:a] address: 127.0.0.1:80 is listened on already, by etc/shop.ini:4",
        "etc/shop.ini.d/a.conf:2: [listen:b] address: 127.0.0.1:81 is listened on already, by etc/shop.ini:5",
    ]


def test_a_free_port_can_be_asked_for_more_than_once(etc):
    etc.write("shop.ini", APP + "[listen:a]\naddress = 127.0.0.1:0\n  127.0.0.1:0\n")
    assert etc.load().configuration.listen[0].addresses == ("127.0.0.1:0", "127.0.0.1:0")


def test_a_file_that_cannot_be_read_is_named_and_the_others_are_checked(etc):
    path = etc.write("shop.ini", APP)
    path.unlink()
    path.mkdir()
    etc.write("shop.ini.d/a.conf", "[log]\nlevel = x\n")
    assert etc.problems() == [
        "etc/shop.ini: cannot be read: Is a directory",
        "etc/shop.ini.d/a.conf:2: [log] level: 'x' is not valid; choose one of: debug, info, warning, error",
    ]


def test_a_file_that_is_not_text_is_named(etc):
    etc.write("shop.ini", APP).write_bytes(b"\xff\xfe[\x00")
    assert etc.problems() == ["etc/shop.ini:1: the file is UTF-16, save it as UTF-8"]


def test_the_message_of_the_error_is_all_problems(etc):
    etc.write("shop.ini", "[log]\nlevel = x\naccess = y\n")
    with pytest.raises(ConfigurationError) as caught:
        etc.load()
    assert str(caught.value).splitlines() == [str(problem) for problem in caught.value.problems]
    assert caught.value.exit_code == 78


written = st.lists(
    st.sampled_from([f"[{option.section}]" for option in OPTIONS] + ["[listen:x]", "[environment]"])
    | st.builds("{0} = {1}".format, st.sampled_from([option.name for option in OPTIONS]), st.text(max_size=8))
    | st.builds(
        "{0} = {1}".format,
        st.sampled_from([option.name for option in OPTIONS]),
        st.sampled_from(
            ["1", "auto", "yes", "1m", "64K", "127.0.0.1:80", "shop:app", "info", "0660", "/run/x", ""]
        ),
    )
    | st.text(max_size=8)
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(written.map("\n".join).map(lambda text: text.encode("utf-8", "surrogatepass")))
def test_any_file_gives_a_configuration_or_a_configuration_error(tmp_path, data):
    path = Path(tmp_path, "shop.ini")
    path.write_bytes(data)
    try:
        loaded = load(Target(name="shop", path=str(path), files=(path,), base=str(tmp_path)))
    except ConfigurationError as error:
        places = {problem.path for problem in error.problems}
    else:
        places = {value.path for value in loaded.values.values()}
    assert places == {str(path)}


def test_the_example_of_the_manual_is_right(etc):
    manual = Path(__file__).parent.parent.parent / "docs" / "configuration.md"
    example = manual.read_text().split("```ini\n")[1].split("```")[0]
    etc.write("shop.ini", dedent(example))
    assert etc.load().configuration.app.venv == "/srv/shop/current/.venv"


@pytest.mark.parametrize(
    ("lines", "problem"),
    [
        ("key = a.key", "4: [listen:a] key: is about TLS, which needs a certificate"),
        ("client_ca = a.pem", "4: [listen:a] client_ca: is about TLS, which needs a certificate"),
        (
            "certificate = a.pem\nkey = a.key\n  b.key",
            "5: [listen:a] key: there are 2 for 1 certificates; each has one",
        ),
        (
            "certificate = a.pem\nclient_certificate = optional",
            "5: [listen:a] client_certificate: needs a client_ca, by which certificates of clients can be ",
        ),
        (
            "certificate = credential:",
            "4: [listen:a] certificate: 'credential:' is not credential: and a name",
        ),
        ("certificate = credential:..", "4: [listen:a] certificate: 'credential:..' is not credential: and"),
        (
            "certificate = credential:a/b",
            "4: [listen:a] certificate: 'credential:a/b' is not credential: and",
        ),
        ("certificate = a\ntls_ciphers = \u00fc", "5: [listen:a] tls_ciphers: 'ü' is not a cipher list"),
    ],
)
def test_what_makes_no_sense_about_tls(etc, lines, problem):
    etc.write("shop.ini", f"{APP}[listen:a]\n{lines}\n")
    with pytest.raises(ConfigurationError) as failure:
        etc.load()
    assert f"shop.ini:{problem}" in str(failure.value)


def test_who_expects_proxy_headers_says_from_whom(etc):
    etc.write("shop.ini", APP + "[listen:a]\nproxy_protocol = yes\n[listen:b]\nproxy_protocol = no\n")
    message = "nobody could connect, as only trusted peers may send such a header; set trusted, too"
    assert [str(problem) for problem in etc.problems()] == [
        f"etc/shop.ini:4: [listen:a] proxy_protocol: {message}"
    ]
    etc.write("shop.ini", APP + "[listen:a]\nproxy_protocol = yes\ntrusted = 10.0.0.1\n")
    assert etc.load().configuration.listen[0].trusted == ("10.0.0.1",)
    etc.write("shop.ini", APP + '[listen:a]\nproxy_protocol = yes\ntrusted = ""\n')
    assert len(etc.problems()) == 1
