"""The generator as a process of its own, since how it starts is a part of it."""

from __future__ import annotations

import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / "systemd/sdserve-generator"
INI = """
[app]
application = shop:app

[listen:http]
address = 127.0.0.1:{}
    /run/sdserve/{}.sock
group = daemon
"""
IN_RUNTIME = (
    "[listen:http] address: unix:/run/sdserve/bad.example/x is in a directory that systemd removes when the "
    "service stops, write unix:/run/sdserve/bad.example.sock"
)


class Generator:
    """The generator for a configuration directory that a test writes."""

    def __init__(self, path, kind):
        self.etc = path / "sdserve"
        self.output = path / "normal"
        self._script = path / f"{kind}-generators/sdserve-generator"
        for place in (self.etc, self.output, self._script.parent):
            place.mkdir()
        text = SCRIPT.read_text().replace("/usr/lib/python3/dist-packages", str(ROOT))
        assert str(ROOT) in text
        here = f"from sdserve.config import files\nfiles.DIRECTORY = {str(self.etc)!r}\n"
        self._script.write_text(text.replace("from sdserve.gen", f"{here}\nfrom sdserve.gen", 1))
        self._environment = {"XDG_CONFIG_HOME": str(path)} if kind == "user" else {}

    def log_to_standard_error(self):
        quiet = "from sdserve.generator import log\nlog.JOURNAL = log.KERNEL = '/nowhere'\n"
        text = self._script.read_text()
        self._script.write_text(text.replace("from sdserve.gen", f"{quiet}\nfrom sdserve.gen", 1))

    def write(self, name, text):
        path = self.etc / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)

    def run(self, *options):
        """Return what it complained about; it never fails."""
        command = [sys.executable, "-IS", *options, str(self._script), *[str(self.output)] * 3]
        done = subprocess.run(command, env=self._environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0
        return done.stderr.replace(str(self.etc), "etc").splitlines()

    def made(self):
        return sorted(
            str(path.relative_to(self.output)) for path in self.output.rglob("*") if not path.is_dir()
        )

    def read(self, path):
        return (self.output / path).read_text()


@pytest.fixture(params=["system", "user"])
def generator(tmp_path, request):
    made = Generator(tmp_path, request.param)
    made.log_to_standard_error()
    return made


@pytest.fixture
def systems(tmp_path):
    made = Generator(tmp_path, "system")
    made.log_to_standard_error()
    return made


def test_each_instance_has_its_units(generator):
    generator.write("shop.ini", INI.format(8000, "shop"))
    generator.write("blog.ini", "[app]\napplication = a:b\n")
    assert generator.run() == []
    assert generator.made() == [
        "sdserve-sockets@blog.target.wants/sdserve@blog@http.socket",
        "sdserve-sockets@shop.target.wants/sdserve@shop@http.socket",
        "sdserve-sockets@shop.target.wants/sdserve@shop@http@unix.socket",
        "sdserve@blog.service.d/00-sdserve.conf",
        "sdserve@blog@http.socket",
        "sdserve@shop.service.d/00-sdserve.conf",
        "sdserve@shop@http.socket",
        "sdserve@shop@http@unix.socket",
    ]
    link = generator.output / "sdserve-sockets@shop.target.wants/sdserve@shop@http.socket"
    assert link.read_text() == generator.read("sdserve@shop@http.socket")
    assert "ListenStream=127.0.0.1:8000\n" in generator.read("sdserve@blog@http.socket")


def test_only_a_system_gives_sockets_away(generator):
    generator.write("shop.ini", INI.format(8000, "shop"))
    generator.run()
    is_system = "system-generators" in str(generator._script)
    assert ("SocketGroup" in generator.read("sdserve@shop@http@unix.socket")) is is_system


def test_shared_defaults_and_drop_ins_count(systems):
    systems.write("sdserve.ini", "[listen:http]\nbacklog = 7\naddress = 127.0.0.1:1\n")
    systems.write("shop.ini", "[app]\napplication = a:b\n")
    systems.write("shop.ini.d/10.conf", "[listen:http]\naddress = 127.0.0.1:2\n")
    assert systems.run() == []
    text = systems.read("sdserve@shop@http.socket")
    assert "ListenStream=127.0.0.1:2\n" in text
    assert "ListenStream=127.0.0.1:1\n" not in text
    assert "Backlog=7\n" in text


def test_what_is_broken_spoils_only_itself(systems):
    systems.write("bad.ini", "[listen:http]\nadress = x\n")
    systems.write("bad.example.ini", "[listen:http]\naddress = unix:/run/sdserve/bad.example/x\n")
    systems.write("folder.ini/x", "")
    systems.write("good.ini", INI.format(8000, "good"))
    systems.write("no name.ini", "")
    systems.write(".hidden.ini", "nonsense")
    (systems.etc / "loop.ini.d").write_text("")
    systems.write("loop.ini", "")
    complaints = [line.removeprefix("sdserve-generator: etc/") for line in systems.run()]
    assert complaints == [
        f"bad.example.ini: {IN_RUNTIME}; it has no sockets",
        "bad.ini:2: [listen:http] adress: unknown option, did you mean address?; it has no sockets",
        "folder.ini: cannot be read: Is a directory; it has no sockets",
        "loop.ini: [Errno 20] Not a directory: 'etc/loop.ini.d'; it has no sockets",
        "no name.ini: no name of an instance (letters, digits, '_', '.', '-'); ignoring it",
    ]
    assert [path for path in systems.made() if path.startswith("sdserve@") and "good" not in path] == [
        "sdserve@bad.example.service.d/00-sdserve.conf"  # its user stays the same
    ]
    assert "sdserve@good@http.socket" in systems.made()


def test_what_nobody_has_thought_of_is_named_too(systems):
    systems.write("shop.ini", INI.format(8000, "shop"))
    (systems.output / "sdserve@shop.service.d").mkdir()
    assert systems.run()[0].startswith("sdserve-generator: etc/shop.ini: [Errno 17] File exists")


def test_without_a_configuration_directory_there_is_nothing_to_do(systems):
    systems.etc.rmdir()
    assert systems.run() == []
    assert systems.made() == []


def test_a_configuration_directory_that_is_none_is_named(systems):
    systems.etc.rmdir()
    systems.etc.write_text("")
    assert systems.run() == [
        "sdserve-generator: etc cannot be read: Not a directory; no instance has sockets"
    ]


def test_it_imports_next_to_nothing(tmp_path):
    systems = Generator(tmp_path, "system")
    systems.write("shop.ini", INI.format(8000, "shop"))
    imported = {line.rpartition("|")[2].strip() for line in systems.run("-X", "importtime")}
    assert "sdserve.generator.main" in imported
    slow = {"re", "dataclasses", "typing", "enum", "pathlib", "socket", "argparse", "logging", "ipaddress"}
    assert imported & {*slow, "uvloop", "h11", "systemd", "sdserve.config.options"} == set()


@pytest.fixture
def memory():
    """A directory that is where systemd has the units written: in memory."""
    with tempfile.TemporaryDirectory(dir="/dev/shm") as path:
        yield Path(path)


@pytest.mark.slow
def test_twenty_instances_take_hardly_longer_than_python_itself(memory):
    systems = Generator(memory, "system")
    for number in range(20):
        systems.write(f"shop{number}.ini", INI.format(8000 + number, f"shop{number}"))

    def empty():
        subprocess.run([sys.executable, "-ISc", ""], check=True)

    pairs = []
    for _ in range(15):
        pairs.append((processor_seconds(empty), processor_seconds(systems.run)))
        shutil.rmtree(systems.output)
        systems.output.mkdir()
    nothing, something = (statistics.median(times) for times in zip(*pairs, strict=True))
    print(f"20 instances: {1000 * something:.0f} ms, an empty program: {1000 * nothing:.0f} ms")
    assert something < 5 * nothing


def processor_seconds(run):
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    run()
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
