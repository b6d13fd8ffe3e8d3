import os
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest

from cmet import cli
from tests.conftest import ROOT

WATCHED = "torch", "pandas", "matplotlib", "mediapipe", "cv2", "scipy", "mlflow", "typer"


def offered(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], line: str) -> list[str]:
    """What a shell would offer at the end of a line."""
    words = line.split()
    monkeypatch.setenv("_CMET_COMPLETE", "complete_bash")
    monkeypatch.setenv("COMP_WORDS", line)
    monkeypatch.setenv("COMP_CWORD", str(len(words) if line.endswith(" ") else len(words) - 1))
    with pytest.raises(SystemExit) as end:
        cli.app(prog_name="cmet")
    assert end.value.code == 0
    return capsys.readouterr().out.split()


@pytest.mark.parametrize(
    ("line", "wanted"),
    [
        ("cmet tr", ["train"]),
        ("cmet e", ["edit", "extended", "expression", "edits", "evaluate"]),
        ("cmet corpus ", ["check", "inventory", "unpack", "card"]),
        ("cmet corpus check me", ["mead", "meld"]),
        ("cmet train --backbone ", ["facemesh", "edtalk", "pdfgc"]),
        ("cmet speech --encoder wav2", ["wav2vec2-base", "wav2vec2-large", "wav2vec2-large-lv60k"]),
        ("cmet use experiments/ra", ["experiments/ravdess.yaml"]),
        ("cmet use experiments/sample.yaml experiments/ablations/b", ["experiments/ablations/bmse.yaml"]),
        ("cmet sweep experiments/ablations/w", ["experiments/ablations/wmse.yaml"]),
        ("cmet unseen s", ["sad", "surprised"]),
        ("cmet edit v.mp4 --backbone f", ["facemesh"]),
        ("cmet edit v.mp4 --model models:/cmet-f", ["models:/cmet-facemesh@champion"]),
        ("cmet edit v.mp4 --lips ", ["own", "speech"]),
        ("cmet edit v.mp4 --framing ", ["paste", "crop", "as-is"]),
        ("cmet edit v.mp4 --trans", ["--transition"]),
        ("cmet edit v.mp4 --emotion h", ["happy"]),
        ("cmet edit v.mp4 --at 4s happy --ti", ["--timeline"]),
        ("cmet edit v.mp4 --si", ["--side-by-side", "--sign", "--sign-key", "--sign-certificate"]),
        ("cmet edit --batch t.csv --emotion h", ["happy"]),
        ("cmet prov", ["provenance"]),
        ("cmet score v.mp4 --metrics f", ["fid", "fvd", "fer", "faceapi"]),
        ("cmet weights verify w.pth --as edt", ["edtalk", "edtalk-v"]),
        ("cmet benchmark manifest ", ["mead", "cremad"]),
    ],
)
def test_what_is_offered(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], line: str, wanted: list[str]
) -> None:
    monkeypatch.chdir(ROOT)
    assert offered(monkeypatch, capsys, line) == wanted


@pytest.mark.parametrize(
    "line",
    [
        "cmet edit v.mp4 --speech ",
        "cmet edit v.mp4 --timeline ",
        "cmet edit --batch ",
        "cmet provenance ",
        "cmet edit v.mp4 --at 4s ",
        "cmet edit v.mp4 --lips v",
        "cmet use ./",
        "cmet use ",
    ],
)
def test_where_nothing_is_offered_the_shell_offers_files(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path, line: str
) -> None:
    monkeypatch.chdir(tmp_path)
    assert offered(monkeypatch, capsys, line) == []


PROGRAM = f"""
import atexit, sys
atexit.register(lambda: print([name for name in {WATCHED} if name in sys.modules], file=sys.__stdout__))
from cmet.__main__ import main
sys.argv[0] = "cmet"
main()
"""


def started(*args: str, **environment: str) -> list[str]:
    """What a process of its own prints, and which of the watched libraries it has imported at its end."""
    command = [sys.executable, "-c", PROGRAM, *args]
    environment = os.environ | environment
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=True)
    assert done.stderr == ""
    return done.stdout.splitlines()


def test_completing_imports_nothing_heavy() -> None:
    asked = {"_CMET_COMPLETE": "complete_bash", "COMP_WORDS": "cmet speech --encoder prec", "COMP_CWORD": "3"}
    assert started(**asked) == ["precomputed", "['typer']"]


def test_the_version_is_told_before_the_commands_are_imported() -> None:
    assert started("--version") == [f"cmet {version('cmet')}", "[]"]
