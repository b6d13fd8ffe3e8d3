"""The data card: what a prepared corpus is, counted from what its stages have recorded; model cards are MLflow's."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pandas as pd

from cmet.clips.product import Clips
from cmet.params import ClipForm, CorpusName, Params
from cmet.quarantine import count_reasons
from cmet.text_tables import markdown_text, text_table
from cmet.vocabulary import SPLITS


@dataclass(frozen=True)
class Terms:
    """What may be done with a corpus, and who decides."""

    licence: str
    publisher: str
    """Whom a person in it asks for removal at the source."""
    is_drawn: bool = False
    """Whether nobody is in it: its faces are drawn and its voices synthetic."""


TERMS: Mapping[CorpusName, Terms] = {
    "mead": Terms("its own terms of use: research, non-commercial", "the authors of MEAD (github.com/uniBruce/Mead)"),
    "cremad": Terms(
        "ODbL 1.0 (database), DbCL 1.0 (contents)", "the authors of CREMA-D (github.com/CheyneyComputerScience/CREMA-D)"
    ),
    "ravdess": Terms("CC BY-NC-SA 4.0", "the authors of RAVDESS (Zenodo record 1188976)"),
    "meld": Terms(
        "GPL-3.0; the pictures belong to the makers of the series", "the authors of MELD (github.com/declare-lab/MELD)"
    ),
    "table": Terms("not stated: recordings of your own have the terms that their speakers agreed to", "you"),
    "sample": Terms("Apache-2.0, as cmet, which draws it", "nobody: no person is in it", is_drawn=True),
}
"""docs/limits.md lists the same."""


@dataclass(frozen=True)
class SplitCount:
    """The usable clips of a split."""

    split: str
    speakers: list[str]
    num_clips: int
    hours: float


@dataclass(frozen=True)
class DataCard:
    """What a prepared corpus is."""

    corpus: str
    terms: Terms
    form: ClipForm
    clips_sha256: str
    """Of the table of clips that was counted."""
    splits: list[SplitCount]
    emotions: dict[str, dict[str, int]]
    """Usable clips by emotion and split."""
    quarantined: dict[str, int]
    """Clips that cannot be used, by reason."""
    held_out_emotion: str | None
    contact: str | None
    """Who answers for this copy."""


def data_card(clips: Clips, params: Params, contact: str | None = None) -> DataCard:
    """Count the prepared clips of a project.

    Args:
        clips: Its clips.
        params: Its parameters, of which the card tells how clips look and which emotion is left out.
        contact: A name or an address, for those who want to be removed.
    """
    ok = clips.usable
    by_emotion = pd.crosstab(ok.emotion, ok.split)
    return DataCard(
        corpus=params.manifest.corpus,
        terms=TERMS[params.manifest.corpus],
        form=ClipForm.of(params.clips),
        clips_sha256=hashlib.sha256(clips.path.read_bytes()).hexdigest(),
        splits=[_counted(split, ok[ok.split == split]) for split in SPLITS if (ok.split == split).any()],
        emotions={
            str(emotion): {str(split): int(number) for split, number in row.items()}
            for emotion, row in by_emotion.iterrows()
        },
        quarantined=count_reasons(clips.table.loc[clips.table.status != "ok", "reason"].fillna("unknown")),
        held_out_emotion=params.held_out_emotion,
        contact=contact,
    )


def _counted(split: str, rows: pd.DataFrame) -> SplitCount:
    return SplitCount(split, sorted(rows.speaker.unique()), len(rows), round(float(rows.duration_s.sum()) / 3600, 3))


def printed_card(card: DataCard) -> str:
    """The card in Markdown."""
    num_clips = sum(split.num_clips for split in card.splits)
    splits = [
        [one.split, str(len(one.speakers)), str(one.num_clips), f"{one.hours:.2f}", _listed(one.speakers)]
        for one in card.splits
    ]
    names = [one.split for one in card.splits]
    emotions = [
        [markdown_text(emotion), *(str(numbers.get(split, 0)) for split in names)]
        for emotion, numbers in card.emotions.items()
    ]
    reasons = [[markdown_text(reason), str(number)] for reason, number in card.quarantined.items()]
    form = card.form
    people = (
        "Nobody is in it: the faces are drawn by this program, and a synthesiser speaks."
        if card.terms.is_drawn
        else "People are in it, with face and voice. Edit them only as they have agreed to."
    )
    return "\n\n".join(
        [
            f"# Data card: {card.corpus}",
            f"Prepared by cmet: {num_clips} usable clips of {form.size_px} px, {form.fps} frames/s and "
            f"{form.sample_rate_hz} Hz, cropped by `{form.crop_rule}`. {people}",
            f"Licence: {card.terms.licence}.",
            text_table(["split", "speakers", "clips", "hours", "who"], splits, ["speakers", "clips", "hours"]),
            text_table(["emotion", *names], emotions, names),
            f"Left out of training: {card.held_out_emotion or 'no emotion'}. Emotions are as acted or labelled by the "
            "publisher; nobody has measured what the speakers felt.",
            "## Set aside",
            text_table(["reason", "clips"], reasons, ["clips"]) if reasons else "No clip was set aside.",
            "## Removal",
            _removal(card),
            f"Counted in `clips.parquet` with SHA-256 {card.clips_sha256}.",
        ]
    )


def _removal(card: DataCard) -> str:
    if card.terms.is_drawn:
        return "There is nobody to remove."
    asked = markdown_text(card.contact) if card.contact else "whoever gave you this card, which names no contact"
    return (
        f"To be removed from this copy, ask {asked}; at the source, {card.terms.publisher}. Whoever keeps the copy "
        "takes the person's files out of the raw corpus and runs `dvc repro`: clips, vectors and models are made anew "
        "without them. `cmet clean --keep-runs N` and `dvc gc --cloud --workspace` then remove what earlier runs have "
        "kept; models given to others stay with them."
    )


def _listed(names: Sequence[str]) -> str:
    return markdown_text(", ".join(names))
