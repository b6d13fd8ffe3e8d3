"""Weights that lie in a bucket of one's own."""

import hashlib
from pathlib import Path

import pytest

from cmet.errors import UserError
from cmet.weights.fetching import Fetched, fetch, looked_for, missing_files
from cmet.weights.registry import CHECKPOINTS
from cmet.weights.routes import ManualRoute, WebRoute
from tests.object_store import Bucket
from tests.unit.weights.conftest import Given, filled, given  # noqa: F401
from tests.unit.weights.test_fetching import brought, held

AUDIO2LIP = filled("audio2lip")
SHA256 = hashlib.sha256(AUDIO2LIP).hexdigest()
BY_HAND = ManualRoute("https://publisher.example", "Download")


@pytest.fixture
def store(bucket: Bucket, monkeypatch: pytest.MonkeyPatch) -> Bucket:
    monkeypatch.setenv("CMET_WEIGHTS_STORE", f"{bucket.address}/weights/")
    return bucket


def test_what_only_a_person_can_get_comes_from_a_store(store: Bucket, given: Given, tmp_path: Path) -> None:  # noqa: F811
    given("audio2lip", BY_HAND)
    store.put("weights/edtalk/Audio2Lip.pt", AUDIO2LIP)
    folder = tmp_path / "weights"
    said = f"{store.address}/weights/edtalk/Audio2Lip.pt"
    assert brought(folder, "audio2lip") == [Fetched("fetched", said, SHA256)]
    assert held(folder) == ["edtalk/Audio2Lip.pt", "edtalk/Audio2Lip.pt.sha256"]
    assert (folder / "edtalk/Audio2Lip.pt").read_bytes() == AUDIO2LIP
    assert brought(folder, "audio2lip") == []


@pytest.mark.parametrize("content", [None, b"another file"])
def test_where_the_store_has_no_such_file_the_next_route_is_tried(
    store: Bucket,
    given: Given,  # noqa: F811
    tmp_path: Path,
    content: bytes | None,
) -> None:
    given("audio2lip", WebRoute("http://127.0.0.1:9/Audio2Lip.pt"), sha256=SHA256)
    if content is not None:
        store.put("weights/edtalk/Audio2Lip.pt", content)
    (outcome,) = brought(tmp_path / "weights", "audio2lip")
    assert outcome.status == "failed"
    why = "no such object" if content is None else "gave other bytes than those published"
    assert outcome.said.startswith(f"{store.address}/weights/edtalk/Audio2Lip.pt: {why}")
    assert "127.0.0.1: cannot be reached" in outcome.said
    assert held(tmp_path / "weights") == []


def test_sizes_are_told_before_anything_comes(store: Bucket, given: Given, tmp_path: Path) -> None:  # noqa: F811
    given("audio2lip", BY_HAND)
    store.put("weights/edtalk/Audio2Lip.pt", AUDIO2LIP)
    ((file, offer),) = looked_for(missing_files([CHECKPOINTS["audio2lip"]], tmp_path))
    assert not isinstance(offer, Fetched)
    assert offer.num_missing == len(AUDIO2LIP)
    store.put("weights/edtalk/Audio2Lip.pt", b"")
    outcome = fetch(file, offer)
    assert outcome.status == "by hand"
    assert "Audio2Lip.pt: gave something else" in outcome.said
    assert "only a person can get it: open https://publisher.example" in outcome.said


def test_an_address_with_a_password_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("CMET_WEIGHTS_STORE", "s3://me:secret@lab/weights")
    with pytest.raises(UserError, match="has a user, a password or a query in it"):
        looked_for(missing_files([CHECKPOINTS["audio2lip"]], tmp_path))
