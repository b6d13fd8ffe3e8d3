from collections import Counter
from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import typer
from typer.testing import CliRunner

from cmet.commands.compare import compare, parsed_run
from cmet.edits.product import sample_id
from cmet.errors import UserError
from cmet.params import EvaluateParams, Params
from cmet.scores.compare import (
    HELD_OUT,
    NUM_FLIPS,
    Comparison,
    chosen_method,
    compare_results,
    comparison_notes,
    flip_test,
    printed_comparison,
    refuse_unlike,
    write_clips,
)
from cmet.scores.results import COLUMNS, write_results

PARAMS = EvaluateParams(num_bootstrap=20_000, confidence=0.9, metrics=[])
JUDGES = {"old": "a" * 64, "new": "b" * 64}
CLUSTERS = (3, 1, 4, 2)
"""Rows of each cluster."""


def results(
    answers: dict[str, str | None],
    method: str = "cmet",
    protocol: str = "pool-by-intensity-12345678",
    judge: str = "old",
    held_out: str = "sad",
    more: dict[str, dict[str, float]] | None = None,
) -> pd.DataFrame:
    """Results of rows `<speaker>-<sentence>-<emotion>-<number>`, each with its answer and other metrics."""
    rows = []
    for row_id, answer in answers.items():
        speaker, sentence, emotion, _ = row_id.split("-")
        row = dict.fromkeys(COLUMNS) | {
            "sample_id": sample_id(protocol, row_id, method),
            "corpus": "mead",
            "backbone": "edtalk",
            "method": method,
            "protocol": protocol,
            "judge": JUDGES[judge],
            "is_held_out": emotion == held_out,
            "row_id": row_id,
            "speaker": speaker,
            "sentence": sentence,
            "emotion": emotion,
            "intensity": 2,
        }
        rows.append(row | {"metric": "acc_emo", "value": float(answer == emotion), "answer": answer})
        rows += [row | {"metric": name, "value": of[row_id]} for name, of in (more or {}).items()]
    return pd.DataFrame(rows, columns=COLUMNS).astype({"intensity": "Int64"})


def uneven() -> tuple[dict[str, str | None], dict[str, str | None]]:
    """Answers of two sides on four clusters of unequal size, with changes of every kind."""
    ids = [f"S{k}-001-happy-{number}" for k, size in enumerate(CLUSTERS) for number in range(size)]
    a = dict(zip(ids, ["happy", "sad", "sad", "happy", "sad", None, "happy", "fear", "sad", "happy"], strict=True))
    b = dict(
        zip(ids, ["happy", "happy", "happy", "fear", "happy", "happy", "happy", "sad", "happy", "happy"], strict=True)
    )
    return a, b


def compared(a: pd.DataFrame, b: pd.DataFrame, metric: str = "acc_emo") -> Comparison:
    return compare_results(a, b, "cmet", "cmet", metric, PARAMS, 7)


def gains() -> list[list[int]]:
    """Differences of `uneven` by cluster."""
    a, b = uneven()
    of_cluster: dict[str, list[int]] = {}
    for row_id in a:
        gain = int(b[row_id] == "happy") - int(a[row_id] == "happy")
        of_cluster.setdefault(row_id.split("-")[0], []).append(gain)
    return list(of_cluster.values())


def test_difference_and_changes_are_those_of_the_rows() -> None:
    a, b = uneven()
    part = compared(results(a), results(b)).main
    assert (part.num_rows, part.num_clusters) == (10, 4)
    assert (part.a, part.b) == (0.4, 0.8)
    assert part.difference == pytest.approx(0.4)
    assert part.changes == {"right to wrong": 1, "wrong to right": 5, "wrong to another wrong": 1}


def test_the_interval_is_that_of_all_resamples_of_clusters() -> None:
    rng = np.random.default_rng(5)
    sizes = (3, 1, 4, 2, 5)
    gains = [list(rng.normal(0.3, 1, size)) for size in sizes]
    ids = [f"S{k}-001-happy-{number}" for k, size in enumerate(sizes) for number in range(size)]
    before = dict(zip(ids, rng.normal(size=len(ids)), strict=True))
    after = {row_id: before[row_id] + gain for row_id, gain in zip(ids, sum(gains, []), strict=True)}
    answers = dict.fromkeys(ids, "happy")
    part = compared(results(answers, more={"x": before}), results(answers, more={"x": after}), "x").main

    means = [sum(all_rows := sum(taken, [])) / len(all_rows) for taken in product(gains, repeat=len(gains))]
    assert len(means) == 5**5
    means.sort()
    assert part.interval == pytest.approx((means[round(0.05 * 5**5)], means[round(0.95 * 5**5)]), abs=0.01)
    assert part.difference == pytest.approx(sum(sum(gains, [])) / len(ids))


def test_the_p_value_is_the_share_of_all_flips_that_are_as_extreme() -> None:
    found = abs(sum(gain for cluster in gains() for gain in cluster))
    flipped = [
        sum(sign * gain for sign, cluster in zip(signs, gains(), strict=True) for gain in cluster)
        for signs in product((1, -1), repeat=len(CLUSTERS))
    ]
    expected = sum(abs(total) >= found for total in flipped) / len(flipped)
    a, b = uneven()
    part = compared(results(a), results(b)).main
    assert part.p_value == pytest.approx(expected)
    assert 0 < expected < 1
    assert part.is_exact


def test_drawn_flips_come_near_the_exact_value() -> None:
    sums = np.random.default_rng(3).integers(-3, 5, 24).astype(float)
    reached = Counter({0: 1})
    for size in sums.astype(int):
        reached = Counter({total + sign * size: 0 for total in reached for sign in (1, -1)}) + sum(
            (Counter({total + sign * size: number}) for total, number in reached.items() for sign in (1, -1)), Counter()
        )
    extreme = sum(number for total, number in reached.items() if abs(total) >= abs(sums.sum()))
    expected = extreme / sum(reached.values())
    p_value, is_exact = flip_test(sums, seed=1)
    assert not is_exact
    assert p_value == pytest.approx(expected, abs=5 * np.sqrt(expected * (1 - expected) / NUM_FLIPS))


def test_the_same_seed_gives_the_same_numbers_and_no_difference_has_p_1() -> None:
    a, b = uneven()
    assert compared(results(a), results(b)).main.interval == compared(results(a), results(b)).main.interval
    same = compared(results(a), results(a)).main
    assert (same.difference, same.interval, same.p_value) == (0, (0, 0), 1)


@pytest.mark.parametrize(("num_differing", "smallest"), [(0, "1"), (1, "1"), (2, "0.5"), (5, "0.0625")])
def test_fewer_than_six_differing_clusters_say_what_p_cannot_go_below(num_differing: int, smallest: str) -> None:
    ids = [f"S{k}-001-happy-0" for k in range(8)]
    a = {row_id: "sad" if place < num_differing else "happy" for place, row_id in enumerate(ids)}
    comparison = compared(results(a), results(dict.fromkeys(ids, "happy")))
    # all differences are of one sign, so p is as small as it can be
    assert comparison.main.p_value == comparison.main.smallest_p == float(smallest)
    assert [note for note in comparison_notes(comparison) if note.startswith("main")] == [
        f"main: {num_differing} of 8 cluster(s) differ; the smallest p that a two-sided flip test can give is then "
        f"{smallest}"
    ]


def test_six_differing_clusters_are_not_few() -> None:
    many = {f"S{k}-001-happy-0": "happy" for k in range(6)}
    comparison = compared(results(dict.fromkeys(many, "sad")), results(many))
    assert comparison.main.p_value == 2 / 2**6
    assert not any(note.startswith("main") for note in comparison_notes(comparison))


def test_clusters_whose_changes_cancel_do_not_differ() -> None:
    a = {"S1-001-happy-0": "happy", "S1-001-happy-1": "sad", "S2-001-happy-0": "sad"}
    b = {"S1-001-happy-0": "sad", "S1-001-happy-1": "happy", "S2-001-happy-0": "happy"}
    comparison = compared(results(a), results(b))
    assert (comparison.main.num_clusters, comparison.main.num_differing, comparison.main.p_value) == (2, 1, 1)
    assert "main: 2 cluster(s) in all, so the interval is too narrow" in comparison_notes(comparison)


def test_the_held_out_emotion_stands_apart() -> None:
    a, b = uneven()
    comparison = compared(results({**a, "S9-001-sad-0": "happy"}), results({**b, "S9-001-sad-0": "sad"}))
    assert comparison.main.num_rows == 10
    assert (comparison.held_out.a, comparison.held_out.b) == (0, 1)
    assert (comparison.clips.rows == HELD_OUT).sum() == 1


def test_differences_of_each_emotion() -> None:
    a = {"S1-001-happy-0": "happy", "S1-001-angry-0": "sad", "S2-001-angry-0": "angry"}
    b = {"S1-001-happy-0": "fear", "S1-001-angry-0": "angry", "S2-001-angry-0": "angry"}
    table = compared(results(a), results(b)).main.per_emotion.set_index("emotion")
    assert table.loc["angry"].to_list() == [2, 0.5, 1.0, 0.5]
    assert table.loc["happy"].to_list() == [1, 1.0, 0.0, -1.0]


def test_rows_of_one_side_are_counted_and_left_out() -> None:
    a, b = uneven()
    comparison = compared(results({**a, "S9-001-happy-0": "happy"}), results({**b, "S8-001-happy-0": "sad"}))
    assert comparison.main.num_rows == 10
    assert comparison.clips.set_index("row_id").rows["S9-001-happy-0"] == "only in A"
    text = printed_comparison(comparison)
    assert "note: 1 row(s) left out, only in A: S9-001-happy-0" in text
    assert "note: 1 row(s) left out, only in B: S8-001-happy-0" in text


def test_rows_that_one_side_was_trained_on_are_left_out() -> None:
    a, b = uneven()
    rows = {"S9-001-sad-0": "sad", "S9-001-fear-0": "sad"}
    comparison = compared(results({**a, **rows}, held_out="sad"), results({**b, **rows}, held_out="fear"))
    assert comparison.held_out is None
    assert comparison.main.num_rows == 10
    assert "2 row(s) left out, held out in one only: S9-001-fear-0, S9-001-sad-0" in comparison_notes(comparison)


def test_another_metric_counts_the_clips_that_have_it_in_both() -> None:
    a, b = uneven()
    low = {row_id: float(place) for place, row_id in enumerate(a)}
    high = {row_id: value + 0.25 for row_id, value in low.items()} | {"S0-001-happy-0": np.nan}
    comparison = compared(results(a, more={"sync_conf": low}), results(b, more={"sync_conf": high}), "sync_conf")
    assert comparison.main.num_rows == 9
    assert comparison.main.difference == pytest.approx(0.25)
    assert comparison.main.interval == pytest.approx((0.25, 0.25))
    assert comparison.main.changes == {}
    assert "1 row(s) left out, no value: S0-001-happy-0" in comparison_notes(comparison)
    assert "right" not in printed_comparison(comparison)


def test_the_text_says_what_was_compared_and_which_clips_changed() -> None:
    a, b = uneven()
    text = printed_comparison(compared(results(a), results(b)), max_listed=2)
    assert (
        "A: A, method cmet, backbone edtalk, corpus mead, protocol pool-by-intensity-12345678, judge aaaaaaaaaaaa"
        in text
    )
    assert "main: 1 right to wrong, 5 wrong to right, 1 wrong to another wrong" in text
    assert "| S1-001-happy-0 | happy   | happy  | fear   | right to wrong |" in text
    assert "... and 5 more; --out writes them all" in text


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_every_clip_is_written(tmp_path: Path, suffix: str) -> None:
    a, b = uneven()
    write_clips(compared(results(a), results(b)), tmp_path / f"clips{suffix}")
    read = pd.read_csv if suffix == ".csv" else pd.read_parquet
    clips = read(tmp_path / f"clips{suffix}").set_index("row_id")
    assert len(clips) == 10
    assert clips.loc["S2-001-happy-1", ["said_a", "said_b", "change"]].to_list() == [
        "failed",
        "happy",
        "wrong to right",
    ]


def test_sides_that_cannot_be_compared_are_refused() -> None:
    a, b = uneven()
    with pytest.raises(UserError, match="A and B have no row in common, for example S0-001-happy-0 and S9-001-happy-0"):
        compared(results(a), results({"S9-001-happy-0": "sad"}))
    other = results(b)
    with pytest.raises(UserError, match=r"10 row\(s\) want one emotion in A and another in B, first S0-001-happy-0"):
        compared(results(a), other.assign(emotion="angry"))
    with pytest.raises(UserError, match="A: no values of lmd for clips of cmet; there are acc_emo"):
        compared(results(a), other, "lmd")
    with pytest.raises(UserError, match="B: no method oracle; there are cmet"):
        compare_results(results(a), other, "cmet", "oracle", "acc_emo", PARAMS, 7)


def test_two_judges_are_refused_where_the_metric_is_theirs() -> None:
    a, b = uneven()
    sync = {"sync_conf": dict.fromkeys(a, 1.0)}
    sides = results(a, more=sync), results(b, judge="new", more=sync)
    with pytest.raises(UserError, match="A was judged by aaaaaaaaaaaa, B by bbbbbbbbbbbb.*--any-judge"):
        refuse_unlike(compared(*sides), any_judge=False, any_protocol=False)
    refuse_unlike(compared(*sides), any_judge=True, any_protocol=False)
    refuse_unlike(compared(*sides, "sync_conf"), any_judge=False, any_protocol=False)
    assert any(note.startswith("two judges: aaaa") for note in comparison_notes(compared(*sides)))


def test_two_protocols_are_refused() -> None:
    a, b = uneven()
    comparison = compared(results(a), results(b, protocol="static-folder-87654321"))
    with pytest.raises(
        UserError, match="A follows protocol pool-by-intensity-12345678, B follows static-folder-87654321"
    ):
        refuse_unlike(comparison, any_judge=False, any_protocol=False)
    refuse_unlike(comparison, any_judge=False, any_protocol=True)


def test_the_method_is_cmet_or_the_only_one() -> None:
    a, _ = uneven()
    both = pd.concat([results(a), results(a, "oracle"), results(a, "ground_truth")])
    assert chosen_method(both, None, "x") == "cmet"
    assert chosen_method(both, "ground_truth", "x") == "ground_truth"
    assert chosen_method(both[both.method.isin(["oracle", "ground_truth"])], None, "x") == "oracle"
    with pytest.raises(UserError, match="x: no method eat; there are cmet, ground_truth, oracle"):
        chosen_method(both, "eat", "x")
    several = pd.concat([results(a, "eat"), results(a, "float")])
    with pytest.raises(UserError, match="x: which method. There are eat, float; write x:METHOD"):
        chosen_method(several, None, "x")


@pytest.mark.parametrize(
    ("text", "place", "method"),
    [
        ("data/evaluate", "data/evaluate", None),
        ("data/evaluate:oracle", "data/evaluate", "oracle"),
        ("c:/data", "c:/data", None),
        ("0" * 32 + ":cmet", "0" * 32, "cmet"),
        (":cmet", ":cmet", None),
    ],
)
def test_a_run_is_a_place_and_perhaps_a_method(text: str, place: str, method: str | None) -> None:
    assert parsed_run(text) == (place, method)


def test_a_path_with_a_colon_that_is_there_is_a_path(tmp_path: Path) -> None:
    (tmp_path / "a:b").mkdir()
    assert parsed_run(str(tmp_path / "a:b")) == (str(tmp_path / "a:b"), None)


@pytest.fixture
def project(tmp_path: Path, params: Params, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project with two sets of results, and the folder one is in."""
    # JSON is YAML
    (tmp_path / "params.yaml").write_text(params.model_dump_json(), encoding="utf-8")
    a, b = uneven()
    write_results(results(a), tmp_path / "a/results.parquet")
    write_results(results(b), tmp_path / "b/results.parquet")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(*arguments: str) -> str:
    app = typer.Typer(pretty_exceptions_enable=False)
    app.command()(compare)
    result = CliRunner().invoke(app, arguments)
    if result.exception:
        raise result.exception
    return result.output


def test_the_command_prints_and_writes(project: Path) -> None:
    text = run("a", "b/results.parquet:cmet", "--out", "clips.csv")
    assert "+40.00" in text
    assert (project / "clips.csv").is_file()
    with pytest.raises(UserError, match=r"clips.txt: name a file that ends in .csv or .parquet"):
        run("a", "b", "--out", "clips.txt")
    with pytest.raises(UserError, match="nowhere: no results"):
        run("a", "nowhere")


def test_results_outside_of_a_project_are_compared_as_cmet_score_draws(project: Path) -> None:
    (project / "params.yaml").unlink()
    assert "| 95 % interval" in run("a", "b")
    with pytest.raises(UserError, match="params.yaml: no such file"):
        run("a", "b", "--params", "params.yaml")


def test_a_run_of_mlflow_is_taken_by_its_id(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UserError, match=r"0{32}: no runs were logged in .*; name the folder of the results instead"):
        run("0" * 32, "b")
    assert not (project / "mlflow.db").exists()
    from mlflow import MlflowClient

    # a store of files opens at once, one of SQLite takes many seconds to make
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", (project / "runs").as_uri())
    client = MlflowClient((project / "runs").as_uri())
    experiment = client.create_experiment("cmet")
    logged, empty = (client.create_run(experiment).info.run_id for _ in range(2))
    client.log_artifact(logged, str(project / "a/results.parquet"))
    assert "+40.00" in run(logged, "b")
    with pytest.raises(UserError, match="this run logged no results.parquet"):
        run(empty, "b")
    with pytest.raises(UserError, match="0{32}: no such run in"):
        run("0" * 32, "b")
