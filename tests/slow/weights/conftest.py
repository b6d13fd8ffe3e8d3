"""They share what quick tests of weights share."""

from tests.unit.weights.conftest import given, hub, patient, server  # noqa: F401
