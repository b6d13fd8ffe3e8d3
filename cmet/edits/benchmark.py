"""The official benchmark manifests of C-MET: which neutral clip is edited, and to which emotional clip it is compared.

Both regenerate from rules (`benchmarks/`): MEAD's from a grid of 1,176 places less 33, CREMA-D's from the list of its
targets, whose selection nobody published.
"""

import csv
import json
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path
from typing import Any

from cmet.errors import UserError
from cmet.outputs import fresh_file
from cmet.pairs.sentences import neutral_sentence

MEAD_COLUMNS = ["source_video_path", "gt_video_path", "gt_emotion", "intensity"]
CREMAD_COLUMNS = ["source_video_path", "gt_video_path", "index", "sentence", "gt_emotion", "intensity"]
MEAD_ROOT, CREMAD_ROOT = "./dataset/MEAD/FPS25", "./dataset/CREMA_D/FPS25"
UNSPECIFIED = "XX"

CsvRow = list[str]


def write_benchmark(name: str, out: Path) -> int:
    """Write an official manifest as CSV, byte for byte, and return the number of its rows.

    Raises:
        UserError: The name is unknown, or `out` is a folder.
    """
    if name not in BENCHMARKS:
        raise UserError(f"unknown benchmark {name!r}; known are {', '.join(BENCHMARKS)}")
    if out.is_dir():
        raise UserError(f"{out}: this is a folder; name the CSV file to write, for example {out / name}.csv")
    columns, rows = BENCHMARKS[name]
    table = list(rows(_rule(name)))
    if len(table) != _rule(name)["num_rows"]:
        raise AssertionError(f"{name}: {len(table)} rows, the rule says {_rule(name)['num_rows']}")
    with fresh_file(out) as unfinished, unfinished.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerows([columns, *table])
    return len(table)


def benchmark_paths(name: str) -> list[tuple[Path, Path]]:
    """Source and target of every row of an official manifest, relative to the root of its corpus."""
    rows = BENCHMARKS[name][1](_rule(name))
    root = ROOTS[name]
    return [(Path(source).relative_to(root), Path(target).relative_to(root)) for source, target, *_ in rows]


def mead_rows(rule: dict[str, Any]) -> Iterator[CsvRow]:
    """Rows by speaker, sentence, emotion and level; sentence n goes with neutral n, from 4 on with n + 10."""
    excluded = set(rule["excluded"])
    for speaker in rule["ids"]:
        for number in rule["sentences"]:
            sentence = f"{number:03d}"
            source = f"{MEAD_ROOT}/{speaker}/front/neutral/level_1/{neutral_sentence('mead', sentence)}.mp4"
            for emotion in rule["emotions"]:
                for level in rule["levels"]:
                    if f"{speaker}/{emotion}/{level}/{sentence}" not in excluded:
                        target = f"{MEAD_ROOT}/{speaker}/front/{emotion}/{level}/{sentence}.mp4"
                        yield [source, target, emotion, level]


def cremad_rows(rule: dict[str, Any]) -> Iterator[CsvRow]:
    """Rows by actor, sentence, emotion and level (HI, LO, MD).

    A sentence's targets are letters, one for each emotion, or words of an emotion and its levels.
    """
    for actor, sentences in rule["targets"].items():
        for sentence, targets in sentences.items():
            source = f"{CREMAD_ROOT}/{actor}_{sentence}_NEU_XX.mp4"
            for letter, level in _targets(targets, has_levels=sentence == "IEO", levels=rule["levels"]):
                emotion = rule["emotions"][letter]
                target = f"{CREMAD_ROOT}/{actor}_{sentence}_{emotion}_{level}.mp4"
                yield [source, target, actor, sentence, emotion, level]


def _targets(text: str, has_levels: bool, levels: dict[str, str]) -> list[tuple[str, str]]:
    if not has_levels:
        return [(letter, UNSPECIFIED) for letter in text]
    return [(word[0], level) for word in text.split() for level in sorted(levels[letter] for letter in word[1:])]


def _rule(name: str) -> dict[str, Any]:
    return json.loads((files("cmet.edits") / "benchmarks" / f"{name}.json").read_text(encoding="utf-8"))


ROOTS = {"mead": MEAD_ROOT, "cremad": CREMAD_ROOT}
BENCHMARKS = {"mead": (MEAD_COLUMNS, mead_rows), "cremad": (CREMAD_COLUMNS, cremad_rows)}
"""Columns and rows by name."""
