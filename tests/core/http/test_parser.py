"""The contract of both parsers, and the choice between them."""

from __future__ import annotations

import subprocess
import sys

import pytest

from sdserve.core.http.h11_parser import H11Parser
from sdserve.core.http.options import HttpOptions
from sdserve.core.http.parser import make_parser
from sdserve.core.http.strict import StrictParser
from tests.core.http.feeding import NEXT, PARSERS


@pytest.mark.parametrize(("name", "kind"), [("strict", StrictParser), ("h11", H11Parser)])
def test_the_option_names_the_parser(name, kind):
    assert isinstance(make_parser(HttpOptions(parser=name)), kind)


def test_h11_is_imported_only_where_it_is_chosen():
    code = "import sys, sdserve.core.http.connection; sys.exit('h11' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize("name", PARSERS)
def test_the_body_of_a_request_that_has_none_may_be_asked_for(name):
    parser = make_parser(HttpOptions(parser=name))
    parser.input.receive_data(NEXT + NEXT)
    for _ in range(2):
        assert parser.next_request() is not None
        assert parser.next_body() == b""
    assert parser.next_request() is None


@pytest.mark.parametrize("name", PARSERS)
@pytest.mark.parametrize(
    "framing", [b"Content-Length: 3\r\n\r\nabc", b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n"]
)
def test_the_end_of_a_body_may_be_asked_for_once_more(name, framing):
    parser = make_parser(HttpOptions(parser=name))
    parser.input.receive_data(b"POST / HTTP/1.1\r\nHost: a\r\n" + framing + NEXT)
    parser.next_request()
    while parser.next_body():
        pass
    assert parser.next_body() == b""
    assert parser.next_request().target == b"/next"
