import pytest

from sdserve.config import files


def test_drop_ins_come_by_name_and_without_the_hidden_ones(tmp_path):
    folder = tmp_path / "shop.ini.d"
    folder.mkdir()
    for name in ("20.conf", "10.conf", ".10.conf.swp", ".30.conf", "readme", "40.conf~"):
        (folder / name).write_text("")
    assert files.drop_ins(f"{tmp_path}/shop.ini") == [f"{folder}/10.conf", f"{folder}/20.conf"]


def test_there_may_be_none(tmp_path):
    assert files.drop_ins(f"{tmp_path}/shop.ini") == []


def test_a_directory_that_is_none_is_an_error(tmp_path):
    (tmp_path / "shop.ini.d").write_text("")
    with pytest.raises(NotADirectoryError):
        files.drop_ins(f"{tmp_path}/shop.ini")
