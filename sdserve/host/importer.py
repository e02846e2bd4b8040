"""Importing the application: `module:attribute` to an object, with errors that say what to do."""

from __future__ import annotations

import difflib
import importlib
from typing import Any

from sdserve.core.gateway.interface import is_factory
from sdserve.errors import BootError


def import_application(spec: str) -> Any:
    """Return the application that `spec` names, calling it first if it is a factory.

    Args:
        spec: `module:attribute`, dots allowed in both, or `module:factory()`.

    Raises:
        BootError: it cannot be found; or its import or its factory raised, which is then the cause.
    """
    module_name, _, attribute = spec.partition(":")
    called = attribute.endswith("()")
    candidate = _import_module(module_name)
    for name in attribute.removesuffix("()").split("."):
        candidate = _get_attribute(candidate, name, spec)
    if called or is_factory(candidate):
        try:
            return candidate()
        except BaseException as error:
            raise BootError(f"the application factory {spec} raised {_brief(error)}") from error
    return candidate


def _import_module(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        # The named module itself, or one that it imports: two different mistakes.
        if error.name is not None and (name == error.name or name.startswith(error.name + ".")):
            raise BootError(
                f"there is no module {error.name!r}; look at app.application, app.directory and app.venv"
            ) from None
        raise BootError(f"importing {name} raised {_brief(error)}") from error
    except SystemExit as error:
        raise BootError(f"importing {name} called sys.exit({error.code!r})") from error
    except BaseException as error:  # no signal makes a KeyboardInterrupt here: it is the application's own
        raise BootError(f"importing {name} raised {_brief(error)}") from error


def _get_attribute(holder: Any, name: str, spec: str) -> Any:
    try:
        return getattr(holder, name)
    except AttributeError:
        near = difflib.get_close_matches(name, [n for n in dir(holder) if not n.startswith("_")], n=1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        raise BootError(f"{spec}: there is no {name!r}{hint}") from None
    except BaseException as error:  # of a module's __getattr__, or a property
        raise BootError(f"{spec}: looking up {name!r} raised {_brief(error)}") from error


def _brief(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}"
