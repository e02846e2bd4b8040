from sdserve.core.tls.options import TlsOptions


def test_it_is_on_with_a_certificate():
    assert not TlsOptions().is_on
    assert TlsOptions(certificates=("/a.pem",)).is_on
