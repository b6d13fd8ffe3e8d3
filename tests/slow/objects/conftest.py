"""A bucket for each test, on one server."""

from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest

from tests.object_store import Bucket, forget_clients, new_bucket, serving_objects

NUMBERS = count()


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    with serving_objects() as endpoint:
        yield endpoint


@pytest.fixture
def bucket(endpoint: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bucket]:
    """An empty bucket; what is read from it is kept in the folder of the test."""
    monkeypatch.setenv("CMET_CACHE_DIR", str(tmp_path / "cache"))
    forget_clients()
    yield new_bucket(endpoint, f"bucket-{next(NUMBERS)}")
    forget_clients()
