import pytest

from sdserve.core.tls.names import ByName

CHOICE = ByName(
    "default",
    [
        ("first", ["a.example", "*.w.example", "x.w.example"]),
        ("second", ["a.example", "b.example", "y.w.example"]),
        ("third", ["*.w.example"]),
    ],
)


@pytest.mark.parametrize(
    ("server_name", "chosen"),
    [
        (None, "default"),
        ("", "default"),
        ("other.example", "default"),
        ("example", "default"),
        ("a.example", "first"),
        ("A.Example", "first"),
        ("a.example.", "first"),
        ("b.example", "second"),
        ("z.w.example", "first"),
        ("x.w.example", "first"),
        ("y.w.example", "second"),
        ("w.example", "default"),
        ("a.b.w.example", "default"),
    ],
)
def test_an_exact_name_then_a_wildcard_then_the_first(server_name, chosen):
    assert CHOICE.find(server_name) == chosen
