"""The dialogues explain what went wrong in them as tests do."""

from __future__ import annotations

import pytest

pytest.register_assert_rewrite("tests.conformance.corpus_dialogue")
