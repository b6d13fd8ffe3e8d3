"""A clone without data reads single clips from the remote that a real `dvc push` has filled."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from dvc.repo import Repo
from typer.testing import CliRunner

from cmet import packs, pushed
from cmet.cli import app
from cmet.clips.product import SOUND, VIDEO
from cmet.errors import UserError
from cmet.expression.product import CODES, TRACKS
from cmet.inputs.files import BadFile
from cmet.objects import store
from cmet.packs import Packs, has_file, read_packed, write_packs
from cmet.project import Project
from cmet.pushed import REMOTE_VARIABLE
from tests.conftest import ROOT
from tests.object_store import Bucket
from tests.packing import pack_arrays

CLIPS = [f"mead-M003-happy-1-{number:03d}" for number in range(600)]
"""Enough for four packs."""

TAKEN = CLIPS[7]


def picture(name: str) -> bytes:
    return name.encode() * 100


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project whose outputs were pushed to the folder `remote` beside it."""
    root = tmp_path_factory.mktemp("made") / "project"
    clips, faces = root / "data/clips", root / "data/expression/facemesh"
    clips.mkdir(parents=True)
    shutil.copy(ROOT / "params.yaml", root)
    pd.DataFrame({"clip_id": CLIPS, "status": "ok", "reason": None}).to_parquet(clips / "clips.parquet")
    write_packs(clips / VIDEO, [f"{clip_id}.mp4" for clip_id in CLIPS], picture, "test")
    write_packs(clips / SOUND, [f"{clip_id}.wav" for clip_id in CLIPS], picture, "test")
    for folder in (CODES, TRACKS):
        pack_arrays(faces / folder, {clip_id: np.full((5, 10), 0.5) for clip_id in CLIPS[:20]})
    stages = {"clips": {"cmd": "true", "outs": ["data/clips"]}}
    stages["expression"] = {"cmd": "true", "outs": ["data/expression/facemesh"]}
    (root / "dvc.yaml").write_text(yaml.safe_dump({"stages": stages}))
    Repo.init(str(root), no_scm=True).close()
    (root / ".dvc/config").write_text(
        "[core]\n    no_scm = True\n    remote = far\n['remote \"far\"']\n    url = ../../remote\n"
    )
    with Repo(str(root)) as repo:
        repo.commit(force=True)
        assert repo.push() > 0
    return root


@pytest.fixture
def clone(bucket: Bucket, made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What git has of the project, with the variable set; the remote is in a bucket."""
    bucket.put_tree(made.parent / "remote", "cmet/")
    root = tmp_path / "clone"
    root.mkdir()
    for name in ("params.yaml", "dvc.yaml", "dvc.lock"):
        shutil.copy(made / name, root)
    monkeypatch.setenv(REMOTE_VARIABLE, f"{bucket.address}/cmet")
    forget_indices()
    return root


def forget_indices() -> None:
    """As another process would begin."""
    packs._pushed_index.cache_clear()
    pushed._listed.cache_clear()


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str]]:
    """Each request with the slice it wants."""
    from aiobotocore.client import AioBaseClient

    make: Callable = AioBaseClient._make_api_call
    asked: list[tuple[str, str]] = []
    monkeypatch.setattr(
        AioBaseClient,
        "_make_api_call",
        lambda self, name, given: asked.append((name, given.get("Range", ""))) or make(self, name, given),
    )
    return asked


def object_of(made: Path, path: Path) -> Path:
    """The file in the remote with the bytes of one of the project."""
    content = path.read_bytes()
    return next(file for file in (made.parent / "remote").rglob("*") if file.is_file() and file.read_bytes() == content)


def name_of(made: Path, path: Path) -> str:
    return f"cmet/{object_of(made, path).relative_to(made.parent / 'remote').as_posix()}"


def pack_of(root: Path, clip_id: str) -> Path:
    return root / "data/clips" / VIDEO / packs.pack_name(f"{clip_id}.mp4", 4)


def test_a_clip_is_read_by_one_request_after_one_for_the_index_and_then_without_any(
    clone: Path, asked: list[tuple[str, str]]
) -> None:
    clips = Project.at(clone / "params.yaml").clips()
    assert [name for name, _ in asked] == ["GetObject"]  # the list of the files of data/clips
    asked.clear()
    assert read_packed(clips.video(TAKEN)) == picture(f"{TAKEN}.mp4")
    (index, beginning), (clip, part) = asked
    assert index == clip == "GetObject"
    assert beginning == f"bytes=0-{packs.FIRST_BYTES - 1}"
    first, last = map(int, part.removeprefix("bytes=").split("-"))
    assert last - first + 1 == len(picture(f"{TAKEN}.mp4"))
    others = [clip_id for clip_id in CLIPS if pack_of(clone, clip_id) == pack_of(clone, TAKEN) and clip_id != TAKEN]
    asked.clear()
    for clip_id in others[:3]:
        read_packed(clips.video(clip_id))
    assert len(asked) == 3
    # another process on this machine
    forget_indices()
    asked.clear()
    assert read_packed(clips.video(TAKEN)) == picture(f"{TAKEN}.mp4")
    assert len(asked) == 1  # the list
    assert not (clone / "data").exists()


def test_all_that_a_product_has_is_there_as_it_was_made(
    clone: Path, made: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    far, near = Project.at(clone / "params.yaml"), Project.at(made / "params.yaml")
    assert far.clips().table.equals(near.clips().table)
    assert far.clips()._pictures.names() == near.clips()._pictures.names() == [f"{clip_id}.mp4" for clip_id in CLIPS]
    assert far.faces("facemesh").codes(CLIPS[3]).tolist() == near.faces("facemesh").codes(CLIPS[3]).tolist()
    assert far.faces("facemesh").has_track(CLIPS[3])
    assert not far.faces("facemesh").has_codes(TAKEN + "0")
    assert not (clone / "data").exists()
    monkeypatch.delenv(REMOTE_VARIABLE)
    with pytest.raises(UserError, match="data/clips/clips.parquet: not there yet; run `dvc repro clips`"):
        far.clips()


def test_a_clip_is_written_out_in_a_clone_without_data(clone: Path, tmp_path: Path) -> None:
    done = CliRunner().invoke(app, ["corpus", "unpack", TAKEN, "--to", str(tmp_path / "out"), "--project", str(clone)])
    assert done.exit_code == 0, done.output
    assert {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()} == {
        name: picture(name) for name in (f"{TAKEN}.mp4", f"{TAKEN}.wav")
    }


def test_what_is_on_this_machine_comes_first(clone: Path, asked: list[tuple[str, str]]) -> None:
    """A pack that was pulled, one beside it that was not, and a link to a cache that only another machine has."""
    folder = clone / "data/clips" / VIDEO
    own = pack_of(clone, TAKEN).name
    write_packs(folder, [f"{clip_id}.mp4" for clip_id in CLIPS], lambda name: b"pulled " + picture(name), "test")
    for pack in folder.iterdir():
        if pack.name != own:
            pack.unlink()
    other = next(clip_id for clip_id in CLIPS if pack_of(clone, clip_id).name != own)
    pack_of(clone, other).symlink_to("/nowhere/cache")
    assert read_packed(Packs(folder).path(f"{TAKEN}.mp4")) == b"pulled " + picture(f"{TAKEN}.mp4")
    assert asked == []
    assert read_packed(Packs(folder).path(f"{other}.mp4")) == picture(f"{other}.mp4")
    assert len(asked) == 3


def test_a_large_index_takes_another_request(
    clone: Path, asked: list[tuple[str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(packs, "FIRST_BYTES", 1000)
    assert read_packed(pack_of(clone, TAKEN) / f"{TAKEN}.mp4") == picture(f"{TAKEN}.mp4")
    assert len(asked) == 4


def test_a_project_that_never_names_a_remote_loads_no_client(clone: Path, made: Path) -> None:
    import subprocess
    import sys

    program = (
        "import sys; from cmet.project import Project; "
        f"print(Project.at('params.yaml').clips().write_out({TAKEN!r}, __import__('pathlib').Path('out'))); "
        "sys.exit('fsspec' in sys.modules)"
    )
    environment = {name: value for name, value in os.environ.items() if name != REMOTE_VARIABLE}
    subprocess.run([sys.executable, "-c", program], cwd=made, env=environment, check=True)


@pytest.mark.parametrize("what", ["list", "pack"])
def test_what_was_not_pushed_is_told(bucket: Bucket, clone: Path, made: Path, what: str) -> None:
    if what == "list":
        digest = yaml.safe_load((made / "dvc.lock").read_text())["stages"]["clips"]["outs"][0]["md5"]
        bucket.remove(f"cmet/files/md5/{digest[:2]}/{digest[2:]}")
        said = r"clone/data/clips: is not here, and s3://.*/cmet has no files/md5/.*\.dir; run `dvc push` where"
    else:
        bucket.remove(name_of(made, pack_of(made, TAKEN)))
        said = r"-of-4.tar: is not here, and s3://.*/cmet has no files/md5/"
    with pytest.raises(BadFile, match=said):
        read_packed(pack_of(clone, TAKEN) / f"{TAKEN}.mp4")


@pytest.mark.parametrize(
    "how", ["cut in the index", "cut in the clip", "cut before it", "another", "changed after the index", "list"]
)
def test_what_is_damaged_in_the_remote_is_told_and_not_kept(
    bucket: Bucket, clone: Path, made: Path, tmp_path: Path, how: str
) -> None:
    pack, path = pack_of(made, TAKEN), pack_of(clone, TAKEN) / f"{TAKEN}.mp4"
    name, content = name_of(made, pack), pack.read_bytes()
    if how == "list":
        digest = yaml.safe_load((made / "dvc.lock").read_text())["stages"]["clips"]["outs"][0]["md5"]
        name = f"cmet/files/md5/{digest[:2]}/{digest[2:]}"
        content = (made.parent / "remote" / name.removeprefix("cmet/")).read_bytes()
        bucket.put(name, content.replace(b"clips", b"clop", 1))
    elif how == "cut in the index":
        bucket.put(name, content[:700])
    elif how in ("cut in the clip", "cut before it"):
        # S3 gives what there is of a slice, and refuses one behind the end
        begins = content.index(picture(path.name))
        bucket.put(name, content[: begins + 50 if how == "cut in the clip" else begins - 50])
    elif how == "another":
        bucket.put(name, b"<html>" * 1000)
    else:
        assert has_file(path)
        bucket.put(name, content.replace(picture(path.name), picture(path.name)[::-1]))
    with pytest.raises(BadFile, match=f"{name}: damaged, or not .*; remove it, and run `dvc push` where that is whole"):
        read_packed(path)
    bucket.put(name, content)
    assert read_packed(path) == picture(f"{TAKEN}.mp4")


def test_what_is_damaged_in_the_cache_is_told(clone: Path, tmp_path: Path) -> None:
    path = pack_of(clone, TAKEN) / f"{TAKEN}.mp4"
    read_packed(path)
    kept = next(file for file in (tmp_path / "cache").glob("*/*") if file.stat().st_size == len(picture(path.name)))
    kept.write_bytes(kept.read_bytes()[::-1])
    with pytest.raises(BadFile, match=f"{kept}: damaged since it came into the cache; remove it"):
        read_packed(path)
    kept.unlink()
    assert read_packed(path) == picture(path.name)


def test_a_remote_that_cannot_be_read_is_told(
    bucket: Bucket, clone: Path, monkeypatch: pytest.MonkeyPatch, begin_anew: Callable[[], None]
) -> None:
    monkeypatch.setattr(store, "WAITS_S", (0.0,))
    path = pack_of(clone, TAKEN) / f"{TAKEN}.mp4"
    monkeypatch.setenv("AWS_PROFILE", "nobody")
    begin_anew()
    with pytest.raises(UserError, match=r"may not be read \(The config profile \(nobody\) could not be found\)"):
        read_packed(path)
    monkeypatch.delenv("AWS_PROFILE")
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    begin_anew()
    with pytest.raises(UserError, match="cannot be reached, or the connection broke 2 times in a row .*127.0.0.1:9"):
        read_packed(path)
    monkeypatch.setenv(REMOTE_VARIABLE, "s3://key:secret@lab/cmet")
    with pytest.raises(UserError, match="has a user, a password or a query in it") as raised:
        read_packed(path)
    assert "secret" not in str(raised.value)
    monkeypatch.setenv(REMOTE_VARIABLE, "/mnt/remote")
    with pytest.raises(
        UserError, match="CMET_DVC_REMOTE: /mnt/remote: no address of an object store; expected one like s3"
    ):
        read_packed(path)
