import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
import typer

from cmet import cli
from cmet.commands.answer import plain
from cmet.editing.reports import EditReport
from cmet.editing.result.provenance import Provenance
from cmet.extended.product import ExtendedResult
from cmet.extended.running import ExtendedReport
from cmet.params import ClipForm
from cmet.project import Project
from cmet.report.product import Report
from cmet.scores.other_methods import VideoAnswer
from cmet.scores.results import write_results
from cmet.stages.registry import STAGES
from cmet.studies.outcome import StudyReport
from cmet.tracking.promotion import Candidate, Promotion
from tests.conftest import ROOT, Command
from tests.unit.scores.making import results_of

WITHOUT_JSON: dict[str, str] = {"studio": "it serves a page until it is ended"}
"""Commands that have no `--json`, each with the reason why."""


def commands(group: Any = None, above: str = "") -> dict[str, Any]:
    """All commands by what one types after `cmet`; a group that does something by itself is one too."""
    group = group or typer.main.get_command(cli.app)
    found = {}
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            found |= commands(command, f"{above}{name} ")
        if not hasattr(command, "commands") or command.invoke_without_command:
            found[f"{above}{name}"] = command
    return found


def test_every_command_has_an_answer_for_machines_or_a_reason() -> None:
    without = {name for name, command in commands().items() if not any("--json" in one.opts for one in command.params)}
    assert without == set(WITHOUT_JSON)


@dataclass(frozen=True)
class Told:
    """A report with what JSON has no form for."""

    loss: float
    page: Path
    rows: pd.DataFrame


REPORT = Told(float("nan"), Path("a/b"), pd.DataFrame({"n": pd.array([1, None], "Int64"), "x": [0.5, np.inf]}))
ROWS = [{"n": 1, "x": 0.5}, {"n": None, "x": None}]
STUDY = StudyReport({"labels": {"corpus": "sample"}, "summary": REPORT.rows}, "a table")


def noisy(result: Any) -> Callable[..., Any]:
    """Work that prints."""

    def work(*_: object, **__: object) -> Any:
        print("at work")
        return result

    return work


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder in which every command can run, as what it calls is replaced by something quick."""
    (tmp_path / "params.yaml").write_bytes((ROOT / "params.yaml").read_bytes())
    (tmp_path / "layer.yaml").write_bytes((ROOT / "experiments/ablations/full.yaml").read_bytes())
    for name in ("v.mp4", "a.wav", "b.wav", "w.pth"):
        (tmp_path / name).write_text("hello")
    for name, said in (("a", "happy"), ("b", "sad")):
        (tmp_path / name).mkdir()
        write_results(results_of([("001", "happy", said), ("002", "sad", None)]), tmp_path / name / "results.parquet")
    editor = SimpleNamespace(
        kind=SimpleNamespace(picture_px=None, name="facemesh"), encoder=SimpleNamespace(name="opensmile")
    )
    judge = SimpleNamespace(card=SimpleNamespace(as_scored=lambda: {"sha256": "0"}, clips=None))
    bundle = SimpleNamespace(config=SimpleNamespace(step=1, backbone="facemesh", speech_encoder="opensmile"))
    best = Candidate("run", "facemesh cmet", "m-1", 0.5, 0)
    promotion = Promotion("models:/cmet-facemesh@champion", 2, 1, best, [best], [], {"judge": "0"}, ["a tie"])
    extended = ExtendedReport(REPORT.rows, "opensmile", 1, 0, 0, ExtendedResult(Path("out")), float("nan"), [])
    replaced = {
        "cmet.cli.run_stage": plain(REPORT),
        "cmet.studies.ablations.run_sweep": STUDY,
        "cmet.studies.unseen.run_unseen": STUDY,
        "cmet.editing.request.perform": EditReport(10, 25.0, 64, 64, None, float("nan")),
        "cmet.editing.choice.ModelChoice.open": editor,
        "cmet.editing.result.provenance.read_provenance": Provenance("cmet", "m", "0", "facemesh", "opensmile", ()),
        "cmet.extended.running.write_extended": extended,
        "cmet.cards.data_card": REPORT,
        "cmet.cards.printed_card": "a card",
        "cmet.extended.table.printed_numbers": "a table",
        "cmet.tracking.promotion.promote_best": promotion,
        "cmet.judge.released.open_judge": judge,
        "cmet.scores.other_methods.video_answers": [
            VideoAnswer(Path("v.mp4"), {"happy": float("nan"), "sad": 0.0}, None)
        ],
        "cmet.commands.score._told_judge": "a judge",
        "cmet.connector.bundle.load_bundle": bundle,
        "cmet.connector.official.export_official": None,
        "cmet.report.printed.print_table": "a table",
        "cmet.doctor.examination.examine": [],
    }
    for name, result in replaced.items():
        monkeypatch.setattr(name, noisy(result))
    written = SimpleNamespace(write_out=lambda clip_id, folder: [folder / f"{clip_id}.mp4"])
    monkeypatch.setattr(Project, "clips", lambda _: written)
    monkeypatch.setattr(Project, "report", lambda _: Report(Path("reports")))
    monkeypatch.setattr(Report, "summary", REPORT)
    return tmp_path


VARIANTS = {"project": [], "encoder": ["--encoder", "opensmile"], "backbone": ["--backbone", "facemesh"]}

ARGUMENTS: dict[str, tuple[str, list[str]]] = {
    **{name: ("loss page rows", VARIANTS[stage.per]) for name, stage in STAGES.items()},
    "benchmark manifest": ("out num_rows", ["mead", "--out", "m.csv"]),
    "benchmark paper": ("table1-mead table6 table8-mead plug-in", ["mead"]),
    "clean": ("leftovers is_removed size_bytes", []),
    "compare": ("a b metric confidence main held_out clips notes", ["a", "b"]),
    "corpus card": ("loss page rows", []),
    "corpus check": ("corpus root num_found is_complete", ["mead", "tree"]),
    "corpus inventory": (
        "address num_objects num_bytes num_added num_changed num_removed",
        ["raw.inventory", "--of", "local://tree"],
    ),
    "corpus unpack": ("paths", ["a", "b", "--to", "out"]),
    "doctor": ("can_run_sample can_edit findings", []),
    "edit": (
        "out num_frames fps width_px height_px face_ratio mean_change clamped_share strength has_typical_unit likeness "
        "told_emotion held_out_emotion emotions warnings remarks notes",
        ["v.mp4", "--speech", "a.wav", "--neutral-speech", "b.wav", "--out", "o.mp4"],
    ),
    "extended": (
        "table space num_clips num_edits num_left_out result page_mib passed_over",
        ["a", "--neutral-speech", "b.wav"],
    ),
    "provenance": (
        "file made_by model model_sha256 backbone speech_encoder emotions settings notice digital_source_type "
        "signature",
        ["v.mp4"],
    ),
    "promote": ("address version version_before best compared refused alike notes", []),
    "score": ("judge videos remarks", ["v.mp4"]),
    "summary": ("loss page rows", []),
    "sweep": ("labels summary", ["layer.yaml", "--seeds", "1", "2"]),
    "unseen": ("labels summary", ["happy", "--seeds", "1"]),
    "use": ("params experiment changed", [str(ROOT / "experiments/ravdess.yaml")]),
    "weights": ("folder checkpoints", []),
    "weights get": ("folder paths files needs", ["emotion-fan-ms1m", "--accept-licence"]),
    "weights export-connector": ("out step backbone speech_encoder", ["model", "o.pth"]),
    "weights verify": ("path kind size_bytes sha256 loads sentence", ["w.pth"]),
}
"""What follows each command, and keys of its document; all of them but of `PARTLY`."""

PARTLY = {"corpus check", "weights verify"}


@pytest.mark.parametrize("name", ["edit", "extended"])
def test_a_command_that_hears_a_voice_with_opensmile_names_what_gets_a_better_ear(
    cmet: Command, project: Path, name: str
) -> None:
    said = cmet(name, *ARGUMENTS[name][1], cwd=project).stdout.splitlines()
    note = (
        "note: opensmile hears the emotion of a real voice worse than emotion2vec does, which `cmet weights get --for"
    )
    assert [line.startswith(note) for line in said].count(True) == 1


def test_all_commands_are_tried() -> None:
    assert set(ARGUMENTS) == set(commands()) - set(WITHOUT_JSON)


def no_numbers(text: str) -> None:
    raise AssertionError(f"{text} is no JSON")


@pytest.mark.parametrize("name", ARGUMENTS)
def test_the_answer_is_one_document_and_alone_on_standard_output(cmet: Command, project: Path, name: str) -> None:
    (project / "tree/M003/front/happy/level_1").mkdir(parents=True)
    (project / "tree/M003/front/happy/level_1/001.mp4").touch()
    keys, arguments = ARGUMENTS[name]
    text = cmet(*name.split(), *arguments, cwd=project)
    done = cmet(*name.split(), *arguments, "--json", cwd=project)
    document = json.loads(done.stdout, parse_constant=no_numbers)
    assert set(keys.split()) <= set(document)
    assert name in PARTLY or set(document) == set(keys.split())
    assert "at work" not in done.stdout
    assert done.returncode == text.returncode <= 1
    assert not text.stdout.startswith("{")
    assert ("at work" in done.stderr) == ("at work" in text.stdout)


def test_a_report_is_plain_values() -> None:
    assert plain(REPORT) == {"loss": None, "page": "a/b", "rows": ROWS}
    form = ClipForm(size_px=64, fps=25, sample_rate_hz=16_000, crop_rule="fomm-clip-1")
    assert plain([form])[0]["size_px"] == 64
    assert plain({1: np.float32(0.5), "n": np.int64(2), "is": np.bool_(True)}) == {"1": 0.5, "n": 2, "is": True}
    assert plain((np.array([1.0, np.nan]), frozenset({"b", "a"}))) == [[1.0, None], ["a", "b"]]
    with pytest.raises(TypeError, match="object cannot be written as JSON"):
        plain(object())


TALKATIVE = """
import os, subprocess, sys
from cmet import cli
def work(*_):
    print("a line")
    os.write(1, b"a library\\n")
    subprocess.run(["echo", "a program"], check=True)
    return {"num": 1}
cli.run_stage = work
sys.argv = ["cmet", "manifest", *sys.argv[1:]]
cli.main()
"""


def test_what_libraries_and_programs_print_is_kept_apart_too() -> None:
    command = [sys.executable, "-c", TALKATIVE, "--json"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == {"num": 1}
    assert sorted(done.stderr.splitlines()) == ["a library", "a line", "a program"]
