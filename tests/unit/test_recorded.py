"""What DVC has recorded is read as it is written, and what it never writes is told."""

import json
from pathlib import Path

import pytest

from cmet.inputs.files import BadFile
from cmet.recorded import RecordedOutput, kept_as, listed_files, recorded_digests, recorded_outputs

ONE, OTHER = "0" * 32, "a" * 32

LOCK = f"""
schema: '2.0'
stages:
  clips:
    cmd: cmet clips
    deps: [{{path: data/manifest, md5: {OTHER}}}]
    outs:
    - {{path: data/clips, hash: md5, md5: {ONE}.dir, size: 4, nfiles: 2}}
    - {{path: data/metrics/clips.json, hash: md5, md5: {OTHER}}}
  nothing:
    cmd: 'true'
"""


def test_the_outputs_of_each_stage_are_read_and_once_more_when_they_have_changed(tmp_path: Path) -> None:
    assert recorded_outputs(tmp_path) == {}
    (tmp_path / "dvc.lock").write_text(LOCK)
    clips = [RecordedOutput("data/clips", f"{ONE}.dir"), RecordedOutput("data/metrics/clips.json", OTHER)]
    assert recorded_outputs(tmp_path) == {"clips": clips, "nothing": []}
    assert recorded_outputs(tmp_path) is recorded_outputs(tmp_path)
    (tmp_path / "dvc.lock").write_text("")
    assert recorded_outputs(tmp_path) == {}


@pytest.mark.parametrize(
    "text",
    [
        "stages: [",
        "[3]",
        "stages: 3",
        "stages: {clips: {outs: [3]}}",
        "stages: {clips: {deps: 3}}",
        "<<<<<<< HEAD\n",
        "[" * 100_000,
    ],
)
def test_what_is_no_lock_file_is_told(tmp_path: Path, text: str) -> None:
    (tmp_path / "dvc.lock").write_text(text)
    with pytest.raises(BadFile, match="dvc.lock: no lock file of DVC; take it from git again, or run `dvc repro`"):
        recorded_outputs(tmp_path)
    with pytest.raises(BadFile, match="dvc.lock: no lock file of DVC"):
        recorded_digests(tmp_path)


def test_what_stages_read_and_write_has_a_digest(tmp_path: Path) -> None:
    assert recorded_digests(tmp_path) == {}
    (tmp_path / "dvc.lock").write_text(LOCK)
    read, written = {"data/manifest": OTHER}, {"data/clips": f"{ONE}.dir", "data/metrics/clips.json": OTHER}
    assert recorded_digests(tmp_path) == {**read, **written}


def test_the_files_of_a_folder_are_read(tmp_path: Path) -> None:
    content = json.dumps([{"md5": ONE, "relpath": "video/0-of-1.tar"}, {"md5": OTHER, "relpath": "clips.parquet"}])
    assert listed_files(content.encode(), "x") == {"video/0-of-1.tar": ONE, "clips.parquet": OTHER}


@pytest.mark.parametrize(
    "listed",
    [
        3,
        [3],
        [{"relpath": "a"}],
        [{"relpath": "a", "md5": "../../secret"}],
        [{"relpath": "../a", "md5": ONE}],
        [{"relpath": "/a", "md5": ONE}],
    ],
)
def test_what_is_no_list_of_files_below_a_folder_is_told(listed: object) -> None:
    with pytest.raises(BadFile, match="^x: no list of files as DVC keeps it$"):
        listed_files(json.dumps(listed).encode(), "x")


def test_a_file_lies_where_dvc_lays_it() -> None:
    assert kept_as("60b725f10c9c85c70d97880dfe8191b3") == "files/md5/60/b725f10c9c85c70d97880dfe8191b3"
