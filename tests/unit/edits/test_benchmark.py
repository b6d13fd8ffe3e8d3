import csv
from collections import Counter
from pathlib import Path

import pytest

from cmet.edits.benchmark import write_benchmark
from cmet.errors import UserError

GOLDEN = Path(__file__).parents[2] / "golden"


@pytest.mark.parametrize(
    ("name", "num_rows", "num_bytes", "num_sources"), [("mead", 1143, 144_411, 56), ("cremad", 1546, 160_852, 523)]
)
def test_the_official_manifest_comes_back(
    tmp_path: Path, name: str, num_rows: int, num_bytes: int, num_sources: int
) -> None:
    out = tmp_path / "manifest.csv"
    assert write_benchmark(name, out) == num_rows
    assert out.stat().st_size == num_bytes
    head = (GOLDEN / f"{name}_test_manifest_head.csv").read_bytes()
    assert out.read_bytes().startswith(head)
    with out.open(encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    assert len({row["source_video_path"] for row in rows}) == num_sources
    assert len({row["gt_video_path"] for row in rows}) == num_rows


@pytest.mark.parametrize(
    ("name", "emotions", "levels"),
    [
        (
            "mead",
            {"happy": 168, "contempt": 166, "sad": 165, "surprised": 165, "disgusted": 161, "angry": 159, "fear": 159},
            {"level_1": 385, "level_2": 379, "level_3": 379},
        ),
        (
            "cremad",
            {"FEA": 329, "ANG": 309, "HAP": 308, "SAD": 308, "DIS": 292},
            {"XX": 1233, "LO": 109, "HI": 105, "MD": 99},
        ),
    ],
)
def test_the_counts_are_the_papers(tmp_path: Path, name: str, emotions: dict, levels: dict) -> None:
    write_benchmark(name, tmp_path / "manifest.csv")
    with (tmp_path / "manifest.csv").open(encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    assert Counter(row["gt_emotion"] for row in rows) == emotions
    assert Counter(row["intensity"] for row in rows) == levels


def test_a_folder_in_the_place_of_the_file_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"this is a folder; name the CSV file to write, for example .*/mead\.csv"):
        write_benchmark("mead", tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_an_unknown_benchmark_is_named_with_the_known(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="unknown benchmark 'ravdess'; known are mead, cremad"):
        write_benchmark("ravdess", tmp_path / "x.csv")
