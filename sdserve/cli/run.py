"""`sdserve run TARGET`: serve an application until a signal ends it."""

from __future__ import annotations

import argparse
import sys

from sdserve.cli.arguments import add_target, load_target

NAME = "run"
HELP = "serve an application in the foreground"
EXAMPLES = """\
  sdserve run shop                          the instance of /etc/sdserve/shop.ini
  sdserve run ./shop.ini                    a configuration file
  sdserve run shop.wsgi:application         an application, without a file
  sdserve run 'shop.app:create_app()'       what a factory returns
  sdserve run shop:app --bind 127.0.0.1:8080 --bind unix:/run/shop.sock --workers 4
  sdserve run shop --set http.max_body=8M --set environment.DEBUG=1"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Let `parser` take TARGET, and what a running sdserve adds when it wants to know what that says now."""
    add_target(parser)
    parser.add_argument("--preflight", metavar="DESCRIPTOR", type=int, help=argparse.SUPPRESS)


def execute(arguments: argparse.Namespace) -> int:
    """Serve; return the exit code once the service has ended."""
    # Only this command needs the whole server.
    if arguments.preflight is not None:
        from sdserve.run.prepare import prepare

        return prepare(arguments.preflight, lambda: load_target(arguments).configuration)
    from sdserve.host import logs
    from sdserve.run import supervise

    if document := supervise.handed_over():
        return supervise.resume(document, sys.argv[1:])
    loaded = load_target(arguments)
    logs.configure(loaded.configuration.log.level, waits=False)
    return supervise.supervise(loaded.configuration, sys.argv[1:])
