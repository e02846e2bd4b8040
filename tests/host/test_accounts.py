import grp
import os
import pwd

import pytest

from sdserve.host import accounts


def test_names_have_numbers_and_numbers_have_names():
    assert accounts.user_id("daemon") == pwd.getpwnam("daemon").pw_uid
    assert accounts.group_id("daemon") == grp.getgrnam("daemon").gr_gid
    assert accounts.user_name(0) == "root"
    assert accounts.group_name(0) == "root"


def test_a_number_is_taken_as_it_is():
    assert accounts.user_id("4711") == 4711
    assert accounts.group_id("4711") == 4711
    assert accounts.user_name(4711) == "4711"
    assert accounts.group_name(4711) == "4711"


def test_nothing_given_changes_nothing(tmp_path):
    before = os.stat(tmp_path)
    os.chown(tmp_path, accounts.user_id(""), accounts.group_id(""))
    assert (os.stat(tmp_path).st_uid, os.stat(tmp_path).st_gid) == (before.st_uid, before.st_gid)


@pytest.mark.parametrize(("look_up", "kind"), [(accounts.user_id, "user"), (accounts.group_id, "group")])
def test_who_does_not_exist_is_named(look_up, kind):
    with pytest.raises(LookupError, match=f"there is no {kind} nobody-like-this"):
        look_up("nobody-like-this")
