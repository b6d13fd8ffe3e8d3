"""Tests that take a second or more of a core each; `make check` leaves them out. They share what quick ones share."""

from tests.unit.conftest import in_this_process, job, talking, tiny, workers  # noqa: F401
