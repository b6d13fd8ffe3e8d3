from tests.unit.connector.conftest import make_pairs, make_params, shards, written_shards  # noqa: F401
