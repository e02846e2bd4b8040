"""Files that WSGI frameworks send with `wsgi.file_wrapper`."""

from __future__ import annotations

import importlib
import random
from wsgiref.util import setup_testing_defaults

import pytest

from sdserve.worker.wsgi_files import FileWrapper, real_part
from tests.frameworks.apps import site
from tests.frameworks.cases import APPS, for_servers

CONTENT = random.Random(3).randbytes(300_000)

wsgi_servers = for_servers(lambda case: case.interface == "wsgi")
flask_servers = for_servers(lambda case: case.site == "flask")


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    written = tmp_path_factory.mktemp("files") / "file"
    written.write_bytes(CONTENT)
    return written


@wsgi_servers
def test_files_follow_each_other_on_one_connection(server, path):
    with server.connection() as client:
        for _ in range(3):
            answer = client.exchange("GET", f"/file?path={path}")
            assert (answer.status, answer.body) == (200, CONTENT)
            assert client.exchange("GET", "/hello").text == site.GREETING


@for_servers(lambda case: case.interface == "wsgi" and case.site != "plain-wsgi")
def test_a_file_has_a_length(server, path):
    assert server.request("GET", f"/file?path={path}").field("Content-Length") == str(len(CONTENT))


@wsgi_servers
def test_an_empty_file_arrives(server, tmp_path):
    empty = tmp_path / "empty"
    empty.write_bytes(b"")
    answer = server.request("GET", f"/file?path={empty}")
    assert (answer.status, answer.body) == (200, b"")


@flask_servers
def test_the_head_of_a_file(server, path):
    with server.connection() as client:
        answer = client.exchange("HEAD", f"/file?path={path}")
        assert (answer.field("Content-Length"), answer.body) == (str(len(CONTENT)), b"")
        assert client.exchange("GET", "/hello").text == site.GREETING


@flask_servers
@pytest.mark.parametrize(("first", "last"), [(0, 0), (0, 99_999), (100_000, 250_000), (299_999, 299_999)])
def test_a_range_of_a_file(server, path, first, last):
    with server.connection() as client:
        answer = client.exchange("GET", f"/file?path={path}", fields={"Range": f"bytes={first}-{last}"})
        assert (answer.status, answer.body) == (206, CONTENT[first : last + 1])
        assert answer.field("Content-Range") == f"bytes {first}-{last}/{len(CONTENT)}"
        assert client.exchange("GET", "/hello").text == site.GREETING


@flask_servers
def test_a_file_that_the_client_has(server, path):
    with server.connection() as client:
        tag = client.exchange("GET", f"/file?path={path}").field("ETag")
        answer = client.exchange("GET", f"/file?path={path}", fields={"If-None-Match": tag})
        assert (answer.status, answer.body) == (304, b"")
        assert client.exchange("GET", "/hello").text == site.GREETING


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of WebOb's imports
@pytest.mark.parametrize(
    ("module", "attribute"),
    [("flask_site", "app"), ("django_wsgi", "application"), ("pyramid_site", "make_app")],
)
def test_frameworks_return_what_the_kernel_can_send(path, module, attribute):
    application = getattr(importlib.import_module(f"{APPS}.{module}"), attribute)
    if attribute == "make_app":
        application = application()
    environ = {
        "PATH_INFO": "/file",
        "QUERY_STRING": f"path={path}",
        "wsgi.file_wrapper": FileWrapper,
        "REMOTE_ADDR": "127.0.0.1",
    }
    setup_testing_defaults(environ)
    result = application(environ, lambda status, headers: None)
    assert type(result) is FileWrapper
    part = real_part(result)
    assert (part.offset, part.count) == (0, len(CONTENT))
    part.descriptor.close()
    result.close()
