"""The small world of the unit tests, with one sentence: reading shards takes longer than six steps of training."""

from pathlib import Path

import pytest

from tests.connector_shards import write_shards
from tests.unit.connector.conftest import make_pairs, make_params, shards  # noqa: F401


@pytest.fixture(scope="session")
def written_shards(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Shards of three training speakers and a validation speaker, which nobody changes."""
    return write_shards(tmp_path_factory.mktemp("shards"), num_sentences=1)
