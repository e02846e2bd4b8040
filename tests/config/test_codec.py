import dataclasses
import json

import pytest

from sdserve.config.codec import decode, encode
from sdserve.config.model import Configuration, Listener, LogOptions
from sdserve.core.fleet.options import FleetOptions
from sdserve.core.gateway.options import AppOptions, WorkerOptions
from sdserve.core.http.options import HttpOptions
from sdserve.core.tls.options import TlsOptions
from sdserve.core.websocket.options import WebSocketOptions

DEFAULT = Configuration(
    name="shop",
    app=AppOptions(),
    listen=(),
    fleet=FleetOptions(),
    workers=WorkerOptions(),
    http=HttpOptions(),
    websocket=WebSocketOptions(),
    log=LogOptions(),
)
FULL = Configuration(
    name="shop",
    app=AppOptions(
        application="shop:app", directory="/srv/shop", venv="/srv/venv", interface="asgi", preload=True
    ),
    listen=(
        Listener(name="http", addresses=("[::]:80", "unix:/run/x"), backlog=5, mode=0o600),
        Listener(
            name="b", tls=TlsOptions(certificates=("/a", "/b"), keys=("/c", "/d"), handshake_timeout=3.0)
        ),
        Listener(name="c", trusted=("10.0.0.0/8", "unix"), trusted_fields=("forwarded",), root_path="/shop"),
    ),
    fleet=FleetOptions(count=4, boot_timeout=1.5),
    workers=WorkerOptions(threads=8, loop="asyncio"),
    http=HttpOptions(max_body=1, server_header=""),
    websocket=WebSocketOptions(max_queue=1, compression=False),
    log=LogOptions(level="debug", access=True),
    environment={"A": "", "B": "ü"},
)


def through_json(configuration):
    return json.loads(json.dumps(encode(configuration)))


@pytest.mark.parametrize("configuration", [DEFAULT, FULL])
def test_a_configuration_comes_back_as_it_was(configuration):
    assert decode(through_json(configuration)) == configuration


@pytest.mark.parametrize("part", ["app", "fleet", "workers", "http", "websocket", "log"])
def test_keys_of_a_newer_version_are_dropped(part):
    data = through_json(FULL)
    data["news"] = {"x": 1}
    data[part]["news"] = [1]
    data["listen"][0]["news"] = None
    assert decode(data) == FULL


@pytest.mark.parametrize("part", ["app", "fleet", "workers", "http", "websocket", "log"])
def test_keys_that_an_older_version_did_not_have_take_their_default(part):
    data = through_json(FULL)
    data[part] = {}
    assert decode(data) == dataclasses.replace(FULL, **{part: getattr(DEFAULT, part)})
    del data[part]
    assert decode(data) == dataclasses.replace(FULL, **{part: getattr(DEFAULT, part)})


def test_nothing_at_all_is_the_defaults():
    assert decode({}) == dataclasses.replace(DEFAULT, name="")
    assert decode({"listen": [{}]}).listen == (Listener(name=""),)


def test_the_decoded_value_shares_nothing_with_the_data():
    data = encode(FULL)
    decoded = decode(data)
    data["environment"]["C"] = "1"
    assert decoded == FULL
