from __future__ import annotations

import sys

from quart import Quart, Response, jsonify, request, send_file

from tests.frameworks.apps import async_site, site

METHODS = ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]

app = Quart(__name__)
app.config["MAX_CONTENT_LENGTH"] = None


@app.before_serving
async def start_up():
    sys.stderr.write("site: start-up\n")
    app.config["OPENED"] = "by lifespan"


@app.after_serving
async def shutdown():
    sys.stderr.write("site: shutdown\n")


@app.get("/hello")
async def hello():
    return site.GREETING


@app.get("/greet/<name>")
async def greet(name):
    return f"Hello, {name}!"


@app.route("/inspect", methods=METHODS)
async def inspect():
    return {
        "method": request.method,
        "path": request.path,
        "query": request.query_string.decode("ascii"),
        "arguments": request.args.to_dict(flat=False),
        "client": request.remote_addr,
        "scheme": request.scheme,
        "host": request.host,
        "tags": ",".join(request.headers.getlist("X-Tag")) or None,
    }


@app.post("/form")
async def form():
    return jsonify((await request.form).to_dict(flat=False))


@app.post("/multipart")
async def multipart():
    upload = (await request.files)["upload"]
    note = (await request.form)["note"]
    return {"filename": upload.filename, "note": note, **site.digest([upload.read()])}


@app.post("/json")
async def json():
    return jsonify(await request.json)


@app.post("/upload")
async def upload():
    return site.digest([await request.get_data()])


@app.post("/stream-up")
async def stream_up():
    return await async_site.digest(request.body)


@app.get("/stream-down")
async def stream_down():
    return Response(async_site.two_pieces(request.args["gate"]), mimetype="text/plain")


@app.get("/file")
async def file():
    return await send_file(request.args["path"], mimetype="application/octet-stream")


@app.get("/cookies")
async def cookies():
    response = Response("two cookies")
    for name, value in site.COOKIES:
        response.set_cookie(name, value)
    return response


@app.get("/no-content")
async def no_content():
    return "", 204


@app.get("/meet")
async def meet():
    await async_site.meet()
    return "met"


@app.get("/error")
async def error():
    raise site.DeliberateError


@app.get("/error-midway")
async def error_midway():
    return Response(async_site.piece_and_error(), mimetype="text/plain")


@app.get("/leave")
async def leave():
    await async_site.wait_to_be_cancelled(request.args["marks"])


@app.get("/state")
async def state():
    return {"opened": app.config["OPENED"]}
