from __future__ import annotations

import re
from pathlib import Path

import pytest

from sdserve.core.tls import material
from sdserve.core.tls.material import DAY, Material, Pair, check_key, decode, encode, expired, read_chain
from sdserve.errors import CertificateError, WireError
from tests.certificates import Authority


def pair(files):
    return Pair(
        certificate=Path(files.certificate).read_text(),
        key=Path(files.key).read_text(),
        certificate_file="/a.pem",
        key_file="/a.key",
    )


@pytest.fixture
def authority(tmp_path):
    return Authority(tmp_path)


def test_it_comes_back_as_it_was(authority):
    one = pair(authority.issue("a.example"))
    materials = {"http": Material(pairs=(one, one)), "b": Material(pairs=(one,), client_ca="ü")}
    assert decode(encode(materials)) == materials
    assert decode(encode({})) == {}


@pytest.mark.parametrize(
    "data", [b"", b"\xff", b"[]", b"3", b'{"a":1}', b'{"a":{"pairs":[[1]]}}', b'{"a":{"pairs":[]}}']
)
def test_what_cannot_be_read(data):
    with pytest.raises(WireError, match="cannot be read"):
        decode(data)


def test_a_chain_in_its_order(authority):
    files, leaf, upper = authority.issue_by_intermediate("a.example")
    assert [one.names for one in read_chain(Path(files.certificate).read_text(), "f")] == [("a.example",), ()]
    with pytest.raises(CertificateError) as failure:
        read_chain((upper + leaf).decode(), "/a.pem")
    assert re.match(
        r"/a.pem: certificate 2 \(.*\) has not issued certificate 1 \(.*\), .* has; ", str(failure.value)
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "/a.pem has no certificate in it; it has to be PEM"),
        ("0\x82\x01", "it has to be PEM"),
        ("-----BEGIN PRIVATE KEY-----", "/a.pem has no certificate in it$"),
        (
            "-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----",
            "/a.pem: certificate 1 in it cannot be read",
        ),
    ],
)
def test_a_file_without_a_certificate(text, message):
    with pytest.raises(CertificateError, match=message):
        read_chain(text, "/a.pem")


@pytest.mark.parametrize("kind", ["", "RSA ", "EC "])
def test_a_key_of_any_kind(kind):
    check_key(f"-----BEGIN {kind}PRIVATE KEY-----\nx\n-----END {kind}PRIVATE KEY-----\n", "k")


@pytest.mark.parametrize(
    "text",
    [
        "-----BEGIN ENCRYPTED PRIVATE KEY-----\n",
        "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-256-CBC,00\n",
    ],
)
def test_an_encrypted_key_is_refused(text):
    with pytest.raises(CertificateError, match="/k: the key is encrypted, and nobody is there to be asked"):
        check_key(text, "/k")


def test_a_file_without_a_key():
    with pytest.raises(CertificateError, match="/k has no private key in it"):
        check_key("-----BEGIN PUBLIC KEY-----", "/k")


def test_the_days_of_a_certificate(authority):
    one = pair(authority.issue("a.example", days=90))
    end = material.leaf_of(one).not_after
    start = material.leaf_of(one).not_before
    before = (start - 1, start, end - 14 * DAY - 1, end - 14 * DAY)
    moments = (*before, end - DAY, end - 7200, end, end + 3 * DAY)
    said = {
        now: (expired(one, now), list(material.warnings({"a": Material(pairs=(one,))}, now)))
        for now in moments
    }
    yet = "/a.pem: the certificate is not valid yet; is the clock right?"
    over = "/a.pem: the certificate has expired, "
    soon = "/a.pem: the certificate expires in "
    assert said == {
        start - 1: (yet, [yet]),
        start: ("", []),
        end - 14 * DAY - 1: ("", []),
        end - 14 * DAY: ("", [f"{soon}14 days, renew it"]),
        end - DAY: ("", [f"{soon}1 day, renew it"]),
        end - 7200: ("", [f"{soon}2 h, renew it"]),
        end: (f"{over}0 h ago", [f"{over}0 h ago"]),
        end + 3 * DAY: (f"{over}3 days ago", [f"{over}3 days ago"]),
    }
