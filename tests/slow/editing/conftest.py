from tests.unit.editing.conftest import darkening, editor, sounds  # noqa: F401
