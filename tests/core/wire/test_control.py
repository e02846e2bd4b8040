from __future__ import annotations

import re

import pytest

from sdserve.core.wire import control
from sdserve.core.wire.control import (
    DESCRIPTIONS,
    METHODS,
    Answer,
    Check,
    Reload,
    ReloadCertificates,
    Scale,
    Status,
    Upgrade,
)
from sdserve.core.wire.varlink import Call


def understand(call):
    return control.understand(call, "1.2")


def call(method, **parameters):
    return Call(method=method, parameters=parameters)


def test_requests_are_understood():
    assert understand(call("io.sdserve.Reload")) == Reload()
    assert understand(call("io.sdserve.ReloadCertificates")) == ReloadCertificates()
    assert understand(call("io.sdserve.Upgrade")) == Upgrade()
    assert understand(call("io.sdserve.Status")) == Status()
    assert understand(call("io.sdserve.Check")) == Check()
    assert understand(call("io.sdserve.Scale", count=1024)) == Scale(1024)


@pytest.mark.parametrize("request_", [Reload(), Upgrade(), Status(), Check(), Scale(7)])
def test_a_request_that_was_written_down_is_understood_again(request_):
    assert understand(Call(**control.written(request_))) == request_


def test_a_caller_that_would_take_more_answers_gets_one():
    assert understand(Call(method="io.sdserve.Reload", more=True)) == Reload()


def test_the_service_introduces_itself():
    answer = understand(call("org.varlink.service.GetInfo"))
    assert isinstance(answer, Answer)
    assert answer.error == ""
    assert answer.parameters["product"] == "sdserve"
    assert answer.parameters["version"] == "1.2"
    assert answer.parameters["interfaces"] == ["io.sdserve", "org.varlink.service"]


@pytest.mark.parametrize("interface", DESCRIPTIONS)
def test_every_interface_is_described(interface):
    answer = understand(call("org.varlink.service.GetInterfaceDescription", interface=interface))
    assert answer == Answer(parameters={"description": DESCRIPTIONS[interface]})
    assert re.search(rf"^interface {re.escape(interface)}$", DESCRIPTIONS[interface], re.MULTILINE)


@pytest.mark.parametrize(
    ("asked", "error", "parameters"),
    [
        (call("io.sdsrve.Reload"), "InterfaceNotFound", {"interface": "io.sdsrve"}),
        (call("Reload"), "InterfaceNotFound", {"interface": ""}),
        (call("io.sdserve.Relaod"), "MethodNotFound", {"method": "io.sdserve.Relaod"}),
        (call("io.sdserve.Reload", force=True), "InvalidParameter", {"parameter": "force"}),
        (Call(method="io.sdserve.Status", upgrade=True), "InvalidParameter", {"parameter": "upgrade"}),
        (call("io.sdserve.Scale"), "InvalidParameter", {"parameter": "count"}),
        (call("io.sdserve.Scale", count=0), "InvalidParameter", {"parameter": "count"}),
        (call("io.sdserve.Scale", count=1025), "InvalidParameter", {"parameter": "count"}),
        (call("io.sdserve.Scale", count="2"), "InvalidParameter", {"parameter": "count"}),
        (call("io.sdserve.Scale", count=True), "InvalidParameter", {"parameter": "count"}),
        (
            call("org.varlink.service.GetInterfaceDescription"),
            "InvalidParameter",
            {"parameter": "interface"},
        ),
        (
            call("org.varlink.service.GetInterfaceDescription", interface="x.y"),
            "InterfaceNotFound",
            {"interface": "x.y"},
        ),
    ],
)
def test_what_cannot_be_done_is_an_error_of_varlink(asked, error, parameters):
    assert understand(asked) == Answer(error=f"org.varlink.service.{error}", parameters=parameters)


def test_strangers_are_told_so():
    assert control.denied() == Answer(error="org.varlink.service.PermissionDenied", parameters={})


def test_the_descriptions_have_the_methods_that_there_are_and_their_parameters():
    described = {
        f"{interface}.{name}": tuple(re.findall(r"(\w+):", parameters))
        for interface, text in DESCRIPTIONS.items()
        for name, parameters in re.findall(r"^method (\w+)\(([^)]*)\) ->", text, re.MULTILINE)
    }
    assert described == {method: parameters for method, (parameters, _) in METHODS.items()}


def test_the_descriptions_have_the_errors_that_there_are():
    described = {
        f"{interface}.{name}"
        for interface, text in DESCRIPTIONS.items()
        for name in re.findall(r"^error (\w+) ", text, re.MULTILINE)
    }
    used = {
        control.RELOAD_FAILED,
        control.UPGRADE_FAILED,
        control.SCALE_FAILED,
        control.INTERFACE_NOT_FOUND,
        control.METHOD_NOT_FOUND,
        control.INVALID_PARAMETER,
        control.PERMISSION_DENIED,
    }
    assert described == used | {"org.varlink.service.MethodNotImplemented"}
