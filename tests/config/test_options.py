import dataclasses

import pytest

from sdserve.config.model import Configuration, Listener, LogOptions
from sdserve.config.options import BY_SECTION, OPTIONS
from sdserve.core.fleet.options import FleetOptions
from sdserve.core.gateway.options import AppOptions, WorkerOptions
from sdserve.core.http.options import HttpOptions
from sdserve.core.tls.options import TlsOptions
from sdserve.core.websocket.options import WebSocketOptions

OWNERS = (
    AppOptions,
    Listener,
    TlsOptions,
    FleetOptions,
    WorkerOptions,
    HttpOptions,
    WebSocketOptions,
    LogOptions,
)

NO_OPTIONS = {
    "Listener.name",
    "Listener.tls",
    "FleetOptions.backoff_first",
    "FleetOptions.backoff_longest",
    "FleetOptions.backoff_reset",
}
"""Not for the user to set: the name is that of the section, `tls` has options of its own, the others are
constants of the fleet."""

names = pytest.mark.parametrize("option", OPTIONS, ids=lambda option: f"{option.section}.{option.name}")


def default(owner, name):
    return next(field.default for field in dataclasses.fields(owner) if field.name == name)


def test_every_field_of_every_options_class_is_declared_exactly_once():
    fields = [f"{owner.__name__}.{field.name}" for owner in OWNERS for field in dataclasses.fields(owner)]
    declared = [f"{owner.__name__}.{option.field}" for option in OPTIONS for owner in option.owners]
    assert sorted([*declared, *NO_OPTIONS]) == sorted(fields)


def test_the_options_classes_are_those_of_the_configuration():
    parts = {field.name for field in dataclasses.fields(Configuration)} - {"name", "environment"} | {"tls"}
    assert len(parts) == len(OWNERS)


def test_no_name_is_declared_twice_in_a_section():
    assert sum(len(options) for options in BY_SECTION.values()) == len(OPTIONS)


@names
def test_all_owners_of_an_option_have_the_same_default(option):
    assert {default(owner, option.field) for owner in option.owners} == {option.default}


@names
def test_a_default_could_have_been_written(option):
    if option.default in ("", ()):
        return  # said by writing nothing
    assert option.kind.read(option.kind.show(option.default)) == option.default


@names
def test_an_option_says_what_it_is_for(option):
    assert option.help[0].isupper()
    assert option.help.endswith(".")
    assert "|" not in option.help + option.kind.what  # it would break the manual's tables


def test_what_belongs_to_the_sockets_needs_a_restart():
    assert {option.section for option in OPTIONS if option.needs_restart} == {"listen"}
