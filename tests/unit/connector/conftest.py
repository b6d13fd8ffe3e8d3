"""Training in a small world."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from cmet.params import TrainParams
from cmet.shards import PairSample
from tests.connector_shards import TINY, pairs_of, write_shards


@pytest.fixture(scope="session")
def make_params() -> Callable[..., TrainParams]:
    """Training parameters of the tiny recipe with some changed."""
    return lambda **changes: TrainParams(**TINY | changes)


@pytest.fixture(scope="session")
def make_pairs() -> Callable[[str], list[PairSample]]:
    """All pairs of one speaker."""
    return pairs_of


@pytest.fixture(scope="session")
def written_shards(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Shards of three training speakers and a validation speaker, which nobody changes."""
    return write_shards(tmp_path_factory.mktemp("shards"))


@pytest.fixture
def shards(written_shards: Path, tmp_path: Path) -> Path:
    """The same ones for a test of its own."""
    return shutil.copytree(written_shards, tmp_path / "shards")
