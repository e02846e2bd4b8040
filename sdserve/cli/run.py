"""`sdserve run TARGET`: serve an application until a signal ends it."""

from __future__ import annotations

import argparse

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

add_arguments = add_target


def execute(arguments: argparse.Namespace) -> int:
    """Serve; return the exit code once the service has ended."""
    loaded = load_target(arguments)
    # Only this command needs the whole server.
    from sdserve.host import logs
    from sdserve.run.supervise import supervise

    logs.configure(loaded.configuration.log.level, waits=False)
    return supervise(loaded.configuration, lambda: load_target(arguments).configuration)
