"""The data card says what is recorded of a corpus, and nothing else."""

import hashlib
import re
from pathlib import Path
from typing import get_args

import pandas as pd
import pytest
import yaml

from cmet.cards import TERMS, data_card, printed_card
from cmet.params import CorpusName
from cmet.project import Project
from tests.conftest import Command

ROOT = Path(__file__).parents[2]


def written(root: Path, corpus: str, speakers: dict[str, str] | None = None) -> Project:
    """A project with three clips of each speaker, one of them without an hour, and two files that are no clips."""
    values = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
    values["manifest"]["corpus"] = corpus
    (root / "params.yaml").write_text(yaml.safe_dump(values), encoding="utf-8")
    rows = [
        {"clip_id": f"{speaker}-{emotion}", "speaker": speaker, "emotion": emotion, "split": split, "status": "ok",
         "reason": None, "duration_s": 1800.0}
        for speaker, split in (speakers or {"ann": "train", "bob": "train", "eve": "test"}).items()
        for emotion in ("happy", "neutral")
    ]  # fmt: skip
    rows += [
        {"clip_id": f"bad-{name}", "status": "quarantined", "reason": f"{code}: {name}.mp4: what is wrong"}
        for name, code in (("a", "no_face"), ("b", "no_face"), ("c", "too_short"))
    ]
    folder = root / "data/clips"
    folder.mkdir(parents=True)
    pd.DataFrame(rows).to_parquet(folder / "clips.parquet")
    return Project.at(root / "params.yaml")


def test_a_card_counts_what_is_recorded(tmp_path: Path) -> None:
    project = written(tmp_path, "ravdess")
    card = data_card(project.clips(), project.params)
    assert [(one.split, one.speakers, one.num_clips, one.hours) for one in card.splits] == [
        ("train", ["ann", "bob"], 4, 2.0),
        ("test", ["eve"], 2, 1.0),
    ]
    assert card.emotions == {"happy": {"test": 1, "train": 2}, "neutral": {"test": 1, "train": 2}}
    assert card.quarantined == {"no_face": 2, "too_short": 1}
    assert (card.form.size_px, card.form.fps, card.held_out_emotion) == (256, 25, "sad")
    assert card.clips_sha256 == hashlib.sha256(project.clips().path.read_bytes()).hexdigest()


def test_a_card_of_people_says_whom_to_ask_for_removal(tmp_path: Path) -> None:
    project = written(tmp_path, "ravdess")
    said = printed_card(data_card(project.clips(), project.params, "data office"))
    assert "6 usable clips of 256 px" in said
    assert re.search(r"\| train +\| +2 \| +4 \| +2.00 \| ann, bob", said)
    assert re.search(r"\| happy +\| +2 \| +1 \|", said)
    assert re.search(r"\| too_short +\| +1 \|", said)
    assert "Licence: CC BY-NC-SA 4.0." in said
    assert "ask data office; at the source, the authors of RAVDESS" in said
    assert "People are in it" in said


def test_a_card_of_the_sample_says_that_nobody_is_in_it(tmp_path: Path) -> None:
    project = written(tmp_path, "sample")
    said = printed_card(data_card(project.clips(), project.params))
    assert "Nobody is in it: the faces are drawn" in said
    assert "There is nobody to remove." in said


def test_names_of_a_table_bring_no_markup_into_a_card(tmp_path: Path) -> None:
    project = written(tmp_path, "table", {"<img src=x>|": "train"})
    said = printed_card(data_card(project.clips(), project.params, "[me](http://a.b)"))
    assert "<img" not in said
    assert "](http" not in said


def test_the_command_prints_the_card_and_counts_for_machines(tmp_path: Path, cmet: Command) -> None:
    written(tmp_path, "mead")
    done = cmet("corpus", "card", "--project", tmp_path, "--contact", "me")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("# Data card: mead\n")
    assert '"no_face": 2' in cmet("corpus", "card", "--project", tmp_path, "--json").stdout


def test_the_command_says_what_to_run_first(tmp_path: Path, cmet: Command) -> None:
    (tmp_path / "params.yaml").write_bytes((ROOT / "params.yaml").read_bytes())
    done = cmet("corpus", "card", "--project", tmp_path)
    assert done.returncode == 2
    assert "clips" in done.stderr


@pytest.mark.parametrize("corpus", get_args(CorpusName))
def test_every_corpus_has_the_licence_that_the_page_of_limits_says(corpus: CorpusName) -> None:
    if corpus not in ("table", "sample"):
        assert TERMS[corpus].licence in (ROOT / "docs/limits.md").read_text(encoding="utf-8")
