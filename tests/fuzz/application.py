"""What the fuzzer talks to: an application that reads every body and answers with 200.

`X-Length` tells the length of the body that is really sent, also where the request was HEAD.
"""

from __future__ import annotations

import os


def wsgi(environ, start_response):
    environ["wsgi.input"].read()
    body = str(os.getpid()).encode()
    sent = 0 if environ["REQUEST_METHOD"] == "HEAD" else len(body)
    start_response("200 OK", [("Content-Length", str(len(body))), ("X-Length", str(sent))])
    return [body]


async def asgi(scope, receive, send):
    assert scope["type"] == "http"
    more = True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            return
        more = message["more_body"]
    body = str(os.getpid()).encode()
    sent = 0 if scope["method"] == "HEAD" else len(body)
    headers = [(b"content-length", b"%d" % len(body)), (b"x-length", b"%d" % sent)]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})
