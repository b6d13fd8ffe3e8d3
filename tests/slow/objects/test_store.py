from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from cmet.errors import ClipError, UserError
from cmet.objects import store
from cmet.objects.files import kept_on_disk, on_disk
from cmet.objects.inventory import StoredObject, open_inventory, write_inventory
from cmet.objects.renewing import InventoryReport, renew_inventory
from cmet.objects.store import ObjectStore
from tests.object_store import Breaking, Bucket


@pytest.fixture
def inventory(bucket: Bucket, tmp_path: Path) -> Path:
    """Of two clips below a folder of the bucket."""
    bucket.put("raw/a/1.mp4", b"one")
    bucket.put("raw/a/2.mp4", b"two")
    # another folder whose name begins alike, and what a console leaves for a folder
    bucket.put("raw2/3.mp4", b"three")
    bucket.put("raw/a/", b"")
    path = tmp_path / "raw.inventory"
    renew_inventory(path, f"{bucket.address}/raw/")
    return path


def test_what_lies_below_an_address_is_listed(bucket: Bucket, inventory: Path) -> None:
    found = open_inventory(inventory)
    assert found.address == f"{bucket.address}/raw"
    assert [(one.name, one.num_bytes) for one in found.objects()] == [("a/1.mp4", 3), ("a/2.mp4", 3)]
    assert len({one.version for one in found.objects()}) == 2


def test_a_list_of_many_pages_is_whole_and_asks_for_no_object(bucket: Bucket, monkeypatch: pytest.MonkeyPatch) -> None:
    from aiobotocore.client import AioBaseClient

    monkeypatch.setenv("MOTO_S3_DEFAULT_MAX_KEYS", "10")
    for number in range(21):
        bucket.put(f"{number % 3}/{number}.mp4", b"")
    asked: list[str] = []
    make = AioBaseClient._make_api_call
    monkeypatch.setattr(
        AioBaseClient, "_make_api_call", lambda self, name, given: asked.append(name) or make(self, name, given)
    )
    assert len(ObjectStore(bucket.address).objects()) == 21
    assert asked == ["ListObjectsV2"] * 3


def state_of(file: Path) -> tuple[int, int, int]:
    """What tells that nobody has written it; whoever reads it may change other facts."""
    found = file.stat()
    return found.st_ino, found.st_mtime_ns, found.st_size


def test_a_renewed_inventory_says_what_has_changed_and_stays_as_it_is_where_nothing_has(
    bucket: Bucket, inventory: Path
) -> None:
    before = state_of(inventory)
    assert renew_inventory(inventory) == InventoryReport(f"{bucket.address}/raw", 2, 6, 0, 0, 0)
    # the same bytes once more
    bucket.put("raw/a/1.mp4", b"one")
    renew_inventory(inventory)
    assert state_of(inventory) == before
    bucket.put("raw/a/1.mp4", b"eins")
    bucket.put("raw/b.mp4", b"new")
    bucket.remove("raw/a/2.mp4")
    assert renew_inventory(inventory) == InventoryReport(f"{bucket.address}/raw", 2, 7, 1, 1, 1)
    assert [one.name for one in open_inventory(inventory).objects()] == ["a/1.mp4", "b.mp4"]


def test_an_object_is_brought_once(bucket: Bucket, inventory: Path) -> None:
    for _ in range(2):
        with on_disk(inventory / "a/1.mp4") as file:
            assert (file.name, file.read_bytes()) == ("1.mp4", b"one")
        # what is here needs no store
        bucket.remove("raw/a/1.mp4")


def test_a_path_on_the_disk_is_its_own_file(tmp_path: Path) -> None:
    with on_disk(tmp_path / "a.mp4") as file:
        assert file == tmp_path / "a.mp4"
    assert kept_on_disk(tmp_path / "a.mp4") == tmp_path / "a.mp4"


def test_a_list_beside_the_clips_is_read_as_a_file(inventory: Path) -> None:
    assert kept_on_disk(inventory / "a/1.mp4").read_bytes() == b"one"
    assert kept_on_disk(inventory / "numbering.csv") == inventory / "numbering.csv"


@pytest.mark.parametrize("content", [b"eins", b"eno"])
def test_an_object_that_has_changed_is_no_longer_that_of_the_inventory(
    bucket: Bucket, inventory: Path, content: bytes, tmp_path: Path
) -> None:
    bucket.put("raw/a/1.mp4", content)
    with (
        pytest.raises(ClipError, match="a/1.mp4 has changed since it was listed; renew the list") as raised,
        on_disk(inventory / "a/1.mp4"),
    ):
        pass
    assert raised.value.code == "changed_object"
    assert [path.name for path in (tmp_path / "cache").iterdir()] == ["usage"]


def test_an_object_that_is_gone_is_a_reason_of_its_clip(bucket: Bucket, inventory: Path) -> None:
    bucket.remove("raw/a/1.mp4")
    with (
        pytest.raises(ClipError, match="missing_object: s3://.*/a/1.mp4 is in the inventory, but no longer in"),
        on_disk(inventory / "a/1.mp4"),
    ):
        pass
    with (
        pytest.raises(ClipError, match="missing_object: raw.inventory lists no a/9.mp4"),
        on_disk(inventory / "a/9.mp4"),
    ):
        pass


def test_places_without_objects_are_told(bucket: Bucket) -> None:
    with pytest.raises(UserError, match="s3://no-such-bucket/raw: no such bucket or folder"):
        ObjectStore("s3://no-such-bucket/raw").objects()
    with pytest.raises(UserError, match="there is no object below this address"):
        ObjectStore(f"{bucket.address}/nothing").objects()
    with pytest.raises(UserError, match=r"no address that can be read \(Protocol not known: foo\)"):
        ObjectStore("foo://lab").objects()
    with pytest.raises(UserError, match="what reads it is not installed: .*gcsfs"):
        ObjectStore("gs://lab").objects()


def test_who_has_no_credentials_is_told(
    bucket: Bucket, inventory: Path, monkeypatch: pytest.MonkeyPatch, begin_anew: Callable[[], None]
) -> None:
    monkeypatch.setenv("AWS_PROFILE", "nobody")
    begin_anew()
    with pytest.raises(UserError, match=r"may not be read \(The config profile \(nobody\) could not be found\)"):
        ObjectStore(f"{bucket.address}/raw").objects()


def test_who_is_refused_is_told(endpoint: str, bucket: Bucket, monkeypatch: pytest.MonkeyPatch) -> None:
    import requests

    bucket.put("a.mp4", b"a")
    # from now on the server looks at who asks
    requests.post(f"{endpoint}/moto-api/reset-auth", data="0", timeout=10)
    try:
        with pytest.raises(UserError, match="may not be read .*credentials come from the environment or a profile"):
            ObjectStore(bucket.address).objects()
    finally:
        requests.post(f"{endpoint}/moto-api/reset-auth", data="1000000", timeout=10)


def test_a_connection_that_breaks_is_tried_again(
    bucket: Bucket, inventory: Path, monkeypatch: pytest.MonkeyPatch, begin_anew: Callable[[], None]
) -> None:
    monkeypatch.setattr(store, "WAITS_S", (0.0, 0.0, 0.0))
    content = bytes(range(256)) * 4096
    bucket.put("raw/a/1.mp4", content)
    renew_inventory(inventory)
    place = urlsplit(bucket.endpoint)
    with Breaking((str(place.hostname), int(place.port or 0)), [1, 300_000, 100_000]).at_work() as server:
        monkeypatch.setenv("AWS_ENDPOINT_URL", server.endpoint)
        begin_anew()
        with on_disk(inventory / "a/1.mp4") as file:
            assert file.read_bytes() == content
        assert server.num_broken == 3


def test_a_store_that_does_not_answer_is_told_in_the_end(
    bucket: Bucket, inventory: Path, monkeypatch: pytest.MonkeyPatch, begin_anew: Callable[[], None], tmp_path: Path
) -> None:
    monkeypatch.setattr(store, "WAITS_S", (0.0,))
    # nobody listens there
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    begin_anew()
    with (
        pytest.raises(UserError, match="cannot be reached, or the connection broke 2 times in a row .*127.0.0.1:9"),
        on_disk(inventory / "a/1.mp4"),
    ):
        pass
    assert [path.name for path in (tmp_path / "cache").iterdir()] == ["usage"]


def test_a_folder_can_be_listed_like_a_store(tmp_path: Path) -> None:
    (tmp_path / "raw/a").mkdir(parents=True)
    (tmp_path / "raw/a/1.mp4").write_bytes(b"one")
    path = tmp_path / "raw.inventory"
    renew_inventory(path, f"file://{tmp_path}/raw")
    with on_disk(path / "a/1.mp4") as file:
        assert file.read_bytes() == b"one"


def test_an_object_with_a_strange_name_gets_a_plain_one(bucket: Bucket, tmp_path: Path) -> None:
    path, name = tmp_path / "a.inventory", "a/-rf $(x) &.mp4"
    bucket.put(name, b"one")
    write_inventory(path, bucket.address, [ObjectStore(bucket.address).look_at(name)])
    with on_disk(path / name) as file:
        assert (file.name, file.read_bytes()) == ("object.mp4", b"one")
    assert isinstance(open_inventory(path).find(name), StoredObject)
