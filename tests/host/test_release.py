from __future__ import annotations

import os
import sys
import venv

import pytest

from sdserve.errors import ReleaseError
from sdserve.host import release

OURS = f"{sys.version_info.major}.{sys.version_info.minor}"


def make_venv(path, version=OURS, key="version"):
    """A virtual environment as far as files tell."""
    packages = path / "lib" / f"python{version}" / "site-packages"
    packages.mkdir(parents=True)
    (path / "bin").mkdir()
    (path / "bin" / "python").symlink_to(sys.executable)
    (path / "pyvenv.cfg").write_text(f"home = /usr/bin\n{key} = {version}.7.final.0\n")
    return packages


def test_without_settings_it_is_where_we_stand_and_our_own_python(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert release.resolve("", "") == release.Release(directory=str(tmp_path), python=sys.executable)


def test_links_are_resolved_once(tmp_path):
    (tmp_path / "releases" / "7").mkdir(parents=True)
    packages = make_venv(tmp_path / "releases" / "7" / ".venv")
    (tmp_path / "current").symlink_to("releases/7")
    found = release.resolve(str(tmp_path / "current"), str(tmp_path / "current" / ".venv"))
    assert found.directory == str(tmp_path / "releases" / "7")
    assert found.venv == str(tmp_path / "releases" / "7" / ".venv")
    assert found.site_packages == (str(packages),)


def test_a_relative_venv_is_in_the_directory(tmp_path):
    packages = make_venv(tmp_path / ".venv")
    assert release.resolve(str(tmp_path), ".venv").site_packages == (str(packages),)


def test_a_real_venv_of_our_version_runs_on_our_python(tmp_path):
    venv.create(tmp_path / ".venv", with_pip=False, symlinks=True)
    found = release.resolve(str(tmp_path), str(tmp_path / ".venv"))
    assert found.python == sys.executable
    assert found.site_packages == (str(tmp_path / ".venv" / "lib" / f"python{OURS}" / "site-packages"),)


@pytest.mark.parametrize("key", ["version", "version_info"])
def test_every_tool_writes_the_version_under_its_own_name(tmp_path, key):
    make_venv(tmp_path / ".venv", key=key)
    assert release.resolve(str(tmp_path), str(tmp_path / ".venv")).python == sys.executable


def install_plainly(packages):
    (packages / "sdserve").mkdir()
    (packages / "sdserve" / "__init__.py").touch()


def install_by_path_file(packages):
    checkout = packages.parents[4] / "checkout"
    (checkout / "sdserve").mkdir(parents=True)
    (checkout / "sdserve" / "__init__.py").touch()
    (packages / "odd.pth").write_bytes(b"\xff\xfe")
    (packages / "sdserve.pth").write_text(f"# a comment\n\nimport sys\n{checkout}\n")


def install_by_hook(packages):
    (packages / "sdserve-0.1.0.dist-info").mkdir()


@pytest.mark.parametrize("install", [install_plainly, install_by_path_file, install_by_hook])
def test_a_venv_of_another_version_with_sdserve_in_it_runs_on_its_own_python(tmp_path, install):
    install(make_venv(tmp_path / "site" / ".venv", "3.99"))
    found = release.resolve(str(tmp_path), str(tmp_path / "site" / ".venv"))
    assert found.python == str(tmp_path / "site" / ".venv" / "bin" / "python")
    assert found.site_packages == ()


def test_a_venv_of_another_version_without_sdserve_says_what_to_do(tmp_path):
    make_venv(tmp_path / ".venv", "3.99")
    with pytest.raises(ReleaseError) as caught:
        release.resolve(str(tmp_path), str(tmp_path / ".venv"))
    message = str(caught.value)
    assert f"is for Python 3.99, sdserve runs on Python {OURS}, and sdserve is not installed" in message
    assert f"Run `{tmp_path}/.venv/bin/python -m pip install sdserve`" in message
    assert f"recreate it with Python {OURS}" in message


def test_another_build_of_our_version_is_another_python(tmp_path):
    packages = make_venv(tmp_path / ".venv")
    packages.parent.rename(packages.parents[1] / f"python{OURS}t")
    with pytest.raises(ReleaseError, match="not installed"):
        release.resolve(str(tmp_path), str(tmp_path / ".venv"))


def test_a_venv_whose_python_is_gone_is_to_be_recreated(tmp_path):
    install_plainly(make_venv(tmp_path / ".venv", "3.99"))
    (tmp_path / ".venv" / "bin" / "python").unlink()
    with pytest.raises(ReleaseError, match="cannot be run; recreate"):
        release.resolve(str(tmp_path), str(tmp_path / ".venv"))


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        (None, "no virtual environment"),
        (b"\xff", "no virtual environment"),
        (b"home = /usr", "does not say for which Python"),
        (b"version = three", "does not say for which Python"),
        (b"version = three.one", "does not say for which Python"),
    ],
)
def test_what_is_no_venv_is_refused(tmp_path, text, complaint):
    if text is not None:
        (tmp_path / "pyvenv.cfg").write_bytes(text)
    with pytest.raises(ReleaseError, match=complaint):
        release.resolve(str(tmp_path), str(tmp_path))


def test_a_directory_that_is_none_is_refused(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(ReleaseError, match=r"directory: .*missing does not exist"):
        release.resolve(str(tmp_path / "missing"), "")
    with pytest.raises(ReleaseError, match=r"directory: .*file is not a directory"):
        release.resolve(str(tmp_path / "file"), "")
    with pytest.raises(ReleaseError, match=r"venv: .*missing does not exist"):
        release.resolve(str(tmp_path), str(tmp_path / "missing"))


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
def test_a_directory_that_may_not_be_read_is_refused(tmp_path):
    (tmp_path / "secret").mkdir(mode=0o700)
    child = os.fork()
    if child == 0:
        os.setuid(65534)
        try:
            release.resolve(str(tmp_path / "secret"), "")
        except ReleaseError:
            os._exit(0)
        os._exit(1)
    assert os.waitpid(child, 0)[1] == 0
