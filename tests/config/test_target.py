import re
from pathlib import Path

import pytest

from sdserve.config.target import DIRECTORY, Target, find_target
from sdserve.errors import ConfigurationError, UsageError


@pytest.fixture
def here(tmp_path, monkeypatch):
    path = tmp_path / "here"
    path.mkdir()
    monkeypatch.chdir(path)
    return path


def refused(etc, text, message, error=ConfigurationError):
    with pytest.raises(error) as caught:
        find_target(text, etc.path)
    assert etc.shortened(caught.value) == message


def names(etc, target):
    return [etc.shortened(path) for path in target.files]


def test_the_directory_is_that_of_the_system():
    assert Path("/etc/sdserve") == DIRECTORY


def test_an_instance_is_a_file_of_the_directory(etc):
    path = etc.write("shop.ini", "")
    assert find_target("shop", etc.path) == Target(
        name="shop", path=str(path), files=(path,), base=str(etc.path)
    )


def test_files_come_in_order_of_precedence(etc):
    for name in ("shop.ini", "shop.ini.d/20-b.conf", "shop.ini.d/100-a.conf", "sdserve.ini", "other.ini"):
        etc.write(name, "")
    assert names(etc, find_target("shop", etc.path)) == [
        "etc/sdserve.ini",
        "etc/shop.ini",
        "etc/shop.ini.d/100-a.conf",
        "etc/shop.ini.d/20-b.conf",
    ]


def test_only_conf_files_that_are_not_hidden_are_drop_ins(etc):
    for name in (
        "shop.ini",
        "shop.ini.d/.#a.conf",
        "shop.ini.d/a.conf~",
        "shop.ini.d/a.ini",
        "shop.ini.d/a.conf",
    ):
        etc.write(name, "")
    assert names(etc, find_target("shop", etc.path)) == ["etc/shop.ini", "etc/shop.ini.d/a.conf"]


@pytest.mark.parametrize("name", ["shop", "shop-1.2_x", "a.b"])
def test_an_instance_may_have_these_names(etc, name):
    etc.write(f"{name}.ini", "")
    assert find_target(name, etc.path).name == name


@pytest.mark.parametrize("name", ["", "shop!", "a b", "ä", "shop@1"])
def test_other_names_are_no_target(etc, name):
    refused(
        etc,
        name,
        f"{name!r} is not an instance (letters, digits, '_', '.', '-'), a file or module:attribute",
        UsageError,
    )


def test_an_instance_that_is_not_there_says_where_it_would_be(etc, here):
    refused(etc, "shop", "etc/shop.ini: there is no instance shop: no such file")


def test_an_instance_that_is_not_there_suggests_a_near_one(etc, here):
    for name in ("shop.ini", "blog.ini", "sdserve.ini"):
        etc.write(name, "")
    refused(etc, "shp", "etc/shp.ini: there is no instance shp: no such file, did you mean shop?")
    refused(etc, "xxx", "etc/xxx.ini: there is no instance xxx: no such file; the instances are: blog, shop")


def test_an_instance_whose_file_is_in_the_current_directory_says_how_to_name_it(etc, here):
    (here / "shop.ini").write_text("")
    refused(
        etc,
        "shop",
        "etc/shop.ini: there is no instance shop: no such file; "
        "for the file in this directory write ./shop.ini",
    )


@pytest.mark.parametrize(
    ("file", "text", "module"),
    [
        ("hello.py", "hello", "hello"),
        ("hello.py", "hello.py", "hello"),
        ("shop/__init__.py", "shop", "shop"),
        ("shop/wsgi.py", "shop.wsgi", "shop.wsgi"),
    ],
)
def test_an_instance_that_is_a_module_of_the_current_directory_says_how_to_name_it(
    etc, here, file, text, module
):
    (here / file).parent.mkdir(exist_ok=True)
    (here / file).touch()
    refused(
        etc,
        text,
        f"etc/{text}.ini: there is no instance {text}: no such file; "
        f"for the Python module in this directory write {module}:app, app being the application in it",
    )


def test_without_the_directory_there_is_no_instance(etc, here):
    etc.path.rmdir()
    refused(etc, "shop", "etc/shop.ini: there is no instance shop: no such file")


@pytest.mark.parametrize("text", ["shop.ini", "./shop.ini", "conf/shop", "../here/conf/shop"])
def test_a_path_is_a_file_with_its_own_drop_ins_and_no_shared_defaults(etc, here, text):
    etc.write("sdserve.ini", "")
    path = Path(text)
    path.parent.mkdir(exist_ok=True)
    path.write_text("")
    drop_in = Path(f"{text}.d", "x.conf")
    drop_in.parent.mkdir()
    drop_in.write_text("")
    target = find_target(text, etc.path)
    assert target == Target(name="shop", path=str(path), files=(path, drop_in), base=str(here / path.parent))


def test_a_path_into_the_directory_is_the_instance(etc):
    etc.write("sdserve.ini", "")
    path = etc.write("shop.ini", "")
    assert find_target(str(path), etc.path) == find_target("shop", etc.path)


def test_a_path_into_the_directory_through_a_link_is_the_instance(etc, here):
    etc.write("sdserve.ini", "")
    etc.write("shop.ini", "")
    Path("link").symlink_to(etc.path)
    assert names(etc, find_target("link/shop.ini", etc.path)) == ["etc/sdserve.ini", "link/shop.ini"]


def test_the_shared_defaults_are_no_instance(etc):
    path = etc.write("sdserve.ini", "")
    message = "etc/sdserve.ini: these are the defaults of all instances, not an instance"
    refused(etc, "sdserve", message)
    refused(etc, str(path), message)


def test_a_file_that_is_not_there_suggests_a_near_one(etc, here):
    (here / "shop.ini").write_text("")
    refused(etc, "./shp.ini", "shp.ini: no such file, did you mean shop.ini?")
    refused(etc, "nowhere/shop.ini", "nowhere/shop.ini: no such file")
    refused(etc, "shop.ini/x", "shop.ini/x: no such file")


def test_drop_ins_that_cannot_be_read_are_not_passed_over(etc):
    etc.write("shop.ini", "")
    etc.write("shop.ini.d", "a file")
    refused(etc, "shop", "etc/shop.ini.d: cannot be read: Not a directory")


def test_a_file_that_cannot_be_looked_at_is_left_to_the_reader(etc):
    path = etc.path / "shop.ini"
    path.symlink_to("shop.ini")  # a loop
    assert find_target("shop", etc.path).files == (path,)


@pytest.mark.parametrize("text", ["shop:app", "shop.wsgi:make()", "./shop:app", ":"])
def test_what_has_a_colon_is_an_application_in_the_current_directory(etc, here, text):
    target = find_target(text, etc.path)
    assert (target.name, target.path, target.files) == ("sdserve", "TARGET", ())
    (given,) = target.given
    (section,) = given.sections
    assert (given.path, given.base, section.name) == ("TARGET", str(here), "app")
    written = {setting.name: [line.text for line in setting.lines] for setting in section.settings}
    assert written == {"application": [text], "directory": [str(here)]}


def test_a_file_with_a_colon_in_its_name_is_a_file(etc, here):
    (here / "a:b").write_text("")
    assert find_target("a:b", etc.path).files == (Path("a:b"),)


def test_messages_name_whole_paths(etc, here):
    with pytest.raises(ConfigurationError, match=re.escape(str(etc.path / "shop.ini"))):
        find_target("shop", etc.path)
