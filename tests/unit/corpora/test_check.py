import json
import sys
from pathlib import Path

import pytest

from cmet.corpora import cremad, mead, meld, ravdess, table
from cmet.corpora.check import CheckReport, check_corpus, check_table
from cmet.corpora.listing import Corpus
from cmet.corpora.scan import scan
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
        "W009     0/40     0/30",
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
    pull = 'git lfs pull --include "VideoFlash/*"'
    assert f"git-lfs pointers: 4 files that stand for 1.1 MB; run in a clone of their repository `{pull}`" in text
    # none of them can be used, and those that will be, once fetched, take disk
    assert "\n1001     0/12     0/11 0/1 0/1 0/1" in text
    assert report.needed_bytes == 3 * 2 * 800_000
    assert "known defects: 1 published clips" in text


@pytest.mark.parametrize(
    ("names", "patterns"),
    [
        (["VideoFlash/1001_DFA_ANG_XX.flv", "AudioWAV/1001_DFA_ANG_XX.wav"], "data/AudioWAV/*,data/VideoFlash/*"),
        (["1001_DFA_ANG_XX.flv"], "data/*"),
        ([f"a/{n}/100{n}_DFA_ANG_XX.flv" for n in range(1, 6)] + ["b/1006_DFA_ANG_XX.flv"], "data/a/**,data/b/**"),
    ],
)
def test_the_command_that_fetches_pointers_names_their_folders(tmp_path: Path, names: list[str], patterns: str) -> None:
    (tmp_path / ".git").mkdir()
    fill(tmp_path / "data", names, pointer(SHA, 9))
    assert f'`git lfs pull --include "{patterns}"`' in check_table(check(cremad, tmp_path / "data"))


def test_an_archive_that_is_a_pointer_says_how_to_get_it(tmp_path: Path) -> None:
    fill(tmp_path, ["M003/video.tar"], pointer(SHA, 9))
    report = check(mead, tmp_path)
    assert [(p.code, p.message) for p in report.problems] == [
        (
            "lfs_pointer",
            'M003/video.tar is a git-lfs pointer to 9 bytes, not the file; run `git lfs pull --include "video.tar"`',
        )
    ]


def test_the_archive_of_sounds_of_ravdess_says_which_one_is_wanted(tmp_path: Path) -> None:
    names = [f"Actor_01/03-01-0{emotion}-01-01-01-01.wav" for emotion in range(1, 9)]
    write_zip(tmp_path / "Audio_Speech_Actors_01-24.zip", names)
    advice = (
        "these are sounds alone, as Audio_Speech_Actors_01-24.zip has them; spoken clips with picture and sound are "
        "the files 01-01-*.mp4 in Video_Speech_Actor_01.zip to _24.zip of Zenodo record 1188976; to use sounds alone, "
        "list them in a table with the column audio (corpus `table`)"
    )
    text = check_table(check(ravdess, tmp_path))
    assert text.endswith(f"\nnote: {advice}\nINCOMPLETE")
    with pytest.raises(UserError, match=r"none of its 0 clip\(s\) can be read; \{'sound_only': 8\}; these are sounds"):
        scan(ravdess, tmp_path)


@pytest.mark.parametrize(
    ("corpus", "name", "advice"),
    [
        (ravdess, "Actor_01/01-02-03-01-01-01-01.mp4", "these are songs; spoken clips with picture and sound are"),
        (ravdess, "Actor_01/02-01-03-01-01-01-01.mp4", "these are pictures without sound; spoken clips with"),
        (cremad, "AudioMP3/1001_DFA_ANG_XX.mp3", "AudioMP3 is not read; get VideoFlash and AudioWAV"),
        (
            cremad,
            "AudioWAV/1001_DFA_ANG_XX.wav",
            "these are sounds alone, as AudioWAV has them, which do for speech; for",
        ),
        (mead, "M003/audio.tar/sad/level_1/001.m4a", "these are sounds alone, as audio.tar has them, which do for"),
        (mead, "M003/down/sad/level_1/001.mp4", "these are other views; the clips are those of front, in video.tar"),
    ],
)
def test_files_of_a_corpus_that_are_no_clips_or_no_videos_say_which_are(
    tmp_path: Path, corpus: Corpus, name: str, advice: str
) -> None:
    assert f"\nnote: {advice}" in check_table(check(corpus, fill(tmp_path, [name])))


def test_sounds_alone_take_the_disk_of_sounds(tmp_path: Path) -> None:
    fill(tmp_path, ["1.wav", "2.mp4"])
    (tmp_path / "clips.csv").write_text("video,audio,speaker,emotion\n,1.wav,A,sad\n2.mp4,,A,sad\n")
    assert check(table, tmp_path).needed_bytes == 2 * (150_000 + 800_000)


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


def test_missing_rows_without_a_sentence_are_counted(tmp_path: Path) -> None:
    fill(tmp_path, ["1.mp4"])
    rows = "1.mp4,A,sad,\n2.mp4,A,sad,\n3.mp4,A,sad,\n4.mp4,A,sad,s1\n5.mp4,A,neutral,\n"
    (tmp_path / "clips.csv").write_text("video,speaker,emotion,sentence\n" + rows)
    text = check_table(check(table, tmp_path))
    assert "\n  A sad: s1, 2 without a sentence\n  A neutral: 1 without a sentence\n" in text


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
