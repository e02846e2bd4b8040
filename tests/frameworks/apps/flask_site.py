from __future__ import annotations

from flask import Flask, Response, jsonify, request, send_file

from tests.frameworks.apps import site

METHODS = ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]

app = Flask(__name__)


@app.get("/hello")
def hello():
    return site.GREETING


@app.get("/greet/<name>")
def greet(name):
    return f"Hello, {name}!"


@app.route("/inspect", methods=METHODS)
def inspect():
    return {
        "method": request.method,
        "path": request.path,
        "query": request.query_string.decode("ascii"),
        "arguments": request.args.to_dict(flat=False),
        "client": request.remote_addr,
        "scheme": request.scheme,
        "host": request.host,
        "tags": request.headers.get("X-Tag"),
    }


@app.post("/form")
def form():
    return jsonify(request.form.to_dict(flat=False))


@app.post("/multipart")
def multipart():
    upload = request.files["upload"]
    return {"filename": upload.filename, "note": request.form["note"], **site.digest([upload.read()])}


@app.post("/json")
def json():
    return jsonify(request.json)


@app.post("/upload")
def upload():
    return site.digest([request.get_data()])


@app.post("/stream-up")
def stream_up():
    return site.digest(iter(lambda: request.stream.read(1000), b""))


@app.get("/stream-down")
def stream_down():
    return Response(site.two_pieces(request.args["gate"]), mimetype="text/plain")


@app.get("/file")
def file():
    return send_file(request.args["path"], mimetype="application/octet-stream")


@app.get("/cookies")
def cookies():
    response = Response("two cookies")
    for name, value in site.COOKIES:
        response.set_cookie(name, value)
    return response


@app.get("/no-content")
def no_content():
    return "", 204


@app.get("/meet")
def meet():
    site.meeting.wait(site.MEETING_TIMEOUT)
    return "met"


@app.get("/error")
def error():
    raise site.DeliberateError


@app.get("/error-midway")
def error_midway():
    return Response(site.piece_and_error(), mimetype="text/plain")
