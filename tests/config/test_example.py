from sdserve.config import example, ini
from sdserve.config.options import BY_SECTION


def made(*addresses, **options):
    wishes = example.Wishes(
        name="shop", application="a:b", addresses=addresses, directory="/srv/shop", **options
    )
    sections, problems = ini.read(example.text(wishes).encode(), "shop.ini")
    assert problems == []
    return {
        (section.name, setting.name): [line.text for line in setting.lines]
        for section in sections
        for setting in section.settings
    }


def test_it_says_what_was_asked_for_and_no_more():
    assert made("127.0.0.1:80") == {
        ("app", "application"): ["a:b"],
        ("app", "directory"): ["/srv/shop"],
        ("listen:http", "address"): ["127.0.0.1:80"],
        ("workers", "count"): ["auto"],
    }


def test_a_unix_socket_has_rights():
    found = made("[::]:80", "unix:/run/x", group="nginx", venv="/srv/shop/.venv")
    assert found["listen:http", "address"] == ["[::]:80", "unix:/run/x"]
    assert found["listen:http", "group"] == ["nginx"]
    assert found["app", "venv"] == ["/srv/shop/.venv"]
    assert (("listen:http", "trusted") in found) is ("trusted" in BY_SECTION["listen"])
