from tests.unit.editing.conftest import darkening, sounds  # noqa: F401
