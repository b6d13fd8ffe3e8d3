from tests.unit.judge.conftest import save, trunk_and_head  # noqa: F401
