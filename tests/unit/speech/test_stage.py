"""The stage `speech`."""

from pathlib import Path

import pytest

from cmet.clips.product import Clips
from cmet.params import load_params
from cmet.project import Project
from cmet.speech import embeddings
from cmet.stages.speech import speech

ROOT = Path(__file__).parents[3]


def test_an_interrupted_run_does_not_go_on_with_other_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    begun: list[Path] = []
    monkeypatch.setattr(Clips, "open", lambda places: Clips(tmp_path / "clips", corpus=tmp_path))
    monkeypatch.setattr(embeddings, "write_embeddings", lambda *arguments: begun.append(arguments[4]))
    project = Project.of(tmp_path, load_params(ROOT / "params.yaml"))
    for name in ("clips/clips.parquet", "weights/speech/wavlm_base.pth"):
        (tmp_path / name).parent.mkdir(parents=True)
        (tmp_path / name).touch()
    for _ in range(2):
        speech(project.places, project.params, "wavlm-base")
    (tmp_path / "weights/speech/wavlm_base.pth").write_text("others")
    speech(project.places, project.params, "wavlm-base")
    assert begun[0] == begun[1] != begun[2]
