import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from cmet import cli
from cmet.commands.edit import (
    ManyValues,
    edit,
    followed,
    parsed_emotion,
    parsed_strength,
    told,
    told_of_compiler,
    wanted_emotions,
    wanted_timeline,
)
from cmet.editing.choice import ModelChoice
from cmet.editing.notes import edit_notes
from cmet.editing.reports import EditReport, EmotionReport
from cmet.editing.wishes.options import NamedEmotion, Share
from cmet.editing.wishes.timeline import Segment
from cmet.errors import UserError
from cmet.params import Params
from cmet.project import Project
from tests.conftest import Command

ROOT = Path(__file__).parents[2]


def started(*args: object, cwd: Path = ROOT) -> subprocess.CompletedProcess[str]:
    """A process of its own, as a person starts it; most of the tests take the fixture `cmet`."""
    command = [sys.executable, "-m", "cmet", *map(str, args)]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)


@pytest.mark.parametrize(
    ("args", "repeated"),
    [
        ("v.mp4 --speech a b --out o", "v.mp4 --speech a --speech b --out o"),
        (
            "--speech a --neutral-speech b c --out o v.mp4",
            "--speech a --neutral-speech b --neutral-speech c --out o v.mp4",
        ),
        ("v.mp4 --out o --speech a --speech b", "v.mp4 --out o --speech a --speech b"),
        ("v.mp4 --speech=a b --out=o", "v.mp4 --speech a --speech b --out=o"),
        ("--speech a b --then c d --then e --out o", "--speech a --speech b --then c\0d --then e --out o"),
        ("--then=c d --then neutral v.mp4", "--then c\0d --then neutral\0v.mp4"),
    ],
)
def test_a_list_option_takes_all_values_up_to_the_next_option(args: str, repeated: str) -> None:
    assert ManyValues(name="edit")._repeated(args.split()) == repeated.split()


@pytest.mark.parametrize("args", ["--then --out o", "--then a --then", "--speech --then a"])
def test_a_list_option_without_a_value_is_refused(args: str) -> None:
    with pytest.raises(UserError, match="^--(then|speech): expected at least one value"):
        ManyValues(name="edit")._repeated(args.split())


def test_an_emotion_is_recordings_or_the_word_neutral() -> None:
    assert parsed_emotion("--then", ["a", "b c.wav"]) == (Path("a"), Path("b c.wav"))
    assert parsed_emotion("--then", ["neutral"]) == "neutral"
    assert parsed_emotion("--then", ["./neutral", "neutral/sub"]) == (Path("neutral"), Path("neutral/sub"))
    with pytest.raises(
        UserError, match="^--then: the word neutral cannot stand beside .* write ./neutral for a folder"
    ):
        parsed_emotion("--then", ["a.wav", "neutral"])
    with pytest.raises(UserError, match="^--speech: a name is empty"):
        parsed_emotion("--speech", ["a.wav", ""])


def assert_one_message(result: subprocess.CompletedProcess[str], *said: str) -> None:
    assert result.returncode == 2, result.stderr
    assert "Traceback" not in result.stderr
    for part in said:
        assert part in result.stderr


def test_a_misspelt_key_is_one_message_and_exit_code_2(tmp_path: Path) -> None:
    text = (ROOT / "params.yaml").read_text().replace("num_steps:", "numsteps:")
    (tmp_path / "params.yaml").write_text(text)
    result = started("manifest", cwd=tmp_path)
    assert_one_message(
        result, "train.numsteps: Extra inputs are not permitted (got 900)", "train.num_steps: Field required\n"
    )


@pytest.mark.parametrize(
    ("content", "said"),
    [(None, "no such folder"), ([], "no video or sound file"), (["notes/a.mp4"], "not a mead corpus")],
)
def test_a_root_that_is_no_corpus_is_one_message(
    cmet: Command, tmp_path: Path, content: list[str] | None, said: str
) -> None:
    root = tmp_path / "corpus"
    for name in content or []:
        (root / name).parent.mkdir(parents=True)
        (root / name).write_text("hello")
    if content is not None:
        root.mkdir(exist_ok=True)
    text = (ROOT / "params.yaml").read_text()
    text = text.replace("corpus: sample", "corpus: mead").replace("data/sample/corpus", str(root))
    (tmp_path / "params.yaml").write_text(text)
    assert_one_message(cmet("manifest", cwd=tmp_path), said)
    assert not (tmp_path / "data/manifest").exists()


def test_a_stage_whose_input_is_missing_says_what_to_run(cmet: Command, tmp_path: Path) -> None:
    (tmp_path / "params.yaml").write_bytes((ROOT / "params.yaml").read_bytes())
    assert_one_message(cmet("clips", cwd=tmp_path), "data/manifest/manifest.parquet", "dvc repro manifest")


def test_directions_without_the_speech_of_an_encoder_says_what_to_run(
    cmet: Command, tmp_path: Path, params: Params
) -> None:
    (tmp_path / "params.yaml").write_bytes((ROOT / "params.yaml").read_bytes())
    folder = Project.at(tmp_path / "params.yaml").places.folder("clips")
    folder.mkdir(parents=True)
    pd.DataFrame({"clip_id": ["a"]}).to_parquet(folder / "clips.parquet")
    encoder = params.speech_encoders[0]
    said = f"data/speech/{encoder}/embeddings.parquet: not there yet; run `dvc repro speech@{encoder}`"
    assert_one_message(cmet("directions", cwd=tmp_path), said)


def test_a_stage_that_is_running_is_not_run_twice(cmet: Command, tmp_path: Path) -> None:
    (tmp_path / "params.yaml").write_bytes((ROOT / "params.yaml").read_bytes())
    with Project.at(tmp_path / "params.yaml").places.only_run("clips"):
        said = f"clips: another run of this stage is at work (pid {os.getpid()}); wait for it or stop it"
        assert_one_message(started("clips", cwd=tmp_path), said)
        assert_one_message(cmet("manifest", cwd=tmp_path), "data/sample/corpus")
    assert not list((tmp_path / ".work").iterdir())


ENDLESS = """
import sys, time
from pathlib import Path
from cmet import cli
from cmet.outputs import fresh_file

def work(*_):
    with fresh_file(Path("made/out.txt")) as unfinished:
        unfinished.touch()
        print("at work", flush=True)
        time.sleep(600)

cli.run_stage = work
sys.argv = ["cmet", "manifest", "--params", "params.yaml"]
cli.main()
"""


def test_a_run_that_is_told_to_end_leaves_nothing_unfinished(tmp_path: Path) -> None:
    (tmp_path / "params.yaml").write_bytes((ROOT / "params.yaml").read_bytes())
    command = [sys.executable, "-c", ENDLESS]
    with subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "at work\n"
        process.terminate()
        assert process.wait(60) == 143
    assert [path.name for path in tmp_path.iterdir()] == ["params.yaml"]


@pytest.mark.parametrize(
    ("command", "said"),
    [("manifest", "run the same command again to continue"), ("edit", "nothing was written")],
)
def test_ctrl_c_tells_whether_work_is_kept(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], command: str, said: str
) -> None:
    def interrupted() -> None:
        sys.exit(130)

    monkeypatch.setattr(cli, "silence_native_logs", lambda: None)
    monkeypatch.setattr(cli, "end_soon_after_signals", lambda: None)
    monkeypatch.setattr(cli, "app", interrupted)
    monkeypatch.setattr(sys, "argv", ["cmet", command])
    with pytest.raises(SystemExit):
        cli.main()
    assert capsys.readouterr().err == f"cmet: interrupted; {said}\n"


INTERRUPTED = """
import os, signal, sys, tomllib
from importlib import import_module
from pathlib import Path

class Interrupting:
    def find_spec(self, name, *_):
        if name == "cmet.commands.edit":
            os.kill(os.getpid(), signal.SIGINT)

module, function = tomllib.loads(Path("pyproject.toml").read_text())["project"]["scripts"]["cmet"].split(":")
sys.meta_path.insert(0, Interrupting())
getattr(import_module(module), function)()
"""


def test_ctrl_c_while_modules_are_imported_is_one_line() -> None:
    command = [sys.executable, "-c", INTERRUPTED]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert (result.returncode, result.stderr) == (130, "cmet: interrupted\n")


@pytest.mark.parametrize("out", ["file", "file/below"])
@pytest.mark.parametrize("command", [["unseen", "happy"], ["sweep", "full.yaml", "--seeds", "1"]])
def test_a_file_in_place_of_the_folder_of_results_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: list[str], out: str
) -> None:
    (tmp_path / "params.yaml").write_bytes((ROOT / "params.yaml").read_bytes())
    (tmp_path / "full.yaml").write_bytes((ROOT / "experiments/ablations/full.yaml").read_bytes())
    (tmp_path / "file").touch()
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match=f"^--out {out}: file is a file; name a folder$"):
        cli.app([*command, "--out", out], standalone_mode=False)


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (KeyboardInterrupt(), 130, "cmet: interrupted; run the same command again to continue\n"),
        (RuntimeError("a fault of ours"), 70, "RuntimeError: a fault of ours\n"),
        (UserError("a fault of yours"), 2, "cmet: a fault of yours\n"),
        (OSError(28, "No space left on device", "a.db"), 2, "cmet: a.db: cannot be written (No space left on device)"),
        (None, 2, "No such option: --no-such-option"),
    ],
)
def test_how_a_run_ends_is_told_by_a_sentence_and_the_exit_code(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    error: BaseException | None,
    code: int,
    said: str,
) -> None:
    def end(*_: object) -> None:
        assert error is not None
        raise error

    monkeypatch.setattr(cli, "run_stage", end)
    # it would take the file descriptor of the tests
    monkeypatch.setattr(cli, "silence_native_logs", lambda: None)
    monkeypatch.setattr(cli, "end_soon_after_signals", lambda: None)
    more = [] if error else ["--no-such-option"]
    monkeypatch.setattr(sys, "argv", ["cmet", "manifest", "--params", str(ROOT / "params.yaml"), *more])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert ended.value.code == code
    assert said in capsys.readouterr().err


def test_an_unknown_backbone_is_named_with_the_known(cmet: Command, tmp_path: Path) -> None:
    (tmp_path / "params.yaml").write_bytes((ROOT / "params.yaml").read_bytes())
    assert_one_message(
        cmet("train", "--backbone", "edtalk", cwd=tmp_path), "'edtalk' is not one of backbones", "facemesh"
    )


def test_a_stage_keeps_what_torch_compiles_in_the_project(
    cmet: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "params.yaml").write_bytes((ROOT / "params.yaml").read_bytes())
    monkeypatch.delenv("TORCHINDUCTOR_CACHE_DIR")
    cmet("train", "--backbone", "facemesh", cwd=tmp_path)
    assert os.environ["TORCHINDUCTOR_CACHE_DIR"] == str(tmp_path / ".work/compiled")


def test_an_edit_without_a_model_gets_as_far_as_the_video(cmet: Command, tmp_path: Path) -> None:
    (tmp_path / "v.mp4").write_bytes(b"no video")
    result = cmet("edit", "v.mp4", "--emotion", "happy", "--out", "o.mp4", cwd=tmp_path)
    assert_one_message(result, "v.mp4", "cannot be decoded")
    (tmp_path / "model").mkdir()
    result = cmet("edit", "v.mp4", "--emotion", "happy", "--model", "model", "--out", "o.mp4", cwd=tmp_path)
    assert_one_message(result, "no trained model", "connector.safetensors")


def test_emotions_are_all_heard_or_all_told() -> None:
    happy, sad = NamedEmotion("happy"), NamedEmotion("sad")
    assert wanted_emotions("happy", None, None, None) == (happy, ())
    assert wanted_emotions("neutral", None, None, ["sad", "neutral"]) == ("neutral", (sad, "neutral"))
    # beside recordings, a name is a path
    assert wanted_emotions(None, ["happy"], [Path("b")], ["sad"]) == ((Path("happy"),), ((Path("sad"),),))


@pytest.mark.parametrize(
    ("emotion", "speech", "calm", "then", "said"),
    [
        (None, None, None, None, "name the emotion: --speech with --neutral-speech, or --emotion"),
        ("happy", ["a"], [Path("b")], None, "--emotion happy takes .*; leave out --speech and --neutral-speech"),
        ("happy", None, [Path("b")], None, "--emotion happy takes the place of recordings; leave out --neutral-speech"),
        ("happy", None, None, ["sad\0b.wav"], "--then sad b.wav: beside --emotion it takes the name of one emotion"),
        ("", None, None, None, "--emotion: the name is empty"),
        ("happy", None, None, [""], "--then: the name is empty"),
    ],
)
def test_emotions_that_are_heard_and_told_are_refused(
    emotion: str | None, speech: list[str] | None, calm: list[Path] | None, then: list[str] | None, said: str
) -> None:
    with pytest.raises(UserError, match=f"^{said}"):
        wanted_emotions(emotion, speech, calm, then)


def test_a_name_may_be_a_blend() -> None:
    blend = (Share(NamedEmotion("happy"), 0.5), Share(NamedEmotion("sad"), 0.4))
    assert wanted_emotions("0.5 happy + 0.4 sad", None, None, ["1 sad"]) == (blend, (NamedEmotion("sad"),))
    with pytest.raises(UserError, match="^--then: a weight of 2: expected one above 0, up to 1"):
        wanted_emotions("happy", None, None, ["2 sad"])


def test_times_on_the_command_line_mean_the_same_as_in_a_table(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("start,emotion,speech\n0,happy,\n4,,/a.wav\n0:06.5,0.5 sad + 0.4 happy,\n")
    at = ["0:06.5\0" + "0.5\0sad\0+\0" + "0.4 happy", "4s\0/a.wav"]
    timed = wanted_timeline(None, at, "happy", None, None)
    assert timed == wanted_timeline(tmp_path / "t.csv", None, None, None, None)
    assert [one.where for one in timed.segments] == ["--emotion", "--at 4s", "--at 0:06.5"]


def test_before_the_first_time_comes_no_change_or_speech() -> None:
    (later,) = wanted_timeline(None, ["1.5\0happy"], None, None, None).segments
    assert (later.start_s, later.end_s) == (1.5, None)
    first, _ = wanted_timeline(None, ["4\0neutral"], None, ["a.wav", "b"], None).segments
    assert first == Segment(0, None, (Share((Path("a.wav"), Path("b"))),))


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"at": ["1x\0happy"]}, "--at 1x: '1x' is no time; write seconds"),
        ({"at": ["4"]}, "--at 4: name what is shown from then on"),
        ({"at": ["4\0"]}, "--at 4: '': an emotion is missing"),
        ({"at": ["4\0happy", "4\0sad"]}, r"--at 4: starts at 4 s, not after --at 4 \(4 s\)"),
        ({"at": ["0\0happy"], "emotion": "sad"}, "--at 0: starts at 0 s, not after --emotion|--emotion: starts at 0 s"),
        ({"at": ["1\0happy"], "then": ["sad"]}, "--at and --then both name what follows; leave one of them out"),
        ({"table": Path("t.csv"), "at": ["1\0happy"]}, "--timeline t.csv names all emotions; leave out --at"),
        ({"table": Path("t.csv"), "speech": ["a.wav"]}, "--timeline t.csv names all emotions; leave out --speech"),
        ({"table": Path("t.csv")}, "--timeline: t.csv does not exist"),
        ({"at": ["1\0happy"], "emotion": "sad", "speech": ["a.wav"]}, "--emotion sad takes the place of recordings"),
    ],
)
def test_times_that_cannot_be_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, options: dict[str, Any], said: str
) -> None:
    monkeypatch.chdir(tmp_path)
    empty = dict.fromkeys(("table", "at", "emotion", "speech", "then"))
    with pytest.raises(UserError, match=f"^{said}"):
        wanted_timeline(**{**empty, **options})


def test_recordings_are_followed_where_that_is_asked_for() -> None:
    (one,) = followed((Path("a.wav"),), ()).segments
    assert (one.start_s, one.end_s, one.follows, one.where) == (0, None, True, "--speech")
    with pytest.raises(UserError, match="^--follow: --then gives recordings no time; name what follows with --at"):
        followed((Path("a.wav"),), ("neutral",))
    with pytest.raises(UserError, match="^--follow: there is no recording to follow"):
        followed(NamedEmotion("happy"), ())


def test_an_edit_with_times_is_told_with_them() -> None:
    sad = EmotionReport("sad", 0.5, 1.0, is_told=True, start_s=0.0, end_s=2.125)
    report = EditReport(100, 25.0, 64, 48, 0.5, 0.74, emotions=(sad, replace(sad, name="./neutral", mean_change=0.0)))
    assert told(report).endswith(": 1. 0 to 2.125 s sad, 0.50 at strength 1; 2. 0 to 2.125 s ./neutral, no change")


def test_an_edit_that_cannot_be_written_is_told_before_a_model_is_looked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "v.mp4").touch()
    with pytest.raises(UserError, match="--out is the video itself"):
        edit(Path("v.mp4"), Path("v.mp4"), ["a.wav"], [Path("b.wav")])


def test_emotions_are_read_group_by_group_before_a_model_is_looked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "v.mp4").touch()
    (tmp_path / "sad").mkdir()
    (tmp_path / "sad/o.mp4").touch()
    args = ["edit", "v.mp4", "--speech", "neutral", "--neutral-speech", "b.wav", "--out", "sad/o.mp4"]
    then = ["--then", "a.wav", "b.wav", "--then", "neutral", "--then", "c.wav", "sad"]
    for more, said in (
        ([], "neutral alone changes nothing"),
        (then, r"--out is the file of --then \(sad/o.mp4\)"),
        ([*then, "--parity"], "--parity takes one emotion for the whole video"),
    ):
        with pytest.raises(UserError, match=f"^{said}"):
            cli.app([*args, *more], standalone_mode=False)


def test_a_compiler_that_is_missing_is_one_sentence() -> None:
    from torch._inductor.exc import InvalidCxxCompiler

    said = "^--compile: torch.compile does not work here .*; leave --compile out"
    with pytest.raises(UserError, match=said), told_of_compiler():
        raise InvalidCxxCompiler
    with pytest.raises(RuntimeError, match="another"), told_of_compiler():
        raise RuntimeError("another")


def test_every_command_has_help() -> None:
    result = started("--help")
    assert result.returncode == 0
    for name in ("edit", "use", "sample", "report"):
        assert name in result.stdout


@pytest.mark.parametrize(
    ("mean_change", "strength", "said"),
    [
        (0.4, 1.0, ["the change is faint; `--strength 2.5` makes it typical"]),
        (0.3, 3.0, ["the change is faint; `--strength 5.0` makes it typical"]),
        (0.01, 1.0, ["the change is faint; `--strength 5.0` makes it typical"]),
        (0.01, 5.0, []),
        (0.9, 1.0, []),
        (0.0, 0.0, []),
    ],
)
def test_an_edit_says_how_to_make_a_faint_change_a_typical_one(
    mean_change: float, strength: float, said: list[str]
) -> None:
    report = EditReport(10, 25.0, 64, 64, 1.0, mean_change, strength=strength)
    assert edit_notes(report) == said
    assert edit_notes(replace(report, has_typical_unit=False)) == []


def test_an_edit_tells_its_strength_and_claims_a_unit_only_where_there_is_one() -> None:
    report = EditReport(10, 25.0, 64, 48, 0.5, 1.0, clamped_share=0.3, strength=1.875, remarks=("a remark",))
    assert told(report) == (
        "10 frames of 64x48 at 25 frames/s, face in 50% of them, change of expression 1.00 (1 is a typical emotional "
        "one) at strength 1.88"
    )
    assert [note.split(" ")[0] for note in edit_notes(report)] == ["a", "30%"]
    assert told(replace(report, num_frames=1)).startswith("1 frame of 64x48")
    assert told(replace(report, told_emotion="happy")).endswith("at strength 1.88 towards happy")
    unseen = replace(report, likeness={"sad": 0.7, "happy": 0.2}, held_out_emotion="sad")
    assert told(unseen).endswith(", most like sad (cosine 0.70, which training left out)")
    assert told(replace(unseen, held_out_emotion=None)).endswith(", most like sad (cosine 0.70)")
    bare = replace(report, face_ratio=None, has_typical_unit=False, strength=1.0)
    assert told(bare) == "10 frames of 64x48 at 25 frames/s, change of expression 1.00 at strength 1"


def test_an_edit_tells_its_emotions_in_their_order_and_what_each_is_like() -> None:
    happy = EmotionReport("happy/", 1.0, 1.98, {"happy": 0.82, "fear": 0.1}, clamped_share=0.3)
    angry = EmotionReport("a.wav and 1 more", 0.5, 1.0, {"angry": 0.7, "sad": 0.6})
    report = EditReport(10, 25.0, 64, 48, 0.5, 0.74, emotions=(happy, EmotionReport("neutral", 0.0, 0.0), angry))
    assert told(report) == (
        "10 frames of 64x48 at 25 frames/s, face in 50% of them, change of expression 0.74 (1 is a typical emotional "
        "one): 1. happy/, 1.00 at strength 1.98, most like happy (cosine 0.82); 2. neutral, no change; "
        "3. a.wav and 1 more, 0.50 at strength 1, most like angry (cosine 0.70), then sad (0.60)"
    )
    folder = replace(report, emotions=(happy, replace(happy, name="neutral")))
    assert "; 2. neutral, 1.00 at strength 1.98, most like happy" in told(folder)
    told_ones = replace(report, emotions=(replace(happy, likeness={}, is_told=True), angry))
    assert "1. happy/, 1.00 at strength 1.98; 2. a.wav" in told(told_ones)
    lies, faint = edit_notes(report)
    assert lies.startswith("happy/: 30% of the speech features lie outside")
    assert faint == (
        "a.wav and 1 more: the change is faint; `--strength 2.0` makes it typical, but applies to all emotions"
    )


def test_a_change_that_is_like_no_emotion_is_told() -> None:
    report = EditReport(10, 25.0, 64, 64, 1.0, 0.9, likeness={"happy": 0.49, "sad": -0.3})
    (note,) = edit_notes(report)
    assert note.startswith("the change is like no emotion that this model knows (no cosine reaches 0.5), so auto does")
    assert edit_notes(replace(report, likeness={"happy": 0.51})) == []


@pytest.mark.parametrize(("text", "value"), [("auto", None), ("0", 0.0), ("2.5", 2.5), ("5", 5.0)])
def test_a_strength_is_a_number_or_auto(text: str, value: float | None) -> None:
    assert parsed_strength(text) == value


@pytest.mark.parametrize("text", ["-1", "5.1", "nan", "strong", ""])
def test_another_strength_is_refused(text: str) -> None:
    with pytest.raises(UserError, match="--strength .*expected auto or a number from 0 to 5"):
        parsed_strength(text)


@pytest.mark.parametrize(
    ("model", "connector", "backbone", "said"),
    [
        ("m", "c.pth", None, "--model and --connector name two models"),
        (None, None, "cartoon", "unknown backbone 'cartoon'; expected one of edtalk, facemesh, pdfgc"),
        (
            None,
            None,
            "edtalk",
            r"data/train/edtalk: no trained model, .*`cmet weights get --for edit`, .* --connector",
        ),
        (None, None, "pdfgc", "data/train/pdfgc: no trained model"),
        ("m", None, "edtalk", "m: no trained model"),
        (None, "c.pth", None, "c.pth"),
    ],
)
def test_a_model_that_is_not_there_is_one_sentence(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    model: str | None,
    connector: str | None,
    backbone: str | None,
    said: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CMET_WEIGHTS", "none")
    with pytest.raises(UserError, match=said):
        ModelChoice(model and Path(model), connector and Path(connector), backbone).open()


def test_names_that_are_no_utf8_can_be_said() -> None:
    # one process for both: the streams of a test are not those of a program
    code = """
import sys
from cmet import cli
def app():
    print(sys.argv[1])
    raise cli.UserError(sys.argv[1])
cli.app = app
cli.main()
"""
    done = subprocess.run([sys.executable, "-c", code, b"caf\xe9"], capture_output=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (2, b"caf\\udce9\n", b"cmet: caf\\udce9\n")
