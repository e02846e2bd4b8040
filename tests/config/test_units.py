import pytest
from hypothesis import given
from hypothesis import strategies as st

from sdserve.config import units


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("30s", 30),
        ("5m", 300),
        ("1h30m", 5400),
        ("500ms", 0.5),
        ("1d", 86400),
        ("1m15s", 75),
        ("1.5h", 5400),
        ("90", 90),
        ("0.25", 0.25),
        ("0", 0),
    ],
)
def test_durations_are_read_as_seconds(text, seconds):
    assert units.read_duration(text) == pytest.approx(seconds)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "s",
        "5x",
        "-1s",
        "1m1h",
        "1s1s",
        "1 h",
        "1e3",
        "inf",
        "nan",
        "1.",
        ".5",
        "٣s",
        "5min",
        "1_0",
        "1h\n",
    ],
)
def test_other_durations_are_refused(text):
    with pytest.raises(ValueError, match="is not a duration like 30s, 5m, 1h30m or 500ms"):
        units.read_duration(text)


@given(st.integers(min_value=0, max_value=10**12))
def test_a_duration_is_shown_as_it_may_be_written(milliseconds):
    shown = units.show_duration(milliseconds / 1000)
    assert round(units.read_duration(shown) * 1000) == milliseconds


@pytest.mark.parametrize(
    ("seconds", "shown"), [(0, "0s"), (75, "1m15s"), (5400, "1h30m"), (0.5, "500ms"), (90061, "1d1h1m1s")]
)
def test_durations_are_shown_with_the_largest_units(seconds, shown):
    assert units.show_duration(seconds) == shown


@pytest.mark.parametrize(
    ("text", "size"),
    [("0", 0), ("4096", 4096), ("64K", 65536), ("64k", 65536), ("8M", 8 << 20), ("1G", 1 << 30)],
)
def test_sizes_are_read_as_bytes(text, size):
    assert units.read_size(text) == size


@pytest.mark.parametrize(
    "text", ["", "K", "1T", "1KB", "1KiB", "1.5M", "-1", "1 K", "٣", "1_0", "9" * 16, "1K\n"]
)
def test_other_sizes_are_refused(text):
    with pytest.raises(ValueError, match="is not a size like 4096, 64K, 8M or 1G"):
        units.read_size(text)


@given(st.integers(min_value=0, max_value=10**15 - 1))
def test_a_size_is_shown_as_it_may_be_written(size):
    assert units.read_size(units.show_size(size)) == size


@pytest.mark.parametrize(("size", "shown"), [(0, "0"), (8192, "8K"), (8193, "8193"), (1 << 30, "1G")])
def test_sizes_are_shown_with_the_largest_unit_that_leaves_no_rest(size, shown):
    assert units.show_size(size) == shown


@pytest.mark.parametrize("text", ["yes", "true", "on", "1", "YES", "True"])
def test_words_for_yes(text):
    assert units.read_boolean(text) is True


@pytest.mark.parametrize("text", ["no", "false", "off", "0", "No"])
def test_words_for_no(text):
    assert units.read_boolean(text) is False


@pytest.mark.parametrize("text", ["", "y", "2", "enabled"])
def test_other_words_are_neither(text):
    with pytest.raises(ValueError, match="is neither yes nor no"):
        units.read_boolean(text)


@pytest.mark.parametrize("value", [True, False])
def test_a_boolean_is_shown_as_it_may_be_written(value):
    assert units.read_boolean(units.show_boolean(value)) is value


@given(st.text())
def test_whatever_is_written_is_read_or_refused(text):
    for read in (units.read_duration, units.read_size, units.read_boolean):
        try:
            value = read(text)
        except ValueError:
            continue
        assert value >= 0
