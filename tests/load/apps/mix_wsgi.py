"""What `tests.load` asks for, in plain WSGI. It has to run alone: a copy of it is put into each release.

Each answer names the request that it belongs to, and who gave it: the release (the folder that this file is
in), the slot, and the process.
"""

import os
import time
from pathlib import Path
from urllib.parse import parse_qsl

RELEASE = Path(__file__).resolve().parent.name


def application(environ, start_response):
    arguments = dict(parse_qsl(environ["QUERY_STRING"]))
    number = arguments["n"]
    status, body = VIEWS.get(environ["PATH_INFO"], not_found)(environ, number, arguments)
    fields = [
        ("Content-Type", "application/octet-stream"),
        ("X-Number", number),
        ("X-Release", RELEASE),
        ("X-Slot", os.environ["SDSERVE_SLOT"]),
        ("X-Pid", str(os.getpid())),
    ]
    if isinstance(body, bytes):
        fields.append(("Content-Length", str(len(body))))
        body = [body]
    start_response(status, fields)
    return body


def get(environ, number, arguments):
    return "200 OK", b"%s\n" % number.encode()


def echo(environ, number, arguments):
    return "200 OK", environ["wsgi.input"].read()


def slow(environ, number, arguments):
    time.sleep(int(arguments["ms"]) / 1000)
    return "200 OK", b"%s\n" % number.encode()


def stream(environ, number, arguments):
    return "200 OK", pieces(number, int(arguments["pieces"]), int(arguments["ms"]) / 1000)


def pieces(number, count, pause):
    for piece in range(count):
        if pause:
            time.sleep(pause)
        yield b"%s %d\n" % (number.encode(), piece)


def not_found(environ, number, arguments):
    return "404 Not Found", b""


VIEWS = {"/get": get, "/echo": echo, "/slow": slow, "/stream": stream}
