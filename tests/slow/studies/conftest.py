from tests.unit.studies.conftest import change, module_store, root, store  # noqa: F401
