"""Hello with Flask: how much of a server's advantage is left under a real framework."""

from __future__ import annotations

from flask import Flask

app = Flask(__name__)


@app.get("/")
def hello():
    return "Hello, world!"
