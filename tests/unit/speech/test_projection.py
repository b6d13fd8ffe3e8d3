from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file
from sklearn.covariance import ledoit_wolf

from cmet.errors import UserError
from cmet.params import TellingRule
from cmet.speech.projection import fit_projection
from cmet.speech.scaling import FILE, FittedProjection, ProjectionFacts, SpeechScaling
from cmet.speech.telling import less_neutral, shrunk_covariance, told_emotions

Corpus = tuple[np.ndarray, np.ndarray, np.ndarray]


def corpus(nuisance: float, num_speakers: int = 6, seed: int = 0) -> Corpus:
    """Embeddings, speakers and emotions; of six features the first three tell the emotion, the last is loud noise."""
    draw = np.random.default_rng(seed)
    emotions = ["neutral", "happy", "sad", "angry"]
    rows = [(f"M{number}", emotion) for number in range(num_speakers) for emotion in emotions for _ in range(8)]
    own = {f"M{number}": 10 * draw.normal(size=6) for number in range(num_speakers)}
    vectors = [
        own[speaker] + np.eye(6)[5 if emotion == "neutral" else emotions.index(emotion) - 1] * (emotion != "neutral")
        for speaker, emotion in rows
    ]
    noise = draw.normal(size=(len(rows), 6)) * [0.2, 0.2, 0.2, 0.2, 0.2, nuisance]
    speakers, labels = zip(*rows, strict=True)
    return np.stack(vectors) + noise, np.array(speakers), np.array(labels)


def accuracy(rule: TellingRule, made: Corpus) -> float:
    is_asked = made[2] != "neutral"
    return float(np.mean(told_emotions(rule, *made)[is_asked] == made[2][is_asked]))


@pytest.mark.parametrize(("num", "width"), [(200, 5), (10, 40)])
def test_the_covariance_is_drawn_in_as_scikit_learn_does(num: int, width: int) -> None:
    values = np.random.default_rng(0).normal(size=(num, width)) * np.arange(1, width + 1)
    expected, _ = ledoit_wolf(values, assume_centered=True)
    np.testing.assert_allclose(shrunk_covariance(values), expected, rtol=1e-10)


def test_loud_noise_in_one_direction_deafens_only_the_nearest_direction() -> None:
    made = corpus(nuisance=8.0)
    assert accuracy("none", made) < 0.75
    assert min(accuracy("whitening", made), accuracy("lda", made)) > 0.95


def test_neutral_clips_are_asked_nothing() -> None:
    made = corpus(nuisance=1.0)
    assert [answer is None for answer in told_emotions("lda", *made)] == (made[2] == "neutral").tolist()


def test_whitened_deltas_spread_alike_within_an_emotion() -> None:
    embeddings, speakers, emotions = made = corpus(nuisance=1.0, num_speakers=40)
    projection, _ = fit_projection("whitening", *made)
    assert projection is not None
    deltas = less_neutral(embeddings, speakers, emotions) @ projection.matrix_PS.T
    within = np.concatenate(
        [deltas[emotions == name] - deltas[emotions == name].mean(axis=0) for name in set(emotions)]
    )
    np.testing.assert_allclose(np.cov(within.T), np.eye(6), atol=0.1)


def test_lda_keeps_as_many_features_as_there_are_emotions_and_loses_nothing_of_its_scores() -> None:
    embeddings, speakers, emotions = made = corpus(nuisance=8.0)
    whole, _ = fit_projection("whitening", *made)
    few, measured = fit_projection("lda", *made)
    assert whole is not None and few is not None
    assert (whole.matrix_PS.shape, few.matrix_PS.shape) == ((6, 6), (3, 6))
    assert few.facts == ProjectionFacts(rule="lda", num_speakers=6, accuracy=measured)
    assert measured == {rule: accuracy(rule, made) for rule in ("none", "lda")}
    deltas = less_neutral(embeddings, speakers, emotions)
    means = np.stack([deltas[emotions == name].mean(axis=0) for name in ("angry", "happy", "sad")])
    scores = [(deltas @ one.matrix_PS.T) @ (means @ one.matrix_PS.T).T for one in (whole, few)]
    np.testing.assert_allclose(*scores, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize(("nuisance", "chosen"), [(0.0, None), (8.0, "whitening")])
def test_auto_takes_the_simplest_rule_that_tells_most(nuisance: float, chosen: str | None) -> None:
    projection, measured = fit_projection("auto", *corpus(nuisance))
    assert measured.keys() == {"none", "whitening", "lda"}
    assert (projection and projection.facts.rule) == chosen
    assert chosen is None or measured[chosen] == max(measured.values()) > measured["none"]


def test_too_few_speakers_are_left_as_they_are_or_told() -> None:
    made = corpus(nuisance=8.0, num_speakers=2)
    assert fit_projection("auto", *made) == (None, {})
    said = r"deltas\.speech_projection is lda, but 2 training speaker\(s\) have neutral clips .*; 3 are needed"
    with pytest.raises(UserError, match=said):
        fit_projection("lda", *made)


def test_speakers_without_neutral_clips_and_emotions_of_one_speaker_have_no_part() -> None:
    embeddings, speakers, emotions = corpus(nuisance=8.0)
    speakers = np.where((speakers == "M0") & (emotions == "neutral"), "M9", speakers)
    emotions = np.where((speakers == "M1") & (emotions == "sad"), "fear", emotions)
    projection, _ = fit_projection("lda", embeddings, speakers, emotions)
    assert projection is not None
    # M9 has neutral clips and nothing else
    assert (projection.facts.num_speakers, len(projection.matrix_PS)) == (6, 3)


@pytest.fixture
def projected() -> SpeechScaling:
    embeddings, speakers, emotions = corpus(nuisance=8.0)
    scaling = SpeechScaling.fit(embeddings)
    projection, _ = fit_projection("lda", scaling.apply(embeddings), speakers, emotions)
    return SpeechScaling(scaling.centre_S, scaling.spread_S, scaling.limit, projection)


def test_a_projected_scaling_is_the_same_after_saving(tmp_path: Path, projected: SpeechScaling) -> None:
    projected.save(tmp_path)
    loaded, embeddings = SpeechScaling.load(tmp_path), corpus(nuisance=8.0)[0]
    assert (loaded.num_features, loaded.width) == (6, 3)
    np.testing.assert_array_equal(loaded.apply(embeddings), projected.apply(embeddings))
    assert loaded.apply(embeddings).shape == (len(embeddings), 3)
    assert loaded.projection is not None and projected.projection is not None
    assert loaded.projection.facts == projected.projection.facts


@pytest.mark.parametrize(
    ("matrix", "notes", "said"),
    [
        (np.ones((3, 5), np.float32), None, r"a projection of shape \(3, 5\) for 6 features"),
        (np.ones((7, 6), np.float32), None, r"a projection of shape \(7, 6\) for 6 features"),
        (np.full((3, 6), np.nan, np.float32), None, "holds values that project nothing"),
        (np.ones((3, 6), np.float32), {}, "does not say how its projection was fitted"),
        (np.ones((3, 6), np.float32), {"projection": '{"rule": "pca"}'}, "does not say how its projection was fitted"),
    ],
)
def test_a_damaged_projection_is_refused(
    tmp_path: Path, projected: SpeechScaling, matrix: np.ndarray, notes: dict[str, str] | None, said: str
) -> None:
    projected.save(tmp_path)
    save_file(load_file(tmp_path / FILE) | {"projection": matrix}, tmp_path / FILE, notes)
    with pytest.raises(UserError, match=said):
        SpeechScaling.load(tmp_path)


def test_an_embedding_without_a_projection_is_scaled_as_ever(tmp_path: Path, projected: SpeechScaling) -> None:
    plain = SpeechScaling(projected.centre_S, projected.spread_S, projected.limit)
    plain.save(tmp_path)
    assert load_file(tmp_path / FILE).keys() == {"centre", "spread", "limit"}
    assert SpeechScaling.load(tmp_path).projection is None


def test_differences_are_projected_as_embeddings_are(projected: SpeechScaling) -> None:
    one, other = corpus(nuisance=0.1)[0][:2]
    difference = projected.apply(one) - projected.apply(other)
    np.testing.assert_allclose(projected.of_deltas(one - other), difference, rtol=1e-3, atol=1e-4)
    assert isinstance(projected.projection, FittedProjection)
