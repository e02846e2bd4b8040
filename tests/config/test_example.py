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


def test_its_commands_are_those_of_the_manager_that_runs_it():
    def comments(**options):
        wishes = example.Wishes(
            name="shop", application="a:b", addresses=["[::]:80"], directory="/", **options
        )
        return [line[4:] for line in example.text(wishes).splitlines() if line.startswith("#   ")]

    rest = "    or, where it listens having changed,"
    assert comments() == [
        "sdserve check shop",
        f"systemctl reload sdserve@shop{rest}",
        "sdserve apply shop",
    ]
    assert comments(users_path="/home/me/.config/sdserve/shop.ini") == [
        "sdserve check /home/me/.config/sdserve/shop.ini",
        f"systemctl --user reload sdserve@shop{rest}",
        "sdserve apply --user shop",
    ]


def test_a_unix_socket_has_rights():
    found = made("[::]:80", "unix:/run/x", group="nginx", venv="/srv/shop/.venv")
    assert found["listen:http", "address"] == ["[::]:80", "unix:/run/x"]
    assert found["listen:http", "group"] == ["nginx"]
    assert found["app", "venv"] == ["/srv/shop/.venv"]
    assert (("listen:http", "trusted") in found) is ("trusted" in BY_SECTION["listen"])
