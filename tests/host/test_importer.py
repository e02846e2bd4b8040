"""Importing an application by its name, and what is said when that fails."""

from __future__ import annotations

import sys
from textwrap import dedent

import pytest

from sdserve.errors import BootError
from sdserve.host.importer import import_application


@pytest.fixture
def shop(tmp_path, monkeypatch):
    """Write modules of the package `shop`, which is importable; afterwards it has never been."""
    monkeypatch.syspath_prepend(tmp_path)

    def write(text, name="__init__"):
        package = tmp_path / "shop"
        package.mkdir(exist_ok=True)
        (package / "__init__.py").touch()
        (package / f"{name}.py").write_text(dedent(text))

    yield write
    for name in [name for name in sys.modules if name.partition(".")[0] == "shop"]:
        del sys.modules[name]


def refused(spec):
    with pytest.raises(BootError) as caught:
        import_application(spec)
    return caught.value


def test_an_attribute_of_a_module(shop):
    shop("def app(environ, start_response): ...")
    assert import_application("shop:app").__name__ == "app"


def test_an_attribute_of_a_module_in_a_package(shop):
    shop("def app(environ, start_response): ...", "web")
    assert import_application("shop.web:app").__module__ == "shop.web"


def test_an_attribute_of_an_attribute(shop):
    shop(
        """
        class Site:
            def app(self, environ, start_response): ...
        site = Site()
        """
    )
    assert import_application("shop:site.app").__name__ == "app"


@pytest.mark.parametrize("spec", ["shop:make", "shop:make()", "shop:make_with_options", "shop:Site"])
def test_a_factory_is_called(shop, spec):
    shop(
        """
        class Site:
            def __call__(self, environ, start_response): ...
        def make():
            return Site()
        def make_with_options(config=None, *, debug=False):
            return Site()
        """
    )
    assert type(import_application(spec)).__name__ == "Site"


def test_what_is_called_by_its_name_is_a_factory_whatever_it_looks_like(shop):
    shop("def make(*arguments): return arguments")
    assert import_application("shop:make()") == ()
    assert callable(import_application("shop:make"))


def test_a_module_that_does_not_exist():
    assert "there is no module 'shop'; look at app.application" in str(refused("shop:app"))


def test_a_module_that_does_not_exist_in_a_package(shop):
    shop("")
    assert "there is no module 'shop.web'" in str(refused("shop.web:app"))


def test_a_module_that_imports_one_that_does_not_exist(shop):
    """Another mistake than naming the wrong application, so it is told in other words."""
    shop("import nowhere_to_be_found")
    error = refused("shop:app")
    assert str(error) == "importing shop raised ModuleNotFoundError: No module named 'nowhere_to_be_found'"
    assert isinstance(error.__cause__, ModuleNotFoundError)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("raise ValueError('no database')", "importing shop raised ValueError: no database"),
        ("def app(:", "importing shop raised SyntaxError: "),
        ("import sys; sys.exit('usage')", "importing shop called sys.exit('usage')"),
        ("from sys import nothing", "importing shop raised ImportError: "),
        ("raise KeyboardInterrupt", "importing shop raised KeyboardInterrupt: "),
        ("raise GeneratorExit", "importing shop raised GeneratorExit: "),
    ],
)
def test_a_module_whose_import_raises(shop, text, message):
    shop(text)
    error = refused("shop:app")
    assert str(error).startswith(message)
    assert error.__cause__ is not None


def test_an_attribute_that_does_not_exist(shop):
    shop("application = None\n_app = None")
    assert str(refused("shop:aplication")) == (
        "shop:aplication: there is no 'aplication'; did you mean 'application'?"
    )
    assert str(refused("shop:xyz")) == "shop:xyz: there is no 'xyz'"
    assert str(refused("shop:application.xyz")) == "shop:application.xyz: there is no 'xyz'"
    assert str(refused("shop")) == "shop: there is no ''"


def test_an_attribute_whose_look_up_raises(shop):
    shop("def __getattr__(name): raise ValueError(name)")
    assert str(refused("shop:app")) == "shop:app: looking up 'app' raised ValueError: app"
    shop("def __getattr__(name): raise SystemExit(name)", "web")
    assert str(refused("shop.web:app")) == "shop.web:app: looking up 'app' raised SystemExit: app"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("raise ValueError('no database')", "raised ValueError: no database"),
        ("import sys; sys.exit(3)", "raised SystemExit: 3"),
        ("return missing", "raised NameError: "),
        ("raise GeneratorExit", "raised GeneratorExit: "),
    ],
)
def test_a_factory_that_raises(shop, text, message):
    shop(f"def make():\n    {text}")
    error = refused("shop:make")
    assert str(error).startswith(f"the application factory shop:make {message}")
    assert error.__cause__ is not None


def test_a_factory_that_needs_arguments(shop):
    shop("def make(config): ...")
    assert "the application factory shop:make() raised TypeError: " in str(refused("shop:make()"))
