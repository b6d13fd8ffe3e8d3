import json
from pathlib import Path

import pytest

from cmet.errors import UserError
from cmet.objects.inventory import (
    StoredObject,
    check_store_address,
    inventory_above,
    is_plain_name,
    open_inventory,
    stored_object,
    write_inventory,
)
from tests.properties import given
from tests.properties import strategies as st

NAMES = st.text(st.characters(), min_size=1, max_size=12)


def objects(*names: str) -> list[StoredObject]:
    return [StoredObject(name, number, f"v{number}") for number, name in enumerate(names)]


@given(names=st.sets(NAMES, max_size=30), others=st.sets(NAMES, max_size=5))
def test_every_object_is_found_and_no_other(
    tmp_path_factory: pytest.TempPathFactory, names: set[str], others: set[str]
) -> None:
    path = tmp_path_factory.mktemp("inventories") / "a.inventory"
    wanted = objects(*names)
    write_inventory(path, "s3://lab/raw", wanted)
    inventory = open_inventory(path)
    assert inventory.address == "s3://lab/raw"
    assert list(inventory.objects()) == sorted(wanted)
    assert [inventory.find(one.name) for one in wanted] == wanted
    assert {inventory.find(name) for name in others - names} <= {None}


def test_the_order_does_not_show_in_the_bytes(tmp_path: Path) -> None:
    wanted = objects("b/2", "a/1", "ä")
    for name, several in (("a", wanted), ("b", wanted[::-1])):
        write_inventory(tmp_path / f"{name}.inventory", "s3://lab", several)
    assert (tmp_path / "a.inventory").read_bytes() == (tmp_path / "b.inventory").read_bytes()


def test_a_path_goes_on_inside_an_inventory(tmp_path: Path) -> None:
    path = tmp_path / "corpus.inventory"
    write_inventory(path, "s3://lab", objects("a/1.mp4"))
    assert inventory_above(path / "a/1.mp4") == path
    assert stored_object(path / "a/1.mp4") == StoredObject("a/1.mp4", 0, "v0")
    assert stored_object(path / "a") is None
    assert stored_object(tmp_path / "a/1.mp4") is None
    write_inventory(path, "s3://lab", objects("b.mp4"))
    assert stored_object(path / "a/1.mp4") is None


HEAD = '{"cmet_inventory": 1, "address": "s3://lab"}\n'


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "is empty"),
        ("no json\n", "not readable as JSON"),
        ('{"cmet_inventory": 2, "address": "s3://lab"}\n', "damaged, or no inventory of this version"),
        ('{"cmet_inventory": 1}\n', "damaged"),
        (HEAD.rstrip(), "damaged"),
        (HEAD + '["a", 1, "v"]', "damaged"),
        (HEAD + '["a", -1, "v"]\n', "damaged"),
        (HEAD + '["a", 1]\n', "damaged"),
        (HEAD + '["a", 1, "v"\n', "damaged"),
        (HEAD.replace("s3://lab", "s3://key:secret@lab"), "has a user, a password or a query in it"),
    ],
)
def test_a_damaged_inventory_is_told(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "a.inventory"
    path.write_text(text)
    with pytest.raises(UserError, match=said) as raised:
        open_inventory(path).find("a")
    assert "secret" not in str(raised.value)


def test_names_that_come_twice_and_other_suffixes_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"expected one that ends in \.inventory"):
        write_inventory(tmp_path / "a.json", "s3://lab", [])
    with pytest.raises(UserError, match="lists 'a' twice"):
        write_inventory(tmp_path / "a.inventory", "s3://lab", objects("a", "a"))
    assert not any(tmp_path.iterdir())


@pytest.mark.parametrize("address", ["s3://lab", "s3://lab/MEAD/raw", "gs://lab/x", "file:///data/x", "memory://x"])
def test_addresses_below_which_there_may_be_objects(address: str) -> None:
    check_store_address(address)


@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("s3://me:secret@lab/raw", "at s3://lab has a user, a password"),
        ("s3://secret@lab/raw", "credentials come from the environment"),
        ("https://lab/raw?signature=secret", "a query in it"),
        ("lab/raw", "expected one like s3://bucket/folder"),
        ("s3://", "expected one like"),
        ("simplecache::s3://lab", "expected one like"),
        ("s3://[lab", "no address of an object store"),
    ],
)
def test_other_addresses_are_refused_without_saying_a_secret(address: str, said: str) -> None:
    with pytest.raises(UserError, match=said) as raised:
        check_store_address(address)
    assert "secret" not in str(raised.value)


@pytest.mark.parametrize("name", ["a.mp4", "a/b c/ü.mp4", "..a"])
def test_names_that_files_may_have(name: str) -> None:
    assert is_plain_name(name)


@pytest.mark.parametrize("name", ["../a", "a/../b", "/a", "a//b", "a/", "./a", "a\0b", "a" * 256])
def test_names_that_no_file_may_have(name: str) -> None:
    assert not is_plain_name(name)


def test_one_of_many_is_found_without_reading_the_rest(tmp_path: Path) -> None:
    path = tmp_path / "a.inventory"
    lines = [json.dumps([f"{number:06d}", number, "v"]) for number in range(20_000)]
    # whoever read this line would say so
    lines[3] = "damaged"
    path.write_text(HEAD + "\n".join(lines) + "\n")
    assert open_inventory(path).find("012345") == StoredObject("012345", 12345, "v")
