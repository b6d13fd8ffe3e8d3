import errno
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from cmet import outputs
from cmet.engine import local, pool
from cmet.engine.attempts import Job, Record
from cmet.engine.clip_map import ClipMap
from cmet.errors import ClipError, UserError
from cmet.outputs import published_after
from cmet.packs import Packs, pack_files, read_packed
from tests.clip_jobs import (
    Crowded,
    Meeting,
    Unreadable,
    fail,
    jobs,
    misbehave,
    tell_shared_memory,
    write_double,
)
from tests.clip_maps import without_workers


def names(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


@pytest.mark.workers
def test_records_come_in_the_order_of_the_jobs_and_a_bad_clip_is_quarantined(tmp_path: Path) -> None:
    # more than wait for a worker at once
    records = ClipMap(write_double, tmp_path, "test").run(jobs(3, -1, 2, *range(4, 12)), num_workers=1)
    assert [record["clip_id"] for record in records[:3]] == ["clip3", "clip-1", "clip2"]
    assert [record.get("double") for record in records] == [6, None, 4, *range(8, 24, 2)]
    assert records[1]["status"] == "quarantined"
    assert records[1]["reason"] == "negative: -1 is below zero"


def test_files_of_usable_clips_only_reach_the_output(tmp_path: Path) -> None:
    clip_map = ClipMap(write_double, tmp_path / "work", "test")
    clip_map.run(jobs(3, -1, 2))
    clip_map.publish(tmp_path / "out")
    assert names(tmp_path) == ["out/numbers/clip2.txt", "out/numbers/clip3.txt"]


def test_a_map_that_may_not_be_published_is_there_at_once_the_next_time(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse() -> None:
        raise UserError("parameters have changed")

    clip_map = ClipMap(write_double, tmp_path / "work", "test")
    clip_map.run(jobs(3, 2))
    with pytest.raises(UserError), published_after(refuse, tmp_path / "out"):
        clip_map.publish(tmp_path / "out")
    ClipMap(fail, tmp_path / "work", "test").run(jobs(3, 2))
    assert "test: goes on after 2 of 2 clips" in capsys.readouterr().err
    clip_map.publish(tmp_path / "out")
    assert names(tmp_path) == ["out/numbers/clip2.txt", "out/numbers/clip3.txt"]


@pytest.mark.workers
def test_an_interrupted_map_goes_on_with_what_is_missing(tmp_path: Path) -> None:
    clip_map = ClipMap(write_double, tmp_path, "test")
    with pytest.raises(ZeroDivisionError):
        clip_map.run(jobs(1, 99), num_workers=1)
    with pytest.raises(UserError, match="^98 is made of other files$"):
        clip_map.run(jobs(1, 98), num_workers=1)
    first = json.loads((tmp_path / "records.jsonl").read_text())["record"]
    again, other = clip_map.run(jobs(1, 2), num_workers=1)
    assert again == first
    assert other["process"] != first["process"]
    assert names(tmp_path / "files") == ["numbers/clip1.txt", "numbers/clip2.txt"]


def test_what_a_worker_has_finished_before_a_kill_is_taken_in(tmp_path: Path) -> None:
    clip_map = ClipMap(write_double, tmp_path, "test")
    (first,) = clip_map.run(jobs(1))
    (line,) = (tmp_path / "records.jsonl").read_text().splitlines(keepends=True)
    # killed in the middle of its line; and of another, whose record stands there, before the file was moved
    (tmp_path / "records.jsonl").write_text(line.replace("clip1", "clip2") + line[:20])
    for name, value in (("clip1", "2"), ("clip2", "4")):
        (tmp_path / "done" / name / "numbers").mkdir(parents=True)
        (tmp_path / "done" / name / "numbers" / f"{name}.txt").write_text(value)
        (tmp_path / "done" / name / "record.json").write_text(line.replace("clip1", name))
    # two had been at work with one clip, and a third was on its way
    for name in ("clip2-again", ".clip2-late"):
        shutil.copytree(tmp_path / "done/clip2", tmp_path / "done" / name)
    records = ClipMap(fail, tmp_path, "test").run(jobs(1, 2))
    assert records == [first, first | {"clip_id": "clip2"}]
    assert names(tmp_path) == ["files/numbers/clip1.txt", "files/numbers/clip2.txt", "records.jsonl"]
    assert len((tmp_path / "records.jsonl").read_text().splitlines()) == 3


def test_work_that_was_published_before_a_kill_is_not_believed(tmp_path: Path) -> None:
    clip_map = ClipMap(write_double, tmp_path / "work", "test")
    clip_map.run(jobs(1))
    clip_map.files.replace(tmp_path / "out")
    clip_map.run(jobs(1))
    assert names(clip_map.files) == ["numbers/clip1.txt"]


def test_packed_files_of_a_clip_that_is_done_anew_give_way(tmp_path: Path) -> None:
    clip_map = ClipMap(write_double, tmp_path, "test")
    folder, packed = clip_map.files / "numbers", ["a.txt", "b.txt"]
    clip_map.run([{"clip_id": name, "value": 3, "stamp": 1} for name in "ab"])
    pack_files(folder, packed, "test")
    clip_map.run([{"clip_id": "a", "value": 5, "stamp": 2}, {"clip_id": "b", "value": 3, "stamp": 1}])
    pack_files(folder, packed, "test")
    assert [read_packed(Packs(folder).path(name)) for name in packed] == [b"10", b"6"]


def test_a_published_map_starts_anew(tmp_path: Path) -> None:
    work, out = tmp_path / "work", tmp_path / "out"
    for values in ((1, 2), (2, 3)):
        clip_map = ClipMap(write_double, work, "test")
        clip_map.run(jobs(*values), num_workers=1)
        clip_map.publish(out)
        assert names(out) == [f"numbers/clip{value}.txt" for value in values]
        assert not work.exists()


def test_a_quarantined_clip_is_tried_again_by_the_next_run(tmp_path: Path) -> None:
    clip_map = ClipMap(write_double, tmp_path, "test")
    first = clip_map.run([{"clip_id": "a", "value": -1}, *jobs(1)], num_workers=1)
    again = clip_map.run([{"clip_id": "a", "value": 3}, *jobs(1)], num_workers=1)
    assert [record["status"] for record in first] == ["quarantined", "ok"]
    assert [record["status"] for record in again] == ["ok", "ok"]
    assert again[1] == first[1]
    assert names(tmp_path / "files") == ["numbers/a.txt", "numbers/clip1.txt"]


@pytest.mark.parametrize(("stamp", "double"), [([1, 2], 6), ([1, 3], 10), (None, 10)])
def test_a_clip_is_done_anew_when_its_stamp_is_another(tmp_path: Path, stamp: list[int] | None, double: int) -> None:
    clip_map = ClipMap(write_double, tmp_path, "test")
    clip_map.run([{"clip_id": "a", "value": 3, "stamp": [1, 2]}], num_workers=1)
    (record,) = clip_map.run([{"clip_id": "a", "value": 5, "stamp": stamp}], num_workers=1)
    assert record["double"] == double
    assert "stamp" not in record
    assert (tmp_path / "files/numbers/a.txt").read_text() == str(double)


def test_a_clip_that_is_no_longer_usable_leaves_no_file_to_the_output(tmp_path: Path) -> None:
    clip_map = ClipMap(write_double, tmp_path / "work", "test")
    clip_map.run([{"clip_id": "a", "value": 3, "stamp": 1}, *jobs(1)], num_workers=1)
    clip_map.run([{"clip_id": "a", "value": -1, "stamp": 2}, *jobs(1)], num_workers=1)
    clip_map.publish(tmp_path / "out")
    assert names(tmp_path) == ["out/numbers/clip1.txt"]


def test_forgotten_work_is_gone(tmp_path: Path) -> None:
    clip_map = ClipMap(write_double, tmp_path / "work", "test")
    clip_map.run(jobs(1), num_workers=1)
    clip_map.forget()
    assert list(tmp_path.iterdir()) == []


def exhaust_memory(job: Job, folder: Path) -> Record:
    (folder / "half.mp4").write_bytes(b"half")
    if job["value"] is not None:
        np.empty(1 << 60, np.uint8)
    return {}


def test_a_clip_for_which_the_memory_does_not_suffice_is_quarantined(tmp_path: Path) -> None:
    clip_map = ClipMap(exhaust_memory, tmp_path / "work", "test")
    records = clip_map.run([*jobs("large"), {"clip_id": "good", "value": None}], num_workers=1)
    assert [record["reason"] for record in records] == [
        "out_of_memory: it takes more memory than there is for one worker",
        None,
    ]


@pytest.mark.workers
def test_a_clip_that_hangs_is_quarantined_and_the_others_go_on(tmp_path: Path) -> None:
    clip_map = ClipMap(misbehave, tmp_path / "work", "test", time_limit_s=5)
    records = clip_map.run([*jobs("hang"), {"clip_id": "good", "value": None}], num_workers=1)
    assert [record["reason"] for record in records] == ["timeout: took longer than 5 s", None]
    clip_map.publish(tmp_path / "out")
    assert names(tmp_path) == ["out/good.mp4"]


@pytest.mark.workers
@pytest.mark.parametrize("cause", ["SIGSEGV", "SIGABRT", "SIGBUS"])
def test_a_clip_that_crashes_its_process_is_quarantined(tmp_path: Path, cause: str) -> None:
    clip_map = ClipMap(misbehave, tmp_path / "work", "test")
    records = clip_map.run([*jobs(cause), {"clip_id": "good", "value": None}], num_workers=1)
    assert [record["reason"] for record in records] == [f"decoder_crashed: the process died of {cause}", None]
    clip_map.publish(tmp_path / "out")
    assert names(tmp_path) == ["out/good.mp4"]


@pytest.mark.workers
def test_a_clip_whose_process_is_killed_three_times_is_quarantined(tmp_path: Path) -> None:
    clip_map = ClipMap(misbehave, tmp_path / "work", "test")
    records = clip_map.run([*jobs("SIGKILL"), {"clip_id": "good", "value": None}], num_workers=2)
    assert [record["reason"] for record in records] == [
        "worker_killed: its worker was killed 3 times, at last with no other beside it; probably for lack of memory",
        None,
    ]
    clip_map.publish(tmp_path / "out")
    assert names(tmp_path) == ["out/good.mp4"]


@pytest.mark.workers
def test_a_clip_that_was_killed_is_done_beside_half_as_many_others(tmp_path: Path) -> None:
    clip_map = ClipMap(Crowded(tmp_path / "crowd", most=2), tmp_path / "work", "test")
    (tmp_path / "crowd").mkdir()
    records = clip_map.run(jobs(*range(6)), num_workers=4)
    assert [record["status"] for record in records] == ["ok"] * 6


@pytest.mark.workers
def test_a_process_that_ends_for_no_reason_stops_the_map_and_no_temporary_file_stays(tmp_path: Path) -> None:
    clip_map = ClipMap(misbehave, tmp_path, "test")
    with pytest.raises(
        UserError, match=r"^test: a worker process died at or near clipSIGTERM; finished clips are kept"
    ):
        clip_map.run([{"clip_id": "good", "value": None}, *jobs("SIGTERM")], num_workers=1)
    assert names(tmp_path) == ["files/good.mp4", "records.jsonl"]


@pytest.mark.workers
def test_a_process_that_cannot_begin_stops_the_map(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"^test: a worker process died at or near the start; finished clips are kept"):
        ClipMap(Unreadable(), tmp_path, "test").run(jobs(1), num_workers=1)


@pytest.mark.workers
def test_every_worker_is_handed_a_gpu_in_turn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(local, "usable_gpus", lambda: ["3", "GPU-5"])
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    (tmp_path / "meeting").mkdir()
    clip_map = ClipMap(Meeting(tmp_path / "meeting", 4), tmp_path / "work", "test")
    records = clip_map.run(jobs(*range(4)), uses_networks=True)
    assert sorted(record["gpu"] for record in records) == ["3", "3", "GPU-5", "GPU-5"]
    assert [record["gpu"] for record in clip_map.run(jobs(4), num_workers=4)] == [None]


def full(_job: Job, _folder: Path) -> Record:
    raise OSError(errno.ENOSPC, "No space left on device")


def unpacked(_job: Job, _folder: Path) -> Record:
    raise ClipError("unreadable", "the copy is cut short")


@pytest.mark.parametrize("function", [full, unpacked])
def test_a_full_disk_stops_a_map_with_a_sentence_and_blames_no_clip(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, function: Callable[[Job, Path], Record]
) -> None:
    monkeypatch.setattr(outputs.shutil, "disk_usage", lambda _: SimpleNamespace(free=0))
    said = r"^\S+: cannot be written \(No space left on device\); make room and run the same command again$"
    with without_workers(), pytest.raises(UserError, match=said):
        ClipMap(function, tmp_path, "test").run(jobs(1))


@pytest.mark.workers
def test_workers_import_what_the_work_needs_side_by_side(tmp_path: Path) -> None:
    (tmp_path / "meeting").mkdir()
    clip_map = ClipMap(Meeting(tmp_path / "meeting"), tmp_path / "work", "test")
    records = clip_map.run(jobs(1, 2), num_workers=2)
    assert [record["status"] for record in records] == ["ok", "ok"]


@pytest.mark.workers
def test_workers_share_no_memory_in_which_a_killed_one_could_leave_a_lock(tmp_path: Path) -> None:
    (record,) = ClipMap(tell_shared_memory, tmp_path, "test").run(jobs(1), num_workers=1)
    assert record["shared"] == []


@pytest.mark.workers
def test_an_error_of_the_work_says_where_it_was_raised_whatever_it_is(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match=r"Awkward\('this and that'\)") as raised:
        ClipMap(fail, tmp_path, "test").run(jobs(1), num_workers=1)
    assert 'raise Awkward("this", "that")' in str(raised.value.__cause__)


@pytest.mark.workers
@pytest.mark.parametrize(("cause", "kind"), [(signal.SIGINT, KeyboardInterrupt), (signal.SIGTERM, SystemExit)])
def test_a_signal_ends_a_map_and_another_one_does_not_disturb_its_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cause: signal.Signals, kind: type[BaseException]
) -> None:
    def send() -> None:
        wait_until(lambda: half_done(tmp_path))
        os.kill(os.getpid(), cause)

    def end(worker: pool._Worker) -> None:
        os.kill(os.getpid(), cause)
        ended(worker)

    ended = pool._Worker.end
    monkeypatch.setattr(pool._Worker, "end", end)
    before = signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    sender = threading.Thread(target=send)
    sender.start()
    try:
        with pytest.raises(kind):
            ClipMap(misbehave, tmp_path, "test").run(jobs("hang"), num_workers=1)
    finally:
        sender.join()
        signal.signal(signal.SIGTERM, before)
    assert names(tmp_path) == ["records.jsonl"]


LIMIT_S = 300
"""Half of what the clip hangs for: no measure of speed, only the end of waiting."""

SCRIPT = """
import sys
from pathlib import Path
from tests.clip_jobs import jobs, misbehave
from cmet.engine.clip_map import ClipMap

if __name__ == "__main__":
    ClipMap(misbehave, Path(sys.argv[1]), "test").run(jobs("hang"), num_workers=2)
"""


@pytest.mark.parametrize("cause", [signal.SIGINT, signal.SIGKILL])
def test_a_stopped_run_leaves_no_process(tmp_path: Path, cause: signal.Signals) -> None:
    script = tmp_path / "run.py"
    script.write_text(SCRIPT)
    root = Path(__file__).parents[2]
    environment = os.environ | {"PYTHONPATH": str(root)}
    with subprocess.Popen(
        [sys.executable, script, tmp_path / "work"], env=environment, stderr=subprocess.PIPE
    ) as process:
        try:
            wait_until(lambda: half_done(tmp_path / "work"))
            at_work = children(process.pid)
            process.send_signal(cause)
            process.wait(LIMIT_S)
            wait_until(lambda: not any(map(is_alive, at_work)))
        finally:
            # one that does not end would be waited for without end
            process.kill()
    assert len(at_work) >= 1
    assert bool(half_done(tmp_path / "work")) == (cause == signal.SIGKILL)


def half_done(work: Path) -> list[Path]:
    """What attempts at the clip that hangs have left."""
    return list(work.glob("unfinished/cliphang.*/half.mp4"))


def wait_until(is_true: object) -> None:
    end = time.monotonic() + LIMIT_S
    while not is_true():  # type: ignore[operator]
        assert time.monotonic() < end
        time.sleep(0.02)


def children(process: int) -> list[int]:
    text = Path(f"/proc/{process}/task/{process}/children").read_text()
    return [int(number) for number in text.split()]


def is_alive(process: int) -> bool:
    try:
        return "(zombie)" not in Path(f"/proc/{process}/status").read_text()
    except FileNotFoundError:
        return False
