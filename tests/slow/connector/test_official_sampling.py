"""`sampler: official` draws what the published data set draws: compared with the probabilities that its code gives, and
with a slow reading of it (`tests.official_sampler`)."""

from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy import stats

from cmet.connector.bank import FeatureBank
from cmet.connector.features import TrainingShards
from cmet.connector.sampler import Batch, Sampler
from cmet.params import TrainParams
from cmet.shards import ClipSample
from cmet.vocabulary import EMOTIONS
from tests.official_sampler import (
    AVERAGED_SENTENCES,
    DRAWN_SENTENCES,
    NUM_CLIPS,
    WINDOW,
    Drawn,
    OfficialDataset,
    clip_id_of,
    cyclic_mean,
    mead_clips,
    windows_at,
    write_tree,
)

MakeParams = Callable[..., TrainParams]
Conversion = tuple[str, str, int, str]
"""Speaker, emotion 1, level and emotion 2."""

CPU = torch.device("cpu")
SPEAKERS = ["M005", "M007", "W011"]
NUM_OURS, NUM_REFERENCE, NUM_COMPARED = 20_000, 1_500, 400
SMALLEST_P = 1e-3


@dataclass(frozen=True, eq=False)
class World:
    """The same clips as feature files and as a bank."""

    root: Path
    clips: dict[str, ClipSample]
    bank: FeatureBank

    def drawn(self) -> list[ClipSample]:
        return [clip for clip in self.clips.values() if int(clip.sentence) in DRAWN_SENTENCES[clip.emotion]]

    def averaged_ids(self) -> set[str]:
        return {key for key, clip in self.clips.items() if int(clip.sentence) in AVERAGED_SENTENCES[clip.emotion]}

    def ids(self, batch: Batch) -> list[list[str]]:
        """Clip ids behind each sample: speech 1, speech 2, expression 1, expression 2."""
        return [[self.bank.clip_ids[clip] for clip in row] for row in batch.clips_B4n.tolist()]

    def conversions(self, batch: Batch) -> list[tuple[Conversion, int]]:
        """The conversion of each sample, and the level of its second emotion."""
        pairs = batch.clips_B4n[:, [2 * NUM_CLIPS, 3 * NUM_CLIPS]].tolist()
        found = []
        for pair in pairs:
            first, second = (self.clips[self.bank.clip_ids[clip]] for clip in pair)
            assert first.speaker == second.speaker
            found.append(((first.speaker, first.emotion, level(first), second.emotion), level(second)))
        return found


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    root = tmp_path_factory.mktemp("tree")
    # the last speaker has half as many clips, so that speakers by clips and speakers by name differ
    clips = mead_clips(SPEAKERS[:-1], missing=0.12, speech_width=8)
    clips += mead_clips(SPEAKERS[-1:], missing=0.5, speech_width=8)
    write_tree(root, clips)
    return World(root, {clip.clip_id: clip for clip in clips}, FeatureBank.from_clips(clips, CPU))


@pytest.fixture(scope="module")
def make_sampler(world: World, make_params: MakeParams) -> Callable[..., Sampler]:
    return lambda seed=1, **changes: Sampler(world.bank, make_params(**{"sampler": "official"} | changes), seed)


@pytest.fixture(scope="module")
def batch(make_sampler: Callable[..., Sampler]) -> Batch:
    return make_sampler().draw(NUM_OURS)


@pytest.fixture(scope="module")
def reference(world: World) -> OfficialDataset:
    return OfficialDataset(world.root, seed=1, load=cache(np.load))


@pytest.fixture(scope="module")
def reference_draws(reference: OfficialDataset) -> list[Drawn]:
    return [reference.draw() for _ in range(NUM_REFERENCE)]


def level(clip: ClipSample) -> int:
    assert clip.intensity is not None
    return clip.intensity


def expected_conversions(world: World, speaker: str, excluded: Collection[str] = ()) -> dict[Conversion, float]:
    """Chances by counting: a drawn clip, any other emotion, both not excluded."""
    shares: dict[Conversion, float] = defaultdict(float)
    for clip in world.drawn():
        for second in EMOTIONS:
            if second != clip.emotion and not {clip.emotion, second} <= set(excluded):
                speakers = [clip.speaker] if speaker == "same" else SPEAKERS
                for name in speakers:
                    shares[name, clip.emotion, level(clip), second] += 1 / len(speakers)
    total = sum(shares.values())
    return {conversion: share / total for conversion, share in shares.items()}


def grouped(shares: dict[Conversion, float], part: Callable[[Conversion], object]) -> dict[object, float]:
    found: dict[object, float] = defaultdict(float)
    for conversion, share in shares.items():
        found[part(conversion)] += share
    return found


def chance_of(found: Iterable[object], expected: dict[object, float]) -> float:
    """How likely counts at least as far from the expected ones are (chi-square)."""
    counts = Counter(found)
    assert set(counts) <= set(expected)
    num = sum(counts.values())
    return float(
        stats.chisquare([counts[key] for key in expected], [num * share for share in expected.values()]).pvalue
    )


def chance_of_both(one: Iterable[object], other: Iterable[object]) -> float:
    """How likely it is that both were drawn from one distribution (chi-square)."""
    counts = Counter(one), Counter(other)
    keys = sorted(set(counts[0]) | set(counts[1]), key=str)
    return float(stats.chi2_contingency([[count[key] for key in keys] for count in counts]).pvalue)


def emotions_and_level(conversion: Conversion) -> object:
    return conversion[1:]


def speaker_of(conversion: Conversion) -> object:
    return conversion[0]


def conversion_of(drawn: Drawn) -> Conversion:
    return drawn.speaker, drawn.first, drawn.level, drawn.second


def check_conversions(ours: list[Conversion], theirs: list[Conversion], expected: dict[Conversion, float]) -> None:
    for part in (emotions_and_level, speaker_of):
        shares = grouped(expected, part)
        our_parts, their_parts = [part(conversion) for conversion in ours], [part(conversion) for conversion in theirs]
        assert chance_of(our_parts, shares) > SMALLEST_P
        assert chance_of(their_parts, shares) > SMALLEST_P
        assert chance_of_both(our_parts, their_parts) > SMALLEST_P


def test_speaker_level_and_emotions_have_the_chances_of_the_clip_list(
    world: World, batch: Batch, reference_draws: list[Drawn]
) -> None:
    ours = [conversion for conversion, _ in world.conversions(batch)]
    expected = expected_conversions(world, "same")
    check_conversions(ours, [conversion_of(drawn) for drawn in reference_draws], expected)
    assert chance_of(ours, grouped(expected, lambda conversion: conversion)) > SMALLEST_P


def test_batches_name_the_emotions_of_their_clips(world: World, batch: Batch) -> None:
    conversions = [conversion for conversion, _ in world.conversions(batch)]
    assert batch.first_labels_B.tolist() == [EMOTIONS.index(conversion[1]) for conversion in conversions]
    assert batch.labels_B.tolist() == [EMOTIONS.index(conversion[3]) for conversion in conversions]


def test_another_speaker_is_any_of_the_split_with_emotions_and_level_as_drawn(
    world: World, make_sampler: Callable[..., Sampler]
) -> None:
    ours = [conversion for conversion, _ in world.conversions(make_sampler(speaker="different").draw(NUM_OURS))]
    dataset = OfficialDataset(world.root, speaker="different", seed=2, load=cache(np.load))
    theirs = [conversion_of(dataset.draw()) for _ in range(NUM_REFERENCE)]
    check_conversions(ours, theirs, expected_conversions(world, "different"))
    assert chance_of((conversion[0] for conversion in ours), dict.fromkeys(SPEAKERS, 1 / 3)) > SMALLEST_P


def test_official_exclusion_drops_only_moves_between_excluded_emotions(
    world: World, make_sampler: Callable[..., Sampler]
) -> None:
    excluded = ["fear", "happy", "sad"]
    ours = [conversion for conversion, _ in world.conversions(make_sampler(excluded_emotions=excluded).draw(NUM_OURS))]
    dataset = OfficialDataset(world.root, excluded=excluded, seed=3, load=cache(np.load))
    theirs = [conversion_of(dataset.draw()) for _ in range(NUM_REFERENCE)]
    check_conversions(ours, theirs, expected_conversions(world, "same", excluded))
    assert set(excluded) <= {conversion[1] for conversion in ours} & {conversion[3] for conversion in ours}


def test_corrected_exclusion_leaves_no_clip_of_an_excluded_emotion_anywhere(
    world: World, make_params: MakeParams
) -> None:
    excluded = frozenset({"happy", "sad"})
    kept = TrainingShards(world.root, [], [], excluded).clips_of(world.clips.values())
    bank = FeatureBank.from_clips(kept, CPU)
    batch = Sampler(bank, make_params(sampler="corrected", excluded_emotions=sorted(excluded)), 1).draw(3000)
    heard_and_seen = {world.clips[bank.clip_ids[clip]].emotion for clip in batch.clips_B4n.unique().tolist()}
    assert heard_and_seen == set(EMOTIONS) - excluded


def test_a_neutral_first_emotion_takes_level_1_in_official_and_a_drawn_level_in_corrected(
    world: World, batch: Batch, make_sampler: Callable[..., Sampler]
) -> None:
    def levels_after_neutral(batch: Batch) -> list[int]:
        return [second for conversion, second in world.conversions(batch) if conversion[1] == "neutral"]

    assert set(levels_after_neutral(batch)) == {1}
    corrected = make_sampler(sampler="corrected").draw(NUM_OURS)
    assert chance_of(levels_after_neutral(corrected), dict.fromkeys((1, 2, 3), 1 / 3)) > SMALLEST_P
    for sampled in (batch, corrected):
        conversions = world.conversions(sampled)
        assert all(
            second == (1 if conversion[3] == "neutral" else conversion[2])
            for conversion, second in conversions
            if conversion[1] != "neutral"
        )


def test_speech_is_the_published_directions_of_the_loaders_index(
    world: World, make_sampler: Callable[..., Sampler], reference: OfficialDataset
) -> None:
    sampler = make_sampler()
    assert sampler.num_listed == len(reference)
    num = len(reference)
    sampler.order, sampler.place = torch.arange(num), 0
    batch = sampler.draw(num)
    for index, (conversion, _) in enumerate(world.conversions(batch)):
        _, first, level, second = conversion
        first_S, second_S = reference.speech_means(first, second, level, index)
        assert batch.speech_B1S[index, 0].numpy() == pytest.approx(second_S - first_S, abs=1e-5)


def test_each_epoch_uses_each_index_once_in_a_new_order(
    world: World, make_sampler: Callable[..., Sampler], reference: OfficialDataset
) -> None:
    sampler, size = make_sampler(), 100
    orders = []
    for _ in range(2):
        used: list[int] = []
        for _ in range(len(reference) // size):
            batch = sampler.draw(size)
            indices = sampler.order[sampler.place - size : sampler.place].tolist()
            used += indices
            for index, ids, (conversion, second) in zip(
                indices, world.ids(batch), world.conversions(batch), strict=True
            ):
                first_list, second_list = (
                    [clip_id_of(path) for path in reference.speech_lists[group]]
                    for group in ((conversion[1], conversion[2]), (conversion[3], second))
                )
                assert ids[:10] == [first_list[(index + step) % len(first_list)] for step in range(10)]
                assert ids[10:20] == [second_list[(index + 7 * step) % len(second_list)] for step in range(10)]
        assert sorted(sampler.order.tolist()) == list(range(len(reference)))
        assert len(set(used)) == len(used)
        orders.append(sampler.order)
    assert not torch.equal(*orders)


def test_expression_clips_are_drawn_alike_from_the_listed_sentences_that_exist(
    world: World, batch: Batch, reference_draws: list[Drawn]
) -> None:
    ours = [clip for row in world.ids(batch) for clip in row[2 * NUM_CLIPS :]]
    theirs = [clip_id_of(path) for drawn in reference_draws for pair in drawn.paths for path in pair]
    listed = world.averaged_ids()
    groups: dict[object, list[str]] = {}
    for clip_id in sorted(listed):
        clip = world.clips[clip_id]
        groups.setdefault((clip.speaker, clip.emotion, clip.intensity), []).append(clip_id)
    for found in (ours, theirs):
        counts = Counter(found)
        assert set(counts) == listed
        distance = sum(stats.chisquare([counts[clip] for clip in group]).statistic for group in groups.values())
        assert stats.chi2.sf(distance, len(listed) - len(groups)) > SMALLEST_P


def test_the_ten_clips_of_a_mean_are_drawn_independently_with_replacement(world: World, batch: Batch) -> None:
    counts = np.array([[len(set(row[20:30])), len(set(row[30:]))] for row in world.ids(batch)])
    sizes = Counter(
        (clip.speaker, clip.emotion, clip.intensity) for clip in map(world.clips.__getitem__, world.averaged_ids())
    )
    expected = []
    for (speaker, first, number, second), second_level in world.conversions(batch):
        pair = sizes[speaker, first, number], sizes[speaker, second, second_level]
        expected.append([size * (1 - (1 - 1 / size) ** 10) for size in pair])
    assert counts.mean(0) == pytest.approx(np.mean(expected, axis=0), abs=0.03)
    assert abs(np.corrcoef(counts.T - np.array(expected).T)[0, 1]) < 0.03


@dataclass(frozen=True)
class Compared:
    """Samples of ours, with the means and the start frame that the reference finds for their clips."""

    means: list[tuple[np.ndarray, np.ndarray]]
    starts: list[int]

    @property
    def num_frames(self) -> list[int]:
        return [len(first_NK) for first_NK, _ in self.means]


@pytest.fixture(scope="module")
def compared(world: World, batch: Batch) -> Compared:
    means, starts = [], []
    for row, ids in enumerate(world.ids(batch.rows(0, NUM_COMPARED))):
        codes = [world.clips[clip].expression for clip in ids[2 * NUM_CLIPS :]]
        first, second = cyclic_mean(codes[:NUM_CLIPS]), cyclic_mean(codes[NUM_CLIPS:])
        num_frames = min(len(first), len(second))
        means.append((first[:num_frames], second[:num_frames]))
        windows = np.lib.stride_tricks.sliding_window_view(first[:num_frames], WINDOW, axis=0).swapaxes(1, 2)
        starts.append(int(np.abs(windows - batch.source_BTK[row].numpy()).max((1, 2)).argmin()))
    return Compared(means, starts)


def test_windows_and_directions_are_those_of_the_reference_for_the_same_clips_and_start(
    batch: Batch, compared: Compared
) -> None:
    found = batch.reference_BTK, batch.source_BTK, batch.target_BTK, batch.delta_BTK
    for row, ((first_NK, second_NK), start) in enumerate(zip(compared.means, compared.starts, strict=True)):
        expected = windows_at(first_NK, second_NK, start)
        for ours, theirs in zip(found, expected, strict=True):
            assert ours[row].numpy() == pytest.approx(theirs, abs=1e-5)


def test_windows_start_anywhere_alike(compared: Compared, reference_draws: list[Drawn]) -> None:
    theirs = [drawn.start for drawn in reference_draws], [len(drawn.first_NK) for drawn in reference_draws]
    within = np.random.default_rng(1)
    for starts, num_frames in ((compared.starts, compared.num_frames), theirs):
        num_starts = np.array(num_frames) - WINDOW + 1
        assert (np.array(starts) < num_starts).all()
        # a whole number plus a share of one is uniform if the number is
        places = (np.array(starts) + within.random(len(starts))) / num_starts
        assert stats.kstest(places, "uniform").pvalue > SMALLEST_P


def test_the_first_and_the_last_window_of_a_clip_are_as_likely_as_any(world: World, make_params: MakeParams) -> None:
    # frames that hold their own number
    counting = np.repeat(np.arange(WINDOW + 2, dtype=np.float32)[:, None], 10, axis=1)
    clips = [replace(clip, expression=counting) for clip in world.clips.values()]
    batch = Sampler(FeatureBank.from_clips(clips, CPU), make_params(sampler="official"), 1).draw(NUM_OURS)
    starts = batch.source_BTK[:, 0, 0].round().int().tolist()
    assert chance_of(starts, dict.fromkeys((0, 1, 2), 1 / 3)) > SMALLEST_P


def test_references_begin_with_zeros_as_often_as_windows_start_early(world: World, batch: Batch) -> None:
    zeros_B = (batch.reference_BTK == 0).all(-1).sum(1)
    longest = [world.bank.num_frames_C[part].amax(1) for part in batch.clips_B4n.split(NUM_CLIPS, 1)[2:]]
    num_starts_B = torch.minimum(*longest) - WINDOW + 1
    early = float((1 / num_starts_B.double()).sum())
    expected = [len(zeros_B) - WINDOW * early, *[early] * WINDOW]
    found = torch.bincount(zeros_B, minlength=WINDOW + 1).tolist()
    assert stats.chisquare(found, expected).pvalue > SMALLEST_P


def test_only_moves_that_exist_are_drawn_and_the_clips_without_one_are_counted(
    world: World, make_params: MakeParams
) -> None:
    def exists(clip: ClipSample) -> bool:
        # M005 keeps only fear at level 3, M007 has nothing at level 2 but fear and sad
        if clip.speaker == "M005" and clip.intensity == 3:
            return clip.emotion == "fear"
        return clip.speaker != "M007" or clip.intensity != 2 or clip.emotion in ("fear", "sad")

    clips = [
        clip for clip in world.clips.values() if exists(clip) and (clip.speaker, clip.emotion) != ("M005", "neutral")
    ]
    bank = FeatureBank.from_clips(clips, CPU)
    sampler = Sampler(bank, make_params(sampler="official"), 1)
    fewer = World(world.root, {clip.clip_id: clip for clip in clips}, bank)
    conversions = [conversion for conversion, _ in fewer.conversions(sampler.draw(NUM_OURS))]
    expected: dict[object, float] = defaultdict(float)
    num_unused = 0
    for clip in fewer.drawn():
        seconds = [
            emotion
            for emotion in EMOTIONS
            if emotion != clip.emotion
            and any(
                other.speaker == clip.speaker
                and other.emotion == emotion
                and (emotion == "neutral" or other.intensity == clip.intensity)
                for other in clips
            )
        ]
        num_unused += not seconds
        for second in seconds:
            expected[clip.speaker, clip.emotion, level(clip), second] += 1 / len(seconds)
    total = sum(expected.values())
    assert chance_of(conversions, {conversion: share / total for conversion, share in expected.items()}) > SMALLEST_P
    alone = [clip for clip in fewer.drawn() if clip.speaker == "M005" and clip.intensity == 3]
    assert sampler.num_unused == num_unused == len(alone) > 0
    assert sampler.num_listed == len(fewer.drawn())
