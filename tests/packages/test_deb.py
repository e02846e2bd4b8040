from __future__ import annotations

import subprocess

import pytest

pytestmark = [pytest.mark.slow, pytest.mark.timeout(400)]


@pytest.fixture
def deb(build):
    return build("build-deb", "dpkg-buildpackage", "dh_python3")


def run(*command):
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def test_it_has_a_version_and_the_distributions_own_libraries(deb):
    assert deb.name == "sdserve_1.0_all.deb"
    fields = run("dpkg-deb", "--field", deb, "Version", "Depends")
    assert "Version: 1.0\n" in fields
    for needed in (
        "python3-h11 (>= 0.14)",
        "python3-systemd (>= 235)",
        "python3-uvloop (>= 0.17)",
        "systemd (>=",
    ):
        assert needed in fields


def test_lintian_has_nothing_to_say(build, deb):
    build("build-deb", "lintian")
    done = subprocess.run(
        ["lintian", "--allow-root", "--fail-on=error,warning", deb],
        check=False,
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stdout) == (0, "")


def test_the_shared_defaults_are_a_conffile(deb, tmp_path):
    subprocess.run(["dpkg-deb", "--control", deb, tmp_path / "control"], check=True)
    assert (tmp_path / "control/conffiles").read_text() == "/etc/sdserve/sdserve.ini\n"


@pytest.mark.parametrize("script", ["postinst", "prerm", "postrm"])
def test_a_maintainer_script_is_one(deb, tmp_path, script):
    subprocess.run(["dpkg-deb", "--control", deb, tmp_path / "control"], check=True)
    text = (tmp_path / "control" / script).read_text()
    assert "#DEBHELPER#" not in text
    assert text.startswith("#!/bin/sh\n")
    assert "\nset -e\n" in text
    subprocess.run(["sh", "-n", tmp_path / "control" / script], check=True)
