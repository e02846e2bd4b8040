from __future__ import annotations

import subprocess

import pytest

from tests.packages.conftest import ROOT

SYSTEMD = ROOT / "systemd"

pytestmark = [pytest.mark.slow, pytest.mark.timeout(400)]

UNITS = {".service", ".target", ".path"}
FILES = """
/etc/sdserve/sdserve.ini
/usr/bin/sdserve
/usr/lib/systemd/catalog/sdserve.catalog
/usr/lib/systemd/system-generators/sdserve-generator
/usr/lib/systemd/user-generators/sdserve-generator
/usr/lib/tmpfiles.d/sdserve.conf
/usr/share/bash-completion/completions/sdserve
/usr/share/fish/vendor_completions.d/sdserve.fish
/usr/share/man/man5/sdserve.ini.5.gz
/usr/share/man/man8/sdserve.8.gz
/usr/share/man/man8/sdserve@.service.8.gz
/usr/share/zsh/site-functions/_sdserve
"""


@pytest.fixture
def rpm(build):
    return build("build-rpm", "rpmbuild", "rpm")


def query(*arguments):
    return subprocess.run(["rpm", *arguments], check=True, capture_output=True, text=True).stdout


def test_it_has_the_files_that_an_installation_has(rpm):
    assert rpm.name == "sdserve-1.0-1.noarch.rpm"
    files = set(query("-qlp", rpm).splitlines())
    units = {f"/usr/lib/systemd/system/{path.name}" for path in SYSTEMD.iterdir() if path.suffix in UNITS}
    users = {f"/usr/lib/systemd/user/{path.name}" for path in (SYSTEMD / "user").iterdir()}
    expected = {*FILES.split(), *units, *users}
    assert expected <= files
    elsewhere = {path for path in files - expected if "/site-packages/sdserve" not in path}
    assert {
        path for path in elsewhere if not path.startswith(("/usr/share/doc/", "/usr/share/licenses/"))
    } == {"/etc/sdserve"}


def test_it_needs_the_distributions_own_libraries(rpm):
    needed = query("-qp", "--requires", rpm).splitlines()
    assert {"python3-h11 >= 0.14", "python3-systemd >= 235", "python3-uvloop >= 0.17"} <= set(needed)
    assert query("-qp", "--configfiles", rpm) == "/etc/sdserve/sdserve.ini\n"


def test_its_scriptlets_restart_nothing_and_are_right(rpm):
    scripts = query("-qp", "--scripts", rpm)
    assert "systemctl restart" not in scripts
    assert "try-restart" not in scripts
    for name in ("postinstall", "preuninstall", "postuninstall", "posttrans"):
        begin = f"{name} scriptlet (using /bin/sh):\n"
        assert begin in scripts
        text = scripts.partition(begin)[2].partition(" scriptlet (using")[0].rpartition("\n")[0]
        assert "%" not in text
        subprocess.run(["sh", "-n"], input=text, check=True, text=True)


def test_it_is_installed_into_an_empty_root_and_erased_again(rpm, tmp_path):
    query("--root", tmp_path, "--initdb")
    query("--root", tmp_path, "-i", "--nodeps", "--noscripts", rpm)
    assert query("--root", tmp_path, "-V", "--nodeps", "sdserve") == ""
    generator = (tmp_path / "usr/lib/systemd/system-generators/sdserve-generator").read_text()
    site = generator.partition('sys.path.append("')[2].partition('"')[0]
    assert (tmp_path / site.lstrip("/") / "sdserve/generator/main.py").exists()
    (tmp_path / "etc/sdserve/sdserve.ini").write_text("[log]\naccess = yes\n")
    query("--root", tmp_path, "-e", "--nodeps", "--noscripts", "sdserve")
    left = [str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*sdserve*")]
    assert sorted(left) == ["etc/sdserve", "etc/sdserve/sdserve.ini.rpmsave"]


def test_rpmlint_has_nothing_to_say(build, rpm):
    build("build-rpm", "rpmlint")
    command = ["rpmlint", "--config", ROOT / "packaging/rpm/rpmlint.toml", rpm]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    assert "0 errors, 0 warnings" in done.stdout, done.stdout
