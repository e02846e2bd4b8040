"""WSGI without a framework, under the eyes of the validator of the standard library."""

from __future__ import annotations

import json as codec
from urllib.parse import parse_qs
from wsgiref.util import FileWrapper
from wsgiref.validate import validator

from tests.frameworks.apps import site

TEXT = [("Content-Type", "text/plain; charset=utf-8")]
JSON = [("Content-Type", "application/json")]


def site_application(environ, start_response):
    path = environ["PATH_INFO"].encode("latin-1").decode("utf-8")
    if path.startswith("/greet/"):
        return text(start_response, f"Hello, {path.removeprefix('/greet/')}!")
    view = VIEWS.get(path)
    if view is None:
        return text(start_response, "no such page", status="404 Not Found")
    return view(environ, start_response)


def text(start_response, content, *, status="200 OK", fields=()):
    body = content.encode()
    start_response(status, [*TEXT, ("Content-Length", str(len(body))), *fields])
    return [body]


def as_json(start_response, content):
    start_response("200 OK", JSON.copy())
    return [codec.dumps(content).encode()]


def arguments(environ):
    return parse_qs(environ["QUERY_STRING"])


def hello(environ, start_response):
    return text(start_response, site.GREETING)


def inspect(environ, start_response):
    return as_json(
        start_response,
        {
            "method": environ["REQUEST_METHOD"],
            "path": environ["PATH_INFO"].encode("latin-1").decode("utf-8"),
            "query": environ["QUERY_STRING"],
            "arguments": arguments(environ),
            "client": environ["REMOTE_ADDR"],
            "scheme": environ["wsgi.url_scheme"],
            "host": environ["HTTP_HOST"],
            "tags": environ.get("HTTP_X_TAG"),
        },
    )


def form(environ, start_response):
    body = environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"]))
    return as_json(start_response, parse_qs(body.decode("ascii")))


def json(environ, start_response):
    return as_json(start_response, codec.loads(environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"]))))


def upload(environ, start_response):
    return as_json(start_response, site.digest([environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"]))]))


def stream_up(environ, start_response):
    return as_json(start_response, site.digest(iter(lambda: environ["wsgi.input"].read(1000), b"")))


def stream_down(environ, start_response):
    start_response("200 OK", TEXT.copy())
    return site.two_pieces(arguments(environ)["gate"][0])


def file(environ, start_response):
    start_response("200 OK", [("Content-Type", "application/octet-stream")])
    wrapper = environ.get("wsgi.file_wrapper", FileWrapper)
    return wrapper(open(arguments(environ)["path"][0], "rb"))


def cookies(environ, start_response):
    fields = [("Set-Cookie", f"{name}={value}") for name, value in site.COOKIES]
    return text(start_response, "two cookies", fields=fields)


def no_content(environ, start_response):
    start_response("204 No Content", [])
    return []


def meet(environ, start_response):
    site.meeting.wait(site.MEETING_TIMEOUT)
    return text(start_response, "met")


def error(environ, start_response):
    raise site.DeliberateError


def error_midway(environ, start_response):
    start_response("200 OK", TEXT.copy())
    return site.piece_and_error()


VIEWS = {
    "/hello": hello,
    "/inspect": inspect,
    "/form": form,
    "/json": json,
    "/upload": upload,
    "/stream-up": stream_up,
    "/stream-down": stream_down,
    "/file": file,
    "/cookies": cookies,
    "/no-content": no_content,
    "/meet": meet,
    "/error": error,
    "/error-midway": error_midway,
}

application = validator(site_application)
