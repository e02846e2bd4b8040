"""sdserve: a systemd-integrated application server for WSGI and ASGI."""

__version__ = "0.1.0"
