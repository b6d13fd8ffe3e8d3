import json
import sys
from pathlib import Path

import pytest

from cmet.corpora import cremad, mead, meld, ravdess, table
from cmet.corpora.check import CheckReport, check_corpus, check_table
from cmet.corpora.listing import Corpus
from cmet.errors import UserError
from tests.conftest import Command
from tests.unit.corpora.trees import HTML, fill, pointer, touch, write_tar, write_zip

SHA = "4d7a214614ab2935c943f9e0ff69d22eadbb8f32b1258daaa5e2ca24d17e2393"


def check(corpus: Corpus, root: Path) -> CheckReport:
    return check_corpus(corpus, root, root)


def codes(report: CheckReport) -> list[str]:
    return [problem.code for problem in report.problems]


@pytest.fixture
def damaged_mead(tmp_path: Path) -> Path:
    """M003 without three clips; W009 with every kind of damage; M019 is a web page, M030 is cut."""
    folder = "M003/front"
    names = [f"{folder}/neutral/level_1/{n:03d}.mp4" for n in range(1, 41)]
    for emotion in mead.TARGET_EMOTIONS:
        names += [f"{folder}/{emotion}/level_{level}/{n:03d}.mp4" for level in mead.LEVELS for n in range(1, 31)]
    gone = {f"{folder}/sad/level_2/{n}.mp4" for n in ("004", "005", "030")}
    fill(tmp_path, [name for name in names if name not in gone])
    touch(tmp_path, "W009/front/sad/level_1/001.mp4")
    fill(tmp_path, ["W009/front/sad/level_1/002.mp4"], HTML)
    fill(tmp_path, ["W009/front/sad/level_1/003.mp4"], pointer(SHA, 201_958))
    fill(tmp_path, ["W009/front/sad/level_1/4.mp4", "W009/front/bored/level_1/005.mp4"])
    fill(tmp_path, ["M019/video.tar"], HTML)
    tar = write_tar(tmp_path / "M030/video.tar", [f"front/sad/level_3/00{n}.mp4" for n in range(1, 9)], bytes(9000))
    with tar.open("r+b") as file:
        file.truncate(25_000)
    return tmp_path


def test_everything_that_is_wrong_is_reported_at_once(damaged_mead: Path) -> None:
    report = check(mead, damaged_mead)
    assert not report.is_complete
    assert (report.num_expected, report.num_found) == (31_490, 667 + 3 + 2)
    assert report.num_usable == 667 + 2
    assert codes(report) == ["bad_name", "bad_name", "html_page", "html_page", "truncated_archive", "zero_bytes"]
    assert [(p.path, p.sha256, p.num_bytes) for p in report.pointers] == [
        ("W009/front/sad/level_1/003.mp4", SHA, 201_958)
    ]
    missing = [part for part in report.missing if part.speaker == "M003"]
    assert [(part.emotion, part.intensity, part.sentences) for part in missing] == [("sad", 2, ["004", "005", "030"])]


def test_the_table_for_people_names_each_thing(damaged_mead: Path) -> None:
    text = check_table(check(mead, damaged_mead))
    for part in (
        "M003     40       30 30 30",
        "30 27/30 30",
        "speakers without clips: 44 (M005",
        "clips: 672 of 31490 expected, 669 of them look usable",
        "M003 sad level 2: 004-005, 030",
        "html_page: 2",
        "video.tar is a web page",
        "zero_bytes: 1",
        "truncated_archive: 1\n  M030/video.tar: cut short inside front/sad/level_3/003.mp4",
        f"003.mp4: 201958 bytes, sha256 {SHA}",
        "disk: preparing takes about",
        "INCOMPLETE",
    ):
        assert part in text


def test_a_complete_corpus_is_complete(tmp_path: Path) -> None:
    names = [f"Actor_{clip.speaker}/{_ravdess_name(clip.clip_id)}" for clip in ravdess.expected(tmp_path)]
    write_zip(tmp_path / "Video_Speech.zip", names)
    report = check(ravdess, tmp_path)
    assert report.is_complete
    assert report.num_usable == report.num_expected == 1440
    assert check_table(report).endswith("\ncomplete")


def _ravdess_name(clip_id: str) -> str:
    _, actor, emotion, intensity, statement, repetition = clip_id.split("-")
    code = {word: number for number, word in ravdess.EMOTIONS.items()}[emotion]
    return f"01-01-{code}-0{intensity}-{statement}-{repetition}-{actor}.mp4"


def test_a_download_of_pointers_is_recognised(tmp_path: Path) -> None:
    stems = ["1076_MTI_SAD_XX", "1001_DFA_ANG_XX", "1037_WSI_DIS_XX", "1005_IWW_DIS_XX"]
    fill(tmp_path, [f"VideoFlash/{stem}.flv" for stem in stems], pointer(SHA, 265_922))
    fill(tmp_path, ["AudioWAV/1037_WSI_DIS_XX.wav"], b"RIFF" + bytes(100))
    report = check(cremad, tmp_path)
    assert len(report.pointers) == 4
    assert report.num_usable == 0
    assert list(report.known_defects) == ["cremad-1076-MTI-SAD-XX"]
    assert report.sound_from_elsewhere == ["cremad-1037-WSI-DIS-XX"]
    assert codes(report) == ["maybe_no_sound"]
    text = check_table(report)
    assert "git-lfs pointers: 4 files that stand for 1.1 MB; run `git lfs pull`" in text
    assert "known defects: 1 published clips" in text


def test_numbers_of_a_map_are_counted(tmp_path: Path) -> None:
    fill(tmp_path, ["M003/front/sad/level_1/001.mp4", "M003/front/sad/level_1/002.mp4"])
    (tmp_path / "numbering.csv").write_text(
        "speaker,emotion,intensity,number,sentence,numbering\nM003,sad,1,001,,author\nM003,sad,1,002,003,author\n"
    )
    report = check(mead, tmp_path)
    assert report.num_renumbered == 1
    assert codes(report) == ["off_script"]


@pytest.mark.parametrize("corpus", [mead, cremad, ravdess])
def test_a_folder_of_holiday_videos_is_not_this_corpus(tmp_path: Path, corpus: Corpus) -> None:
    fill(tmp_path, ["holiday.mp4"])
    with pytest.raises(UserError, match=f"not a {corpus.NAME} corpus: no file name fits; first holiday.mp4"):
        check(corpus, tmp_path)


@pytest.mark.parametrize("corpus", [meld, table])
def test_a_folder_without_its_tables_is_not_this_corpus(tmp_path: Path, corpus: Corpus) -> None:
    with pytest.raises(UserError, match="clips.csv|train_sent_emo.csv"):
        check(corpus, fill(tmp_path, ["holiday.mp4"]))


def test_a_table_with_all_its_files_is_complete(tmp_path: Path) -> None:
    fill(tmp_path, ["1.mp4", "2.mp4"])
    (tmp_path / "clips.csv").write_text("video,speaker,emotion\n1.mp4,A,sad\n2.mp4,A,neutral\n")
    report = check(table, tmp_path)
    assert report.is_complete
    assert [(cell.emotion, cell.num_found, cell.num_expected) for cell in report.cells] == [
        ("neutral", 1, 1),
        ("sad", 1, 1),
    ]


def test_exit_codes_tell_complete_incomplete_and_other_apart(
    cmet: Command, damaged_mead: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    result = cmet("corpus", "check", "mead", damaged_mead, "--json")
    assert result.returncode == 1
    assert json.loads(result.stdout)["is_complete"] is False
    assert json.loads(result.stdout)["num_found"] == 672
    assert cmet("corpus", "check", "cremad", damaged_mead).returncode == 2
    folder = tmp_path_factory.mktemp("table")
    fill(folder, ["1.mp4"])
    (folder / "clips.csv").write_text("video,speaker,emotion\n1.mp4,A,sad\n")
    assert cmet("corpus", "check", "table", folder).returncode == 0


def test_a_speaker_with_another_view_only_is_no_crash_and_no_problem(tmp_path: Path) -> None:
    fill(tmp_path, ["M003/front/sad/level_1/001.mp4", "W017/down/sad/level_1/001.mp4"])
    report = check(mead, tmp_path)
    assert report.not_wanted == {"other_view": 1}
    assert not report.problems


def test_every_missing_clip_is_listed_when_asked(tmp_path: Path) -> None:
    fill(tmp_path, ["M003/front/sad/level_1/001.mp4"])
    text = check_table(check(mead, tmp_path), sys.maxsize)
    assert "M003 sad level 1: 002-030" in text
    assert "M003 surprised level 3: 001-030" in text
    assert "more" not in text


def test_what_cannot_be_opened_is_a_problem_and_not_the_end(tmp_path: Path) -> None:
    fill(tmp_path, ["M003/front/sad/level_1/001.mp4"])
    (tmp_path / "M003/front/sad/level_1/002.mp4").symlink_to(tmp_path / "nowhere")
    assert codes(check(mead, tmp_path)) == ["unreadable_file"]


def test_pointers_and_pages_inside_archives_and_after_a_byte_order_mark_are_seen(tmp_path: Path) -> None:
    write_tar(tmp_path / "M003/video_1.tar", ["front/sad/level_1/001.mp4"], pointer(SHA, 7))
    write_tar(tmp_path / "M003/video_2.tar", ["front/sad/level_1/002.mp4"], b"\xef\xbb\xbf <!-- x --><html>")
    fill(tmp_path, ["M003/front/sad/level_1/003.mp4"], b'{"error": {"code": 403}}')
    report = check(mead, tmp_path)
    assert [p.path for p in report.pointers] == ["M003/video_1.tar/front/sad/level_1/001.mp4"]
    assert codes(report) == ["html_page", "html_page"]
    assert report.num_usable == 0


def test_what_a_name_should_be_is_said_once(tmp_path: Path) -> None:
    fill(tmp_path, ["M003/front/sad/level_1/001.mp4", "M003/front/x.mp4", "M003/front/y.mp4"])
    text = check_table(check(mead, tmp_path))
    assert text.count("expected <ID>/front") == 1
    assert "\n  M003/front/y.mp4\n" in text
