"""What a judge says of many clips, by a map."""

from pathlib import Path

import numpy as np
import pytest

from cmet.engine.clip_map import ClipMap
from cmet.errors import ClipError, UserError
from cmet.judge.classifier import Judge
from cmet.scores.judging import judge_clips
from cmet.scores.passing import passing_map
from tests.clip_jobs import nothing
from tests.unit.conftest import Tiny


def videos(tiny: Tiny, tmp_path: Path) -> list[Path]:
    """More than a judge takes at once, and two that cannot be read."""
    (tmp_path / "text.mp4").write_text("no video", encoding="utf-8")
    good = [tiny.clips.video(clip_id) for clip_id in tiny.clips.usable["clip_id"]]
    return [*good[:9], tmp_path / "text.mp4", *good[:9], tmp_path / "none.mp4"]


def check(tiny: Tiny, paths: list[Path]) -> None:
    judge = Judge.load(tiny.judge.folder)
    found, expected = judge_clips(judge, paths, "test"), judge.classify_clips(paths)
    assert [str(answer) for answer in found if isinstance(answer, ClipError)] == [str(expected[9]), str(expected[-1])]
    for one, other in zip(found, expected, strict=True):
        assert isinstance(other, ClipError) or (isinstance(one, np.ndarray) and one.tobytes() == other.tobytes())


def test_each_clip_by_itself_gets_the_same_bits_as_among_others(tiny: Tiny, tmp_path: Path) -> None:
    check(tiny, videos(tiny, tmp_path))


@pytest.mark.workers
def test_workers_give_the_same_bits(tiny: Tiny, tmp_path: Path) -> None:
    check(tiny, videos(tiny, tmp_path))


def test_no_clip_has_no_answer_and_starts_nothing(tiny: Tiny, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(ClipMap, "run")
    assert judge_clips(Judge.load(tiny.judge.folder), [], "test") == []


def test_answers_that_are_no_numbers_stop_it(tiny: Tiny, tmp_path: Path) -> None:
    judge = Judge.load(tiny.judge.folder)
    next(judge.network.parameters()).data.fill_(np.nan)
    with pytest.raises(UserError, match="weights are damaged"):
        judge_clips(judge, videos(tiny, tmp_path), "test")


@pytest.mark.parametrize("address", ["", "local"])
def test_on_a_cluster_the_map_lies_where_all_nodes_see_it(
    address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("RAY_ADDRESS", address)
    with passing_map(nothing, "test") as clip_map:
        assert clip_map.work.is_dir()
        assert clip_map.work.is_relative_to(tmp_path / ".work") == bool(address)
    assert not clip_map.work.exists()
