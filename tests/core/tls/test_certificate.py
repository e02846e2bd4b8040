"""With `cryptography` as the judge of what a certificate says."""

from __future__ import annotations

import datetime
from contextlib import suppress
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID
from hypothesis import given
from hypothesis import strategies as st

from sdserve.core.tls.certificate import _time, read, read_pem, to_pem
from sdserve.core.tls.der import Element
from tests.certificates import Authority, self_signed

KINDS = (
    NameOID.COMMON_NAME,
    NameOID.LOCALITY_NAME,
    NameOID.STATE_OR_PROVINCE_NAME,
    NameOID.STREET_ADDRESS,
    NameOID.ORGANIZATION_NAME,
    NameOID.ORGANIZATIONAL_UNIT_NAME,
    NameOID.USER_ID,
    NameOID.DOMAIN_COMPONENT,
)


def is_fit(kind, text):
    return kind != NameOID.DOMAIN_COMPONENT or text.isascii()


def judged(encoded):
    return x509.load_der_x509_certificate(encoded)


def read_file(files):
    return read_pem(Path(files.certificate).read_text())


def test_what_a_certificate_says(tmp_path):
    for certificate in read_file(Authority(tmp_path).issue_by_intermediate("a.example")[0]):
        judge = judged(certificate.encoded)
        assert certificate.serial == judge.serial_number
        assert certificate.subject == judge.subject.rfc4514_string()
        assert certificate.issuer == judge.issuer.rfc4514_string()
        assert certificate.subject_encoded == judge.subject.public_bytes()
        assert certificate.issuer_encoded == judge.issuer.public_bytes()
        assert certificate.not_before == judge.not_valid_before_utc.timestamp()
        assert certificate.not_after == judge.not_valid_after_utc.timestamp()


def test_its_names(tmp_path):
    (certificate, *_) = read_file(Authority(tmp_path).issue("A.example", "*.b.example", "127.0.0.1"))
    assert certificate.names == ("a.example", "*.b.example")


def test_without_names_of_its_own_the_common_name_counts(tmp_path):
    name = x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, "O"),
            x509.NameAttribute(NameOID.COMMON_NAME, "Old.Example"),
        ]
    )
    (certificate,) = read_file(self_signed(tmp_path, name))
    assert certificate.names == ("old.example",)
    (certificate,) = read_file(self_signed(tmp_path, name, x509.BasicConstraints(ca=True, path_length=None)))
    assert certificate.names == ("old.example",)
    odd = x509.Name([x509.NameAttribute(NameOID.ORGANIZATION_NAME, "O")])
    (certificate,) = read_file(self_signed(tmp_path, odd))
    assert certificate.names == ()


@given(
    st.lists(
        st.tuples(
            st.sampled_from(KINDS),
            st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=20),
        ),
        min_size=1,
        max_size=4,
    )
)
def test_names_are_written_as_rfc_4514_has_them(tmp_path_factory, attributes):
    name = x509.Name([x509.NameAttribute(kind, text) for kind, text in attributes if is_fit(kind, text)])
    certificate = read_file(self_signed(tmp_path_factory.getbasetemp(), name))[0]
    assert certificate.subject == name.rfc4514_string()
    assert x509.Name.from_rfc4514_string(certificate.subject) is not None


def test_several_attributes_in_one_part_and_special_characters(tmp_path):
    name = x509.Name(
        [
            x509.RelativeDistinguishedName(
                [
                    x509.NameAttribute(NameOID.COMMON_NAME, ' a,b+c"d\\e<f>g;h '),
                    x509.NameAttribute(NameOID.USER_ID, "#7"),
                ]
            )
        ]
    )
    (certificate,) = read_file(self_signed(tmp_path, name))
    assert certificate.subject == judged(certificate.encoded).subject.rfc4514_string()


def test_a_text_that_is_none_of_its_kind_is_written_by_its_bytes(tmp_path):
    name = x509.Name([x509.NameAttribute(NameOID.DOMAIN_COMPONENT, "\xe4")])
    (certificate,) = read_file(self_signed(tmp_path, name))
    assert certificate.subject == "DC=#1602c3a4"
    common = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "a")])
    encoded = read_file(self_signed(tmp_path, common))[0].encoded
    assert read(encoded.replace(b"\x0c\x01a", b"\x0c\x01\xff")).names == ()


def test_what_has_no_short_name_is_written_by_number_and_bytes(tmp_path):
    name = x509.Name([x509.NameAttribute(NameOID.EMAIL_ADDRESS, "a@b")])
    (certificate,) = read_file(self_signed(tmp_path, name))
    assert certificate.subject == "1.2.840.113549.1.9.1=#1603614062"


@pytest.mark.parametrize(
    ("tag", "text", "moment"),
    [
        (0x17, b"491231235959Z", (2049, 12, 31, 23, 59, 59)),
        (0x17, b"500101000000Z", (1950, 1, 1, 0, 0, 0)),
        (0x18, b"20500101000000Z", (2050, 1, 1, 0, 0, 0)),
        (0x18, b"99991231235959Z", (9999, 12, 31, 23, 59, 59)),
    ],
)
def test_times(tag, text, moment):
    expected = datetime.datetime(*moment, tzinfo=datetime.UTC).timestamp()
    assert _time(Element(tag, text, b"")) == expected


@pytest.mark.parametrize(("tag", "text"), [(0x02, b"1"), (0x17, b"4912312359Z"), (0x18, b"20501301000000Z")])
def test_what_is_no_time(tag, text):
    with pytest.raises(ValueError, match=r"time|month"):
        _time(Element(tag, text, b""))


def test_pem_there_and_back(tmp_path):
    text = Path(Authority(tmp_path).issue("a.example").certificate).read_text()
    (certificate, *_) = read_pem("a comment\n" + text)
    judge = judged(certificate.encoded).public_bytes(Encoding.PEM).decode()
    assert to_pem(certificate.encoded) == judge


@pytest.mark.parametrize("body", ["AAAA", "!", "MA==", "MAAwAA==", "MAQwAgUA"])
def test_what_is_no_certificate_is_named_by_its_number(tmp_path, body):
    good = Path(Authority(tmp_path).issue("a.example").certificate).read_text()
    count = good.count("BEGIN CERT")
    bad = f"-----BEGIN CERTIFICATE-----\n{body}\n-----END CERTIFICATE-----\n"
    with pytest.raises(ValueError, match=f"certificate {count + 1} in it cannot be read"):
        read_pem(good + bad)


def test_every_cut_is_refused(tmp_path):
    (certificate, *_) = read_file(Authority(tmp_path).issue("a.example"))
    for end in range(len(certificate.encoded)):
        with pytest.raises((ValueError, IndexError)):
            read(certificate.encoded[:end])


@given(st.binary(max_size=200))
def test_other_bytes_are_refused_in_no_other_way(data):
    with suppress(ValueError, IndexError):
        read(data)
