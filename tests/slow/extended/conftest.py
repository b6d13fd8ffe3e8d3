from tests.unit.extended.conftest import editor, sounds, speech, write_vectors  # noqa: F401
