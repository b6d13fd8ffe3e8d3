from pathlib import Path

import pytest

from cmet.engine import ClipMap, Job, Record
from cmet.errors import ClipError


def write_double(job: Job, files: Path) -> Record:
    if job["value"] < 0:
        raise ClipError("negative", f"{job['value']} is below zero")
    if job["value"] == 99:
        raise ZeroDivisionError
    with (files / "calls").open("a") as log:
        log.write(f"{job['clip_id']}\n")
    return {"double": 2 * job["value"]}


def jobs(*values: int) -> list[Job]:
    return [{"clip_id": f"clip{value}", "value": value} for value in values]


def test_records_come_in_the_order_of_the_jobs_and_a_bad_clip_is_quarantined(tmp_path: Path) -> None:
    records = ClipMap(write_double, tmp_path, "test").run(jobs(3, -1, 2))
    assert [record.get("double") for record in records] == [6, None, 4]
    assert records[1]["status"] == "quarantined"
    assert records[1]["reason"] == "negative: -1 is below zero"


def test_an_interrupted_map_goes_on_with_what_is_missing(tmp_path: Path) -> None:
    clip_map = ClipMap(write_double, tmp_path, "test")
    with pytest.raises(ZeroDivisionError):
        clip_map.run(jobs(1, 99), num_workers=1)
    assert [record["double"] for record in clip_map.run(jobs(1, 2), num_workers=1)] == [2, 4]
    assert (tmp_path / "files/calls").read_text().split() == ["clip1", "clip2"]


def test_a_published_map_starts_anew(tmp_path: Path) -> None:
    work, out = tmp_path / "work", tmp_path / "out"
    for _ in range(2):
        clip_map = ClipMap(write_double, work, "test")
        clip_map.run(jobs(1, 2), num_workers=1)
        clip_map.publish(out)
        assert sorted((out / "calls").read_text().split()) == ["clip1", "clip2"]
        assert not work.exists()
