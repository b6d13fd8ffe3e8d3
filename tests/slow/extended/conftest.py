from tests.unit.extended.conftest import sounds, speech, write_vectors  # noqa: F401
