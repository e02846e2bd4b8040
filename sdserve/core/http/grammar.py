"""The grammar of HTTP/1.1 as compiled patterns and byte tables, each with its rule in the RFC.

No pattern here can backtrack: alternatives start with different bytes, and no repeated group can match
what follows it. Everything is ASCII by construction; `\\d`, `\\s` and `str` methods do not occur.
"""

from __future__ import annotations

import re

_TCHAR = rb"!#$%&'*+\-.^_`|~0-9A-Za-z"

TOKEN = re.compile(rb"[" + _TCHAR + rb"]+")
"""RFC 9110 section 5.6.2. Methods and field names are tokens."""

CONTROLS = bytes(code for code in [*range(0x20), 0x7F] if code != 0x09)
"""What may stand nowhere in a line of a head: RFC 9110 section 5.5. Counting them also finds bare CR and LF,
because a head of N lines has 2 N of them and no more."""

TARGET_CHARACTERS = bytes(code for code in range(0x21, 0x7F) if code != ord("#"))
"""Visible ASCII but `#`: RFC 9112 section 3.2, RFC 3986. What browsers send unencoded (`|`, `{`) passes."""

HOST = re.compile(rb"(?:\[[0-9A-Fa-f:.]+\]|(?:[A-Za-z0-9\-._~!$&'()*+;=]|%[0-9A-Fa-f]{2})*)(?::[0-9]{0,5})?")
"""uri-host [ ":" port ], RFC 9110 section 7.2 and RFC 3986 section 3.2.2, which may be empty. A comma, though
a sub-delim of reg-name, is refused: it is what a joined second Host looks like."""

CONTENT_LENGTH = re.compile(rb"[0-9]{1,18}")
"""RFC 9110 section 8.6: 1*DIGIT, bounded so that no recipient overflows (2^63 has 19 digits)."""

CHUNK_SIZE = re.compile(rb"[0-9A-Fa-f]{1,15}")
"""RFC 9112 section 7.1: 1*HEXDIG, bounded like Content-Length."""

CHUNK_EXTENSION = re.compile(
    rb"[ \t]*;[ \t]*[" + _TCHAR + rb"]+"
    rb"(?:[ \t]*=[ \t]*(?:[" + _TCHAR + rb"]+|\"(?:[\t !#-\[\]-~\x80-\xff]|\\[\t -~\x80-\xff])*\"))?"
)
"""One extension: RFC 9112 section 7.1.1, with the bad white space it allows around `;` and `=`."""

VERSION = re.compile(rb"HTTP/([0-9])\.([0-9])")
"""RFC 9112 section 2.3: case-sensitive, one digit each."""
