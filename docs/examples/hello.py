"""A small Flask application: a greeting, and a guest book kept in memory by each worker."""

import os

from flask import Flask, abort, jsonify, request
from flask.typing import ResponseReturnValue

app = Flask(__name__)
guests: list[str] = []


@app.get("/")
def index() -> ResponseReturnValue:
    slot = os.environ.get("SDSERVE_SLOT", "?")
    return f"<h1>Hello from Flask</h1><p>Served by worker {slot}, process {os.getpid()}.</p>"


@app.get("/hello/<name>")
def hello(name: str) -> ResponseReturnValue:
    return jsonify(greeting=f"Hello, {name}!")


@app.post("/guests")
def sign() -> ResponseReturnValue:
    name = request.get_json().get("name") or abort(400, "a guest has a name")
    guests.append(name)
    app.logger.warning("guest number %d has signed: %s", len(guests), name)
    return jsonify(guests=guests), 201
