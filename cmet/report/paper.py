"""The printed results of C-MET's paper, with what can be computed of them, and our own results beside them.

Printed     tables 1 (two corpora), 6 (loss ablation) and 8 (per emotion), and the plug-in results; benchmarks/
            paper_results.json has the numbers as printed
Computed    numbers of right rows, intervals, the macro average, the best constant answer, contradictions
Shares      accuracies are 0 to 1 here, percentages in the file and in printed tables

Source: arXiv 2604.07786, CVPR 2026; what the labels say is read from the published scripts.
"""

import json
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

import pandas as pd

from cmet.corpora import cremad, mead
from cmet.edits.benchmark import benchmark_paths
from cmet.errors import UserError
from cmet.outputs import fresh_file
from cmet.scores.intervals import wilson_interval
from cmet.scores.whole_numbers import fitting_numbers_of_rows, not_whole, right_rows
from cmet.text_tables import text_table

FILE = "paper_results.json"
CORPORA = {"mead": "MEAD", "cremad": "CREMA-D"}
TITLES = {
    "table1-mead": "Table 1, MEAD",
    "table1-cremad": "Table 1, CREMA-D",
    "table6": "Table 6, ablation of losses, MEAD",
    "table8-mead": "Table 8, C-MET per emotion, MEAD",
    "table8-cremad": "Table 8, C-MET per emotion, CREMA-D",
    "plug-in": "Two backbones, MEAD",
}
C_MET = "C-MET"
ALL, MACRO = "all", "macro average"
"""Lines of table 8 beside the emotions."""

CONFIDENCE = 0.95
PLAUSIBLE_ROWS = range(1000, 1177)
"""Where other numbers of rows are looked for; 1176 places are in the grid of which MEAD's manifest leaves out 33."""

MEASURES = ("aitv_s", "fid", "fvd", "sync_conf")
"""Mean seconds per video, Fréchet distances of frames and of videos, confidence of SyncNet."""
HEADINGS = {
    "aitv_s": "AITV s",
    "fid": "FID",
    "fvd": "FVD",
    "fid_distribution": "FID of sets",
    "fvd_distribution": "FVD of sets",
    "sync_conf": "Sync",
}
LOWER_IS_BETTER = ("aitv_s", "fid", "fvd")
NOT_STATED = "not stated"

REQUIRED_LABELS = (
    "corpus", "numbering", "n", "coverage", "protocol", "judge_sha256", "judge_corpus", "judge_saw_test_speakers",
    "media", "backbone", "checkpoint_sha256", "training_steps", "seed", "comparability", "interval", "synthetic",
)  # fmt: skip
"""What one of our rows must state to be compared with the paper's; with FID and FVD their kinds, too."""
COMPARABILITIES = ("paper-protocol", "paper-protocol-subset", "approximation", "own-protocol")
UNCOMPARABLE = "uncomparable"
PAPER_KIND = "pairwise-mean"
"""The paper's FID and FVD compare each clip with its one true clip and are averaged over the rows."""

JUDGES = {
    "mead": {"judge_corpus": "MEAD, emotional clips of the training speakers", "judge_saw_test_speakers": "no"},
    "cremad": {
        "judge_corpus": "CREMA-D, a random nine tenths of all clips",
        "judge_saw_test_speakers": "likely: clips were split, not speakers",
    },
}
"""By corpus: the authors fine-tuned one judge for each; the weights are a download of their own."""

PAPER_LABELS: dict[str, Any] = {
    "numbering": "author-renumbered",
    "protocol": NOT_STATED,
    "pools_sha256": NOT_STATED,
    "judge_sha256": NOT_STATED,
    "fid_kind": PAPER_KIND,
    "fvd_kind": PAPER_KIND,
    "media": "25 fps, sound of the neutral source; version of the crop and identity frame not stated",
    "checkpoint_sha256": NOT_STATED,
    "seed": NOT_STATED,
    "comparability": "paper",
    "uncertainty": "Wilson interval as if rows were independent; clustered by speaker and sentence it is wider",
    "synthetic": False,
}

EXPLANATIONS = {
    "floor": "floor: at or below the best constant answer",
    "not whole": "not whole: no whole number of right rows gives this percentage",
    UNCOMPARABLE: "uncomparable: a row of ours that does not state everything a comparison needs",
    "no headline": "no headline: clips are missing or unreadable, and a share of the remaining ones says too little",
    "subset": "subset: counted over other rows than the paper's",
    "synthetic": "synthetic: made with rendered actors or stand-ins, which says nothing about the paper's task",
}
"""Of the words in the column `flags`."""


@dataclass(frozen=True)
class OfficialRows:
    """What an official manifest decides, whatever is scored on it."""

    num_rows: int
    per_emotion: Mapping[str, int]
    num_clusters: int
    """Pairs of a speaker and a sentence."""

    @property
    def constant_answer(self) -> str:
        """The emotion that is right most often when it is always said."""
        return max(self.per_emotion, key=lambda emotion: self.per_emotion[emotion])

    @property
    def floor(self) -> float:
        """The accuracy of that answer."""
        return self.per_emotion[self.constant_answer] / self.num_rows


@cache
def official_rows(corpus: str) -> OfficialRows:
    """Counts of an official manifest, from the rule that regenerates it."""
    parse = {"mead": mead.parse, "cremad": cremad.parse}[corpus]
    clips = [parse(target) for _, target in benchmark_paths(corpus)]
    return OfficialRows(
        num_rows=len(clips),
        per_emotion=dict(sorted(Counter(clip.emotion for clip in clips).items())),
        num_clusters=len({(clip.speaker, clip.sentence) for clip in clips}),
    )


def paper_tables() -> dict[str, pd.DataFrame]:
    """The paper's results, one row per method (table 8: per emotion), every row with its labels.

    `num_right` is null where no whole number of rows gives the printed percentage, and then nothing is known of the
    rows; `is_at_floor` is null where the best constant answer says nothing (single emotions). `flags` are words that
    `EXPLANATIONS` explains.

    Returns:
        By the keys of `TITLES`.
    """
    printed = _printed()
    return {
        **{f"table1-{corpus}": _method_table(corpus, printed["table1"][corpus]) for corpus in CORPORA},
        "table6": _method_table("mead", printed["table6"]),
        **{f"table8-{corpus}": _emotion_table(corpus, printed["table8"][corpus]) for corpus in CORPORA},
        "plug-in": _method_table("mead", printed["plug_in"]),
    }


def of_corpus(tables: Mapping[str, pd.DataFrame], corpus: str | None) -> dict[str, pd.DataFrame]:
    """The tables of one corpus, or all."""
    return {name: table for name, table in tables.items() if corpus is None or (table.corpus == corpus).all()}


def beside(paper: pd.DataFrame, ours: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    """A table of the paper with our rows of the same corpus below, each labelled.

    Args:
        paper: A table of methods (1, 6 or the plug-in results).
        ours: Rows with method, acc_emo (0 to 1) and interval (its ends), n (planned rows), coverage (share with a
            readable clip), and the rest of `REQUIRED_LABELS`; fid, fvd, sync_conf and aitv_s where they were measured,
            fid_kind and fvd_kind with them, and anything else, which is kept as a column.

    Returns:
        The columns of `paper` and `origin`, `paper` or `ours`. A row of ours that lacks a label is `uncomparable`, and
        one with a coverage below 1 has no accuracy; `remarks` say why. Distances of another kind than the paper's
        stand in columns of their own (`fid_distribution`).

    Raises:
        ValueError: A row is of another corpus, or `paper` is a table of emotions.
    """
    if "emotion" in paper:
        raise ValueError("rows of methods cannot stand beside a table of emotions")
    corpus = str(paper.corpus.iloc[0])
    others = sorted({str(row["corpus"]) for row in ours if _is_given(row, "corpus")} - {corpus})
    if others:
        raise ValueError(f"rows of {', '.join(others)} cannot stand beside the paper's of {corpus}")
    below = pd.DataFrame([_own_row(row, corpus) for row in ours]).assign(origin="ours")
    return _typed(pd.DataFrame([*_records(paper.assign(origin="paper")), *_records(below)]))


@dataclass(frozen=True)
class ShownTable:
    """A table as cells to be read."""

    headings: list[str]
    rows: list[list[str]]
    numeric: list[str]
    """Headings of the columns with numbers."""
    is_ours: list[bool]
    """Of every row."""


def shown_table(table: pd.DataFrame) -> ShownTable:
    """The cells of a table; `*` marks the best of a column among rows of the paper."""
    key = "emotion" if "emotion" in table else "method"
    measures = [name for name in HEADINGS if name in table and table[name].notna().any()]
    headings = [*(["origin"] if "origin" in table else []), key, "rows", "right", "Acc_emo %", "interval %"]
    shown = [HEADINGS[name] for name in measures]
    best = _best(table, measures) if key == "method" else {}
    has_labels = "origin" in table
    rows = []
    for place, row in enumerate(_records(table)):
        cells = [row["origin"]] if "origin" in table else []
        cells += [str(row[key]), _count(row["num_rows"]), _count(row["num_right"])]
        cells += [_number(row["acc_emo"], 2, 100) + _star(best, "acc_emo", place), _interval(row)]
        cells += [_number(row[name], 4 if name == "sync_conf" else 3) + _star(best, name, place) for name in measures]
        cells += [row["comparability"]] if has_labels else []
        rows.append([*cells, row["flags"]])
    columns = [*headings, *shown, *(["comparability"] if has_labels else []), "flags"]
    is_ours = [row.get("origin") == "ours" for row in _records(table)]
    return ShownTable(columns, rows, ["rows", "right", "Acc_emo %", *shown], is_ours)


def printed_paper_table(table: pd.DataFrame) -> str:
    """A table for a terminal, in Markdown."""
    shown = shown_table(table)
    return text_table(shown.headings, shown.rows, shown.numeric)


def printed_tables(tables: Mapping[str, pd.DataFrame]) -> str:
    """Tables under their titles in Markdown, each with its notes."""
    parts = [source()]
    for name, table in tables.items():
        parts.append(
            f"## {TITLES[name]}\n\n{printed_paper_table(table)}\n\n"
            + "\n".join(f"- {note}" for note in table_notes(table))
        )
    return "\n\n".join(parts)


def write_tables(tables: Mapping[str, pd.DataFrame], out: Path) -> None:
    """Write tables as one CSV file with every label, or as Markdown to read.

    Raises:
        UserError: `out` is neither a .csv nor an .md file.
    """
    if out.suffix not in (".csv", ".md") or out.is_dir():
        raise UserError(f"{out}: name a file that ends in .csv (every label) or .md (to read)")
    with fresh_file(out) as unfinished:
        if out.suffix == ".md":
            unfinished.write_text(printed_tables(tables) + "\n", encoding="utf-8")
        else:
            rows = [{"table": name} | row for name, table in tables.items() for row in _records(table)]
            _typed(pd.DataFrame(rows)).to_csv(unfinished, index=False)


def source() -> str:
    """The paper, as a sentence."""
    paper = _printed()["paper"]
    return (
        f"{paper['title']}, arXiv {paper['arxiv']}, {paper['venue']}: the printed results, and what follows from them."
    )


def table_notes(table: pd.DataFrame) -> list[str]:
    """What a reader has to know of a table: its flags, what was checked, and what the numbers cannot say."""
    corpus = str(table.corpus.iloc[0])
    rows = official_rows(corpus)
    flags = {flag for text in table["flags"] for flag in text.split(", ") if flag}
    found = [text for flag, text in EXPLANATIONS.items() if flag in flags]
    if "floor" in flags:
        place = next(number for number, text in enumerate(found) if text.startswith("floor"))
        found[place] += f" ({rows.constant_answer} for every row, {100 * rows.floor:.2f} %)"
    if "emotion" not in table:
        found += ["*: best of the paper's rows, leaving out those that were counted over other rows"]
    found += table.remarks[table.remarks != ""].drop_duplicates().to_list()
    found += [_check_note(table, rows)]
    found += [
        f"interval: {CONFIDENCE:.0%}, Wilson, as if rows were independent; {rows.num_rows} rows share "
        f"{rows.num_clusters} sources (speaker and sentence), so a clustered one is wider"
        + ("; ours are clustered" if "origin" in table else "")
    ]
    if "emotion" not in table and table.fid.notna().any():
        found += ["FID and FVD: means over single pairs of clips (pairwise-mean), not distances between distributions"]
    if "EDTalk" in set(table.method):
        found += ["methods: not all hear speech as C-MET does; EDTalk is driven by a picture"]
    return found


def _printed() -> dict[str, Any]:
    return json.loads((files("cmet.report") / FILE).read_text(encoding="utf-8"))


def _method_table(corpus: str, printed: Mapping[str, Mapping[str, Any]]) -> pd.DataFrame:
    official = official_rows(corpus)
    odd = not_whole((row["acc_emo_percent"] for row in printed.values()), official.num_rows)
    fitting = fitting_numbers_of_rows(odd, PLAUSIBLE_ROWS) if odd else []
    rows = []
    for method, facts in printed.items():
        percentage = facts["acc_emo_percent"]
        is_at_floor = percentage / 100 <= official.floor
        is_odd = percentage in odd
        rows.append(
            {"corpus": corpus, "method": method}
            | _accuracy(percentage, official.num_rows)
            | {name: facts.get(name, math.nan) for name in MEASURES}
            | {"is_at_floor": is_at_floor}
            | {"flags": _joined({"floor": is_at_floor, "not whole": is_odd})}
            | {"remarks": _odd_remark(odd, fitting, official.num_rows) if is_odd else ""}
            | _labels(corpus, facts)
        )
    return _typed(pd.DataFrame(rows))


def _emotion_table(corpus: str, printed: Mapping[str, float]) -> pd.DataFrame:
    official = official_rows(corpus)
    sizes = {**official.per_emotion, ALL: official.num_rows}
    rows = [{"emotion": emotion} | _accuracy(printed[emotion], size) for emotion, size in sizes.items()]
    shares = [row["num_right"] / row["num_rows"] for row in rows if row["emotion"] != ALL]
    macro = {"emotion": MACRO, "acc_emo": sum(shares) / len(shares), "num_rows": pd.NA, "num_right": pd.NA}
    table = pd.DataFrame([*rows, macro]).assign(corpus=corpus, method=C_MET, is_at_floor=None, remarks="")
    is_odd = table.num_right.isna() & (table.emotion != MACRO)
    table = table.assign(flags=is_odd.map({True: "not whole", False: ""}))
    return _typed(table.assign(**_labels(corpus, _printed()["table1"][corpus][C_MET])))


def _accuracy(percentage: float, num_rows: int) -> dict[str, Any]:
    num_right = right_rows(percentage, num_rows)
    known = num_right is not None
    low, high = wilson_interval(num_right, num_rows, CONFIDENCE) if num_right is not None else (math.nan, math.nan)
    return {
        "acc_emo": round(percentage / 100, 4),
        "num_rows": num_rows if known else pd.NA,
        "num_right": num_right if known else pd.NA,
        "low": low,
        "high": high,
        "coverage": 1.0 if known else math.nan,
    }


def _labels(corpus: str, facts: Mapping[str, Any]) -> dict[str, Any]:
    own = {"backbone": facts.get("backbone", "its own"), "training_steps": str(facts.get("training_steps", NOT_STATED))}
    return PAPER_LABELS | JUDGES[corpus] | own


def _odd_remark(odd: Sequence[float], fitting: Sequence[int], num_rows: int) -> str:
    both = " and ".join(f"{value:.2f}" for value in odd)
    fits = f"{', '.join(map(str, fitting))} rows would fit" if fitting else "nothing fits"
    return (
        f"{both} % are not whole numbers of rows out of {num_rows}; between {PLAUSIBLE_ROWS[0]} and "
        f"{PLAUSIBLE_ROWS[-1]}, {fits}. Other rows were scored, so do not rank these with the others"
    )


def _own_row(row: Mapping[str, Any], corpus: str) -> dict[str, Any]:
    """One of our rows in the columns of the paper's, without an accuracy where it may not be a headline."""
    official = official_rows(corpus)
    missing = missing_labels(row)
    is_uncomparable = bool(missing) or row["comparability"] == UNCOMPARABLE
    num_rows, coverage = row.get("n"), row.get("coverage")
    is_headline = coverage == 1.0 and _is_given(row, "acc_emo")
    is_subset = _is_given(row, "n") and num_rows != official.num_rows
    acc_emo = float(row["acc_emo"]) if is_headline else math.nan
    low, high = row["interval"] if is_headline and _is_given(row, "interval") else (math.nan, math.nan)
    # the floor is that of the paper's rows
    is_at_floor = acc_emo <= official.floor if is_headline and not is_subset else pd.NA
    flags = {
        "floor": is_at_floor is True,
        UNCOMPARABLE: is_uncomparable,
        "no headline": not is_headline,
        "subset": is_subset,
        "synthetic": row.get("synthetic") is True,
    }
    remarks = {
        UNCOMPARABLE: f"does not state {', '.join(missing)}" if missing else "uncomparable, as its own label says",
        "no headline": _headline_remark(row),
        "subset": f"{num_rows} rows, where the paper has {official.num_rows}",
    }
    kept = {name: value for name, value in row.items() if name not in ("n", "interval", "fid", "fvd")}
    return kept | {
        "corpus": corpus,
        "num_rows": num_rows if _is_given(row, "n") else pd.NA,
        "num_right": round(acc_emo * row["n"]) if is_headline and _is_given(row, "n") else pd.NA,
        "acc_emo": acc_emo,
        "low": low,
        "high": high,
        **_distances(row),
        "comparability": UNCOMPARABLE if is_uncomparable else row["comparability"],
        "is_at_floor": is_at_floor,
        "flags": _joined(flags),
        "remarks": "; ".join(f"{row['method']}: {text}" for flag, text in remarks.items() if flags[flag]),
    }


def missing_labels(row: Mapping[str, Any]) -> list[str]:
    """The labels that a row of ours needs to be compared and does not state."""
    missing = [name for name in REQUIRED_LABELS if not _is_given(row, name)]
    missing += [
        f"{name}_kind" for name in ("fid", "fvd") if _is_given(row, name) and not _is_given(row, f"{name}_kind")
    ]
    is_known = row.get("comparability") in (*COMPARABILITIES, UNCOMPARABLE)
    return missing if is_known or "comparability" in missing else [*missing, "comparability"]


def _headline_remark(row: Mapping[str, Any]) -> str:
    if not _is_given(row, "coverage"):
        return "no headline, as the row does not say how many clips could be judged"
    if row["coverage"] == 1.0:
        return "no headline, as no emotion was judged"
    return f"no headline, as {100 * row['coverage']:.2f} % of {row.get('n', 'the')} planned rows have a readable clip"


def _distances(row: Mapping[str, Any]) -> dict[str, float]:
    """FID and FVD under the names of their kinds; only the paper's has none."""
    found = {}
    for name in ("fid", "fvd"):
        if _is_given(row, name):
            kind = row.get(f"{name}_kind")
            found[name if kind == PAPER_KIND else f"{name}_{kind or 'unknown'}"] = float(row[name])
    return found


def _is_given(row: Mapping[str, Any], name: str) -> bool:
    return not _is_missing(row.get(name))


def _is_missing(value: Any) -> bool:
    return value is None or value is pd.NA or value == "" or (isinstance(value, float) and math.isnan(value))


def _joined(flags: Mapping[str, bool]) -> str:
    return ", ".join(flag for flag, is_raised in flags.items() if is_raised)


def _records(table: pd.DataFrame) -> list[dict[str, Any]]:
    return [{str(name): value for name, value in row.items()} for row in table.to_dict("records")]


def _typed(table: pd.DataFrame) -> pd.DataFrame:
    first = [
        "table", "origin", "corpus", "method", "emotion", "num_rows", "num_right", "acc_emo", "low", "high", *MEASURES
    ]  # fmt: skip
    order = [name for name in first if name in table]
    return table[[*order, *(name for name in table if name not in order)]].astype(
        {"num_rows": "Int64", "num_right": "Int64", "is_at_floor": "boolean"}
    )


def _check_note(table: pd.DataFrame, rows: OfficialRows) -> str:
    printed = table[table["origin"] == "paper"] if "origin" in table else table
    if "emotion" in printed:
        printed = printed[printed["emotion"] != MACRO]
    num_odd = int(printed.num_right.isna().sum())
    said = f"whole numbers: {len(printed) - num_odd} of {len(printed)} printed accuracies are a whole number of rows"
    if "emotion" in printed:
        is_total = printed["emotion"] == ALL
        found, total = printed.num_right[~is_total].sum(), printed.num_right[is_total].iloc[0]
        verdict = "as" if found == total else f"NOT {total} as"
        return f"{said}, and those of the emotions sum to {found}, {verdict} the total says"
    # a share of all numbers with two decimals is near some whole number of rows anyway
    return f"{said} out of {rows.num_rows} (a random number would be with a chance of {rows.num_rows / 10_000:.0%})"


def _best(table: pd.DataFrame, measures: Sequence[str]) -> dict[str, set[int]]:
    """Places of the best values, among the rows of the paper only: ours are no part of its ranking."""
    rows = table.reset_index(drop=True)
    is_own = rows["origin"] == "ours" if "origin" in rows else rows.num_right.isna()
    ranked = rows[~is_own & rows.num_right.notna()]
    best = {}
    for name in ("acc_emo", *measures):
        value = ranked[name].min() if name in LOWER_IS_BETTER else ranked[name].max()
        if ranked[name].nunique() > 1:
            best[name] = set(ranked.index[ranked[name] == value])
    return best


def _star(best: Mapping[str, set[int]], name: str, place: int) -> str:
    return "" if name not in best else "*" if place in best[name] else " "


def _count(value: Any) -> str:
    return "" if _is_missing(value) else str(value)


def _number(value: float, decimals: int, factor: float = 1) -> str:
    return "" if _is_missing(value) else f"{factor * value:.{decimals}f}"


def _interval(row: Mapping[str, Any]) -> str:
    low, high = row.get("low", math.nan), row.get("high", math.nan)
    return "" if _is_missing(low) else f"{100 * low:.1f} - {100 * high:.1f}"
