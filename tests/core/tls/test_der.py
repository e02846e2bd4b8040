import pytest

from sdserve.core.tls import der


def test_values_one_after_the_other():
    found = list(der.elements(b"\x02\x01\x05\x30\x03\x02\x01\x07"))
    assert [(element.tag, element.content) for element in found] == [(2, b"\x05"), (0x30, b"\x02\x01\x07")]
    assert [element.encoded for element in found] == [b"\x02\x01\x05", b"\x30\x03\x02\x01\x07"]
    assert [part.content for part in found[1].parts()] == [b"\x07"]


@pytest.mark.parametrize("size", [0, 127, 128, 255, 256, 70_000])
def test_lengths_of_all_forms(size):
    octets = size.to_bytes(4, "big").lstrip(b"\0")
    length = bytes([size]) if size < 128 else bytes([0x80 | len(octets)]) + octets
    assert der.only(b"\x04" + length + bytes(size)).content == bytes(size)


@pytest.mark.parametrize(
    "data", [b"\x30", b"\x30\x02\x00", b"\x30\x80\x00\x00", b"\x30\x85" + bytes(9), b"\x30\x82\x01"]
)
def test_what_is_cut_short_or_has_no_length(data):
    with pytest.raises(ValueError, match=r"cut short|out of range"):
        list(der.elements(data))


def test_one_value_is_wanted():
    with pytest.raises(ValueError, match="2 values"):
        der.only(b"\x05\x00\x05\x00")


def test_another_kind_is_wanted():
    with pytest.raises(ValueError, match="0x02 where 0x30"):
        der.only(b"\x02\x01\x05").parts()


@pytest.mark.parametrize(
    ("content", "dotted"),
    [
        (b"\x55\x04\x03", "2.5.4.3"),
        (b"\x2a\x86\x48\x86\xf7\x0d\x01\x09\x01", "1.2.840.113549.1.9.1"),
        (b"\x09\x92\x26\x89\x93\xf2\x2c\x64\x01\x19", "0.9.2342.19200300.100.1.25"),
        (b"\x88\x37\x03", "2.999.3"),
    ],
)
def test_object_identifiers(content, dotted):
    assert der.object_identifier(content) == dotted


@pytest.mark.parametrize("content", [b"", b"\x55\x84"])
def test_half_an_object_identifier(content):
    with pytest.raises(ValueError, match="cut short"):
        der.object_identifier(content)
