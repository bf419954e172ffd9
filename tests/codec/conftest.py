"""The asserts of the shared suite should say what they compared."""

from __future__ import annotations

import pytest

pytest.register_assert_rewrite("tests.codec.conformance")
