"""A Flask application that the tests can ask about the process it runs in, and hold at a gate."""

import logging
import os
import subprocess
from pathlib import Path

from flask import Flask

app = Flask(__name__)
log = logging.getLogger("probe")


@app.get("/")
def index() -> str:
    return "flask"


@app.get("/pid")
def pid() -> str:
    return str(os.getpid())


@app.get("/gate")
def gate() -> str:
    Path("/run/gate").read_text()
    return "through the gate"


@app.get("/child")
def child() -> str:
    subprocess.run(["cat", "/run/gate"], check=True)
    return "the child is through the gate"


@app.get("/say")
def say() -> str:
    print("printed by the application")
    log.warning("warned by the application")
    log.error("an error\nof two lines")
    return "said"


@app.get("/raise")
def fail() -> str:
    raise RuntimeError("the view has failed")
