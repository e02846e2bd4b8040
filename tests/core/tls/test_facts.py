from pathlib import Path

from sdserve.core.tls.certificate import read_pem, to_pem
from sdserve.core.tls.facts import TlsFacts
from tests.certificates import Authority


def facts(**more):
    return TlsFacts(version="TLSv1.2", cipher="C", cipher_suite=0xC02B, server_certificate="PEM", **more)


def client(tmp_path):
    return read_pem(Path(Authority(tmp_path).issue_by_intermediate("c.example")[0].certificate).read_text())


def test_the_scope_of_a_connection():
    scope = {"extensions": {"x": {}}}
    facts().add_to_scope(scope)
    assert scope["extensions"] == {
        "x": {},
        "tls": {
            "server_cert": "PEM",
            "client_cert_chain": [],
            "client_cert_name": None,
            "client_cert_error": None,
            "tls_version": 0x0303,
            "cipher_suite": 0xC02B,
        },
    }


def test_the_scope_of_a_client_with_a_certificate(tmp_path):
    own, upper = client(tmp_path)
    scope = {"extensions": {}}
    facts(client=own, client_authorities=(upper.encoded,)).add_to_scope(scope)
    told = scope["extensions"]["tls"]
    assert told["client_cert_chain"] == [to_pem(own.encoded), to_pem(upper.encoded)]
    assert told["client_cert_name"] == own.subject


def test_a_version_that_nobody_knew():
    scope = {"extensions": {}}
    TlsFacts(version="TLSv1.9", cipher="", cipher_suite=None, server_certificate="").add_to_scope(scope)
    assert scope["extensions"]["tls"]["tls_version"] is None


def test_the_environ():
    assert facts().environ() == {
        "HTTPS": "on",
        "SSL_PROTOCOL": "TLSv1.2",
        "SSL_CIPHER": "C",
        "SSL_CLIENT_VERIFY": "NONE",
    }


def test_the_environ_of_a_client_with_a_certificate(tmp_path):
    own, upper = client(tmp_path)
    environ = facts(client=own, client_authorities=(upper.encoded,)).environ()
    assert environ["SSL_CLIENT_VERIFY"] == "SUCCESS"
    assert environ["SSL_CLIENT_CERT"] == to_pem(own.encoded)
    assert environ["SSL_CLIENT_CERT_CHAIN_0"] == to_pem(upper.encoded)
    assert (environ["SSL_CLIENT_S_DN"], environ["SSL_CLIENT_I_DN"]) == (own.subject, own.issuer)
    assert int(environ["SSL_CLIENT_M_SERIAL"], 16) == own.serial
