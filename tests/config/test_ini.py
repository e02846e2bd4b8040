import pytest
from hypothesis import given
from hypothesis import strategies as st

from sdserve.config import ini

PATH = "shop.ini"


def read(text):
    data = text if isinstance(text, bytes) else text.encode()
    sections, problems = ini.read(data, PATH)
    return sections, [str(problem) for problem in problems]


def settings(text):
    """Read `text`, which is right; return {section: {option: [(line, value), ...]}}."""
    sections, problems = read(text)
    assert problems == []
    return {
        section.name: {
            setting.name: [(line.number, line.text) for line in setting.lines] for setting in section.settings
        }
        for section in sections
    }


def problems(text):
    return read(text)[1]


def test_an_option_has_its_section_value_and_line():
    assert settings("\n[app]\n\napplication = a:b\n") == {"app": {"application": [(4, "a:b")]}}


def test_spaces_around_the_parts_do_not_count():
    assert settings("[ app ]  \nx=1 \ny\t =\t2\t\n") == {"app": {"x": [(2, "1")], "y": [(3, "2")]}}


def test_only_the_first_equals_sign_separates():
    assert settings("[a]\nx = 1 = 2") == {"a": {"x": [(2, "1 = 2")]}}


def test_sections_and_options_know_their_own_line():
    sections, _ = read("[a]\n[b]\nx =\n  1\n")
    assert [(section.name, section.line) for section in sections] == [("a", 1), ("b", 2)]
    assert [(setting.name, setting.line) for setting in sections[1].settings] == [("x", 3)]


def test_windows_line_ends_are_taken():
    assert settings("[a]\r\nx = 1\r\n  2\r\n") == {"a": {"x": [(2, "1"), (3, "2")]}}


def test_an_indented_line_is_one_more_value():
    assert settings("[a]\nx = 1\n  2\n\t3\ny = 4") == {
        "a": {"x": [(2, "1"), (3, "2"), (4, "3")], "y": [(5, "4")]}
    }


def test_the_first_value_may_stand_on_the_next_line():
    assert settings("[a]\nx =\n  1\n") == {"a": {"x": [(3, "1")]}}


def test_empty_and_comment_lines_do_not_end_a_value():
    assert settings("[a]\nx = 1\n\n# one\n  ; two\n  2\n") == {"a": {"x": [(2, "1"), (6, "2")]}}


def test_an_indented_bracket_is_a_value_and_no_section():
    assert settings("[a]\nx = 1\n  [::]:80\n") == {"a": {"x": [(2, "1"), (3, "[::]:80")]}}


@pytest.mark.parametrize("mark", ["#", ";"])
def test_a_mark_after_a_space_starts_a_comment(mark):
    text = f"[a] {mark} one\nx = 1 {mark} two\n  2\t{mark} three\ny = {mark} four\nz = 1{mark}2\n"
    assert settings(text) == {"a": {"x": [(2, "1"), (3, "2")], "y": [], "z": [(5, f"1{mark}2")]}}


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ('"a #b"', "a #b"),
        ("'a ;b' ; comment", "a ;b"),
        ('" a "', " a "),
        ('""', ""),
        ("''", ""),
        ("""'"'""", '"'),
        ('a "b"', 'a "b"'),
        ("it's", "it's"),
    ],
)
def test_a_value_in_quotes_is_what_stands_between_them(written, value):
    assert settings(f"[a]\nx = {written}\n") == {"a": {"x": [(2, value)]}}


def test_a_value_without_anything_is_no_value():
    assert settings("[a]\nx =\ny = \n") == {"a": {"x": [], "y": []}}


def test_a_section_without_options_is_there():
    assert settings("[listen:http]") == {"listen:http": {}}


@pytest.mark.parametrize("written", ['"a', '"', '"a"b', '"a" b', '"a"#b', '"a", "b"', "'a\""])
def test_a_quote_that_does_not_end_with_the_value_is_wrong(written):
    assert problems(f"[a]\nx = {written}\n") == [
        "shop.ini:2: [a] x: a value that starts with a quote ends with it, and has none in between"
    ]


@pytest.mark.parametrize("line", ["preload", "= 1", "application: a"])
def test_a_line_without_option_and_value_is_wrong(line):
    assert problems(f"[app]\n{line}\n") == [
        "shop.ini:2: neither a [section] nor an option = value nor a comment"
    ]


def test_an_option_before_the_first_section_is_wrong():
    assert problems("x = 1\n  2\n[a]\n") == ["shop.ini:1: x stands before the first [section]"]


@pytest.mark.parametrize("header", ["[app", "[app] x", "[[app]]", "[::1]:80", "[a]b]"])
def test_a_section_header_that_is_none_is_wrong_and_what_follows_belongs_to_no_section(header):
    sections, found = read(f"[a]\n{header}\nx = 1\n[b]\n")
    assert found == ["shop.ini:2: a section is [NAME]; indent the line if it continues the one above"]
    assert [(section.name, section.settings) for section in sections] == [("a", []), ("b", [])]


def test_a_section_that_comes_twice_is_wrong():
    assert problems("[app]\n[log]\n[app]\n") == ["shop.ini:3: section [app] was opened before, in line 1"]


def test_an_option_that_comes_twice_is_wrong_also_across_parts_of_a_section():
    assert problems("[a]\nx = 1\nx = 2\n") == [
        "shop.ini:3: [a] x: was set before, in line 2; several values go on indented lines below the first"
    ]
    assert problems("[a]\nx = 1\n[a]\nx = 2\n") == [
        "shop.ini:3: section [a] was opened before, in line 1",
        "shop.ini:4: [a] x: was set before, in line 2; several values go on indented lines below the first",
    ]


def test_an_option_of_the_same_name_in_another_section_is_right():
    assert settings("[a]\nx = 1\n[b]\nx = 2\n") == {"a": {"x": [(2, "1")]}, "b": {"x": [(4, "2")]}}


@pytest.mark.parametrize("text", ["  x = 1\n", "[a]\n  x = 1\n", "[a]\n  x = 1\n  y = 1\n"])
def test_an_indented_line_with_nothing_above_is_wrong_once(text):
    line = text[: text.index("x")].count("\n") + 1
    assert problems(text) == [
        f"shop.ini:{line}: an indented line continues an option, and there is none above; remove the indent"
    ]


def test_what_continues_a_wrong_line_is_not_a_second_mistake():
    assert len(problems("[a]\npreload\n  1\n  2\n")) == 1


@pytest.mark.parametrize(
    ("character", "code"),
    [("\x00", "0000"), ("\x1b", "001B"), ("\x7f", "007F"), ("\r", "000D"), ("\x0c", "000C")],
)
def test_a_control_character_is_wrong(character, code):
    assert problems(f"[a]\nx = 1{character}2\n") == [
        f"shop.ini:2: the line has a control character, U+{code}",
    ]


def test_unicode_line_ends_do_not_end_a_line():
    assert settings("[a]\nx = 1\u20282\x853\n") == {"a": {"x": [(2, "1\u20282\x853")]}}


def test_a_byte_order_mark_is_wrong():
    assert problems(b"\xef\xbb\xbf[a]\n") == [
        "shop.ini:1: the file starts with a byte order mark, save it as UTF-8 without one"
    ]


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be"])
def test_utf_16_is_named(encoding):
    mark = "\ufeff".encode(encoding)
    assert problems(mark + "[a]\n".encode(encoding)) == ["shop.ini:1: the file is UTF-16, save it as UTF-8"]


def test_a_byte_that_is_not_utf_8_is_named_with_its_line():
    assert problems("[a]\n\nx = Zürich\n".encode("latin-1")) == [
        "shop.ini:3: byte 0xfc is not UTF-8, save the file as UTF-8"
    ]


def test_all_that_is_wrong_is_found_and_the_rest_is_read():
    sections, found = read("x\n[a]\ny\nz = 1\n[b\n[c]\nq = '\n")
    assert len(found) == 4
    assert [section.name for section in sections] == ["a", "c"]
    assert [setting.name for setting in sections[0].settings] == ["z"]


lines = st.lists(
    st.sampled_from(
        ["[a]", "[b", "x = 1", "x", " 2", "\t[::]:80", "# c", "", "y = '", 'z = " "', "= 3", "\x00"]
    )
    | st.text(max_size=12)
)


@given(lines.map("\n".join).map(lambda text: text.encode("utf-8", "surrogatepass")) | st.binary())
def test_any_bytes_are_read_or_refused_with_a_line_that_exists(data):
    sections, found = ini.read(data, PATH)
    length = data.count(b"\n") + 1
    assert all(1 <= problem.line <= length for problem in found)
    places = [line.number for section in sections for setting in section.settings for line in setting.lines]
    assert places == sorted(places) or found
    assert all(1 <= place <= length for place in places)


names = st.from_regex(r"[a-z_]{1,8}", fullmatch=True)
values = st.text(st.characters(exclude_characters='"', exclude_categories=["Cc", "Cs"]), max_size=20)


@given(st.dictionaries(names, st.dictionaries(names, st.lists(values, min_size=1), max_size=4), max_size=4))
def test_everything_that_was_written_comes_back(written):
    text = "".join(
        f"[{section}]\n"
        + "".join(f"{name} =\n" + "".join(f'  "{v}"\n' for v in vs) for name, vs in options.items())
        for section, options in written.items()
    )
    found = settings(text)
    assert {
        s: {n: [v for _, v in vs] for n, vs in options.items()} for s, options in found.items()
    } == written
