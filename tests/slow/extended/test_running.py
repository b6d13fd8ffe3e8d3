import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from typer import Typer
from typer.testing import CliRunner

from cmet.commands.extended import ManyExtended, extended
from cmet.editing.editor import Editor
from cmet.errors import UserError
from cmet.extended.faces import ListeningEditor
from cmet.extended.request import Request
from cmet.extended.running import write_extended
from cmet.extended.table import found, of_emotions
from cmet.media.video import VideoFile, read_video, write_video
from tests.unit.extended.conftest import Write, direction


@pytest.fixture
def request_(speech: dict[str, Path]) -> Request:
    return Request([speech["root"]], [speech["calm"]], basic=speech["basic"], is_quiet=True)


def test_speech_alone_makes_a_table_and_a_page_that_says_so(request_: Request, tmp_path: Path) -> None:
    report = write_extended(request_, tmp_path / "out")
    assert (report.space, report.num_clips, report.num_edits, report.num_left_out) == ("emotion2vec", 8, 0, 0)
    table = pd.read_parquet(tmp_path / "out/extended.parquet")
    rows = of_emotions(table, "speech", "extended")
    nearest = [found(rows, emotion, "nearest") for emotion in ("charismatic", "envious")]
    assert [one.answer for one in nearest if one is not None] == ["happy", "disgusted"]
    strength = found(rows, "charismatic", "strength")
    assert strength is not None and strength.value == pytest.approx(2, abs=0.3) and strength.n == 4
    assert len(table[(table.measure == "nearest") & (table.emotion == "envious") & table["clip"].notna()]) == 4
    page = (tmp_path / "out/index.html").read_text()
    assert "ground truth: none" in page and "No edited clips: no model was named (--model)" in page
    assert "charismatic, envious: it is not known whether the neutral speech is by the same voices" in page
    assert "accuracy" not in page.lower() and "<video" not in page
    assert json.loads((tmp_path / "out/labels.json").read_text())["ground truth"] == "none"


def test_the_page_needs_no_other_file_and_comes_out_the_same_again(request_: Request, tmp_path: Path) -> None:
    for name in ("one", "two"):
        write_extended(request_, tmp_path / name)
    page = (tmp_path / "one/index.html").read_text()
    assert not re.search(r'(src|href)="(?!data:|#)', page) and "url(" not in page.replace("url(#", "")
    for file in ("index.html", "extended.parquet", "labels.json"):
        assert (tmp_path / "one" / file).read_bytes() == (tmp_path / "two" / file).read_bytes()


def test_labels_may_be_anything(request_: Request, tmp_path: Path, write_vectors: Write) -> None:
    odd = write_vectors(tmp_path / "odd" / "$a^2_<b>&$", direction("sad"))
    write_extended(replace(request_, folders=[odd]), tmp_path / "out")
    page = (tmp_path / "out/index.html").read_text()
    assert "$a^2_&lt;b&gt;&amp;$" in page and "<b>&" not in page


def test_a_bad_vector_is_left_out_counted_and_named(request_: Request, speech: dict[str, Path], tmp_path: Path) -> None:
    np.save(speech["envious"] / "bad.npy", np.full(1024, np.nan))
    report = write_extended(request_, tmp_path / "out")
    assert report.num_left_out == 1 and report.num_clips == 8
    [row] = report.table[report.table.part == "files"].itertuples()
    assert row.emotion == "envious" and row.clip.endswith("bad.npy") and "1024 value(s) are not finite" in row.reason
    assert "bad.npy" in (tmp_path / "out/index.html").read_text()


def test_clips_that_are_compared_with_themselves_are_told(
    request_: Request, speech: dict[str, Path], tmp_path: Path
) -> None:
    write_extended(replace(request_, folders=[speech["basic"] / "happy"]), tmp_path / "out")
    page = (tmp_path / "out/index.html").read_text()
    assert "8 extended clip(s) are also among the neutral or basic ones" in page


def test_voices_of_others_are_told(request_: Request, speech: dict[str, Path], tmp_path: Path) -> None:
    for folder, speaker in ((speech["envious"], "anna"), (speech["calm"], "ben")):
        (folder / speaker).mkdir()
        for file in folder.glob("*.npy"):
            file.rename(folder / speaker / file.name)
    write_extended(replace(request_, folders=[speech["envious"], speech["charismatic"]]), tmp_path / "out")
    page = (tmp_path / "out/index.html").read_text()
    assert "envious: some or all of the neutral speech is by other voices" in page
    assert "charismatic: it is not known whether" in page


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"videos": [Path("v.mp4")]}, "--video: editing a video needs a model; name one with --model"),
        ({"neutral_speech": []}, "--neutral-speech: no calm recordings"),
        ({"neutral_speech": [Path("nowhere")]}, "--neutral-speech nowhere: no such file or folder"),
        ({"basic": Path("nowhere")}, "--basic nowhere: no such file or folder"),
    ],
)
def test_what_cannot_be_is_told_and_nothing_is_written(
    request_: Request, tmp_path: Path, change: dict[str, object], said: str
) -> None:
    with pytest.raises(UserError, match=said):
        write_extended(replace(request_, **change), tmp_path / "out")  # type: ignore[arg-type]
    assert not (tmp_path / "out").exists()


def test_neutral_speech_that_cannot_be_heard_is_told_and_the_older_result_stays(
    request_: Request, speech: dict[str, Path], tmp_path: Path
) -> None:
    out = tmp_path / "out"
    write_extended(request_, out)
    before = (out / "index.html").read_bytes()
    for file in speech["calm"].iterdir():
        file.write_text("hello")
    with pytest.raises(
        UserError, match=r"neutral speech: none of 4 recording\(s\) can be used; first: .*not a numpy array"
    ):
        write_extended(request_, out)
    assert (out / "index.html").read_bytes() == before
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []


def test_a_folder_of_something_else_is_not_written_over(
    request_: Request, speech: dict[str, Path], tmp_path: Path
) -> None:
    with pytest.raises(UserError, match="lies in this folder, which would be replaced"):
        write_extended(request_, tmp_path)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/letter.txt").touch()
    with pytest.raises(UserError, match="mine: holds something other than a result of this command"):
        write_extended(request_, tmp_path / "mine")
    with pytest.raises(UserError, match="is a file; name a folder"):
        write_extended(request_, tmp_path / "mine/letter.txt")


def test_the_command_takes_several_folders_and_prints_the_table(speech: dict[str, Path], tmp_path: Path) -> None:
    app = Typer()
    app.command(cls=ManyExtended)(extended)
    given = [
        speech["charismatic"], speech["envious"], "--neutral-speech", speech["calm"], speech["basic"] / "neutral",
        "--basic", speech["basic"], "--out", tmp_path / "out", "--quiet",
    ]  # fmt: skip
    result = CliRunner().invoke(app, [str(arg) for arg in given])
    assert result.exit_code == 0, result.output
    assert re.search(r"charismatic +4 +happy \(0\.\d\d\) +4/4", result.output)
    assert "8 clips of speech (emotion2vec), 0 edited video(s), 0 file(s) left out; ground truth: none" in result.output


def test_opensmile_is_scaled_by_what_is_there(sounds: dict[str, Path], tmp_path: Path) -> None:
    request = Request([sounds["charismatic"], sounds["envious"]], [sounds["calm"]], is_quiet=True)
    report = write_extended(request, tmp_path / "out")
    labels = json.loads((tmp_path / "out/labels.json").read_text())
    assert report.space == "opensmile" and labels["basic speech"] == "none"
    assert labels["scaling"] == "each feature by its spread over the 6 clips of neutral and extended speech"
    rows = of_emotions(report.table, "speech", "extended")
    consistency = found(rows, "envious", "consistency")
    assert consistency is not None and -1 <= consistency.value <= 1 and np.isnan(consistency.low)


def test_an_editor_that_listens_predicts_the_same(editor: Editor) -> None:
    listening = ListeningEditor.around(editor)
    codes = np.random.default_rng(0).normal(size=(12, 6)).astype(np.float32)
    delta_S = np.ones(88, np.float32)
    np.testing.assert_array_equal(listening.predict_delta(codes, 25, delta_S), editor.predict_delta(codes, 25, delta_S))
    np.testing.assert_array_equal(listening.predicted[0], editor.predict_delta(codes, 25, delta_S))


def test_real_videos_are_edited_shown_and_a_bad_one_is_left_out(
    real: Path, tmp_path: Path, editor: Editor, sounds: dict[str, Path]
) -> None:
    source = real / "MEAD/FPS25/W009/front/neutral/level_1/038.mp4"
    for name, start in (("one", 0), ("two", 40)):
        (tmp_path / name).mkdir()
        write_video(
            tmp_path / name / "v.mp4", read_video(source, range(start, start + 12)).frames, 25, sounds["calm"] / "0.wav"
        )
    write_video(tmp_path / "wall.mp4", np.full((12, 128, 128, 3), 90, np.uint8), 25)
    videos = [tmp_path / "one/v.mp4", tmp_path / "two/v.mp4", tmp_path / "wall.mp4"]
    request = Request([sounds["charismatic"], sounds["envious"]], [sounds["calm"]], videos, editor, is_quiet=True)
    report = write_extended(request, tmp_path / "out")
    clips = sorted(
        path.relative_to(tmp_path / "out/clips").as_posix() for path in (tmp_path / "out/clips").rglob("*.mp4")
    )
    assert clips == ["v-2/charismatic.mp4", "v-2/envious.mp4", "v/charismatic.mp4", "v/envious.mp4"]
    assert len(VideoFile(tmp_path / "out/clips/v/envious.mp4")) == 12
    face = of_emotions(report.table, "face", "extended")
    strength, consistency = (found(face, "envious", measure) for measure in ("strength", "consistency"))
    assert strength is not None and strength.n == 2 and strength.value > 0
    assert consistency is not None and consistency.n == 2 and -1 <= consistency.value <= 1
    page = (tmp_path / "out/index.html").read_text()
    assert page.count("<video") == 2 and "data:video/mp4;base64," in page
    assert "This model does not state its typical changes" in page
    assert report.num_left_out == 1 and "no face found" in page and report.num_edits == 4
    with pytest.raises(UserError, match=r"none of 1 video\(s\) can be edited; first: .*wall.mp4.*no face found"):
        write_extended(replace(request, videos=videos[2:]), tmp_path / "other")


def test_the_published_speech_points_where_the_paper_saw_it(real: Path, tmp_path: Path) -> None:
    mead = real / "MEAD/FPS25"
    report = write_extended(Request([real / "extended"], [mead], basic=mead, is_quiet=True), tmp_path / "out")
    rows = of_emotions(report.table, "speech", "extended")
    answers = rows[rows.measure == "nearest"].set_index("emotion").answer.to_dict()
    assert answers == {
        "charismatic": "happy", "desirous": "sad", "empathetic": "sad", "envious": "disgusted", "romantic": "sad",
        "sarcastic": "happy",
    }  # fmt: skip
