"""A bucket for each test, on one server."""

from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path

import pytest

from tests.object_store import Bucket, forget_clients, new_bucket, serving_objects

NUMBERS = count()


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    with serving_objects() as endpoint:
        yield endpoint
    # they go by where it was
    forget_clients()


@pytest.fixture
def bucket(endpoint: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bucket:
    """An empty bucket; what is read from it is kept in the folder of the test."""
    monkeypatch.setenv("CMET_CACHE_DIR", str(tmp_path / "cache"))
    return new_bucket(endpoint, f"bucket-{next(NUMBERS)}")


@pytest.fixture
def begin_anew() -> Iterator[Callable[[], None]]:
    """For a test that changes what the environment says: the next client goes by that, and none that does is left."""
    yield forget_clients
    forget_clients()
