"""Batches hold what networks.md says, checked against a slow reading of it."""

from collections.abc import Callable
from dataclasses import replace
from typing import Literal

import pytest
import torch

from cmet.connector.bank import NEUTRAL, FeatureBank
from cmet.connector.sampler import ClipLists, Sampler, second_group_chances
from cmet.errors import UserError
from cmet.params import EMOTIONS
from cmet.shards import PairSample

MakePairs = Callable[[str], list[PairSample]]
CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def bank(make_pairs: MakePairs) -> FeatureBank:
    return FeatureBank.from_pairs([*make_pairs("b"), *make_pairs("a")], CPU)


def test_bank_holds_each_clip_once_in_order_of_speaker_and_sentence(bank: FeatureBank) -> None:
    assert len(bank.clip_ids) == len(set(bank.clip_ids)) == 2 * (7 * 2 * 3 + 3)
    places = list(zip(bank.speaker_C.tolist(), bank.sentence_C.tolist(), strict=True))
    assert places == sorted(places)
    is_neutral = bank.emotion_C == NEUTRAL
    assert set(bank.level_C[is_neutral].tolist()) == {1}
    assert set(bank.level_C[~is_neutral].tolist()) == {2, 3}


def test_bank_keeps_codes_and_embeddings_with_their_clip(bank: FeatureBank, make_pairs: MakePairs) -> None:
    pair = make_pairs("b")[10]
    clip = bank.clip_ids.index(pair.emotional_clip)
    num_frames = len(pair.emotional_expression)
    assert bank.num_frames_C[clip] == num_frames
    assert bank.expression_CLK[clip, :num_frames].numpy() == pytest.approx(pair.emotional_expression)
    assert not bank.expression_CLK[clip, num_frames:].any()
    assert bank.speech_CS[clip].numpy() == pytest.approx(pair.emotional_speech)


def test_second_emotion_is_another_one_of_the_same_speaker_and_level(bank: FeatureBank) -> None:
    neutral, happy = NEUTRAL, EMOTIONS.index("happy")
    sad = EMOTIONS.index("sad")
    groups = torch.tensor([[0, neutral, 1], [0, happy, 2], [0, happy, 3], [0, sad, 2], [1, neutral, 1], [1, sad, 3]])
    chances = second_group_chances(groups)
    assert chances.tolist() == [
        [0, 0.25, 0.25, 0.5, 0, 0],
        [0.5, 0, 0, 0.5, 0, 0],
        [1, 0, 0, 0, 0, 0],
        [0.5, 0.5, 0, 0, 0, 0],
        [0, 0, 0, 0, 0, 1],
        [0, 0, 0, 0, 1, 0],
    ]


def test_lists_are_counted_around() -> None:
    lists = ClipLists.by_label(torch.tensor([1, 0, 1, 1]), 2)
    assert lists.at(torch.tensor([1, 0]), torch.tensor([[0, 1, 2, 3], [0, 1, 2, 3]])).tolist() == [
        [0, 2, 3, 0],
        [1, 1, 1, 1],
    ]


def test_direction_and_windows_are_means_of_cyclically_repeated_clips(bank: FeatureBank) -> None:
    sampler = Sampler(bank, window=5, num_clips_per_mean=10, seed=1)
    clips_Bn = torch.randint(len(bank.clip_ids), (6, 10), generator=torch.Generator().manual_seed(3))
    frames_BT = torch.tensor([[0, 7, 13, 18, 19]]).expand(6, 5)
    num_frames_B = torch.tensor([5, 8, 11, 15, 19, 20])
    for row, clips in enumerate(clips_Bn.tolist()):
        codes = [bank.expression_CLK[clip, : bank.num_frames_C[clip]] for clip in clips]
        repeated = torch.stack([code.repeat(4, 1)[:20] for code in codes]).mean(0)
        frames = sampler._mean_frames(clips_Bn, frames_BT)[row]
        assert frames.numpy() == pytest.approx(repeated[frames_BT[row]].numpy(), abs=1e-6)
        mean = sampler._mean_over_time(clips_Bn, num_frames_B)[row]
        assert mean.numpy() == pytest.approx(repeated[: num_frames_B[row]].mean(0).numpy(), abs=1e-5)


def test_batches_have_the_shapes_and_a_reference_that_starts_with_zeros(bank: FeatureBank) -> None:
    batch = Sampler(bank, window=5, num_clips_per_mean=10, seed=1).draw(200)
    assert batch.speech_B1S.shape == (200, 1, bank.speech_CS.shape[1])
    assert batch.source_BTK.shape == batch.target_BTK.shape == batch.direction_BTK.shape == (200, 5, 10)
    assert (batch.direction_BTK == batch.direction_BTK[:, :1]).all()
    is_zero_BT = (batch.reference_BTK == 0).all(-1)
    assert ((batch.reference_BTK == batch.direction_BTK).all(-1) | is_zero_BT).all()
    # once the reference is there it stays
    assert (is_zero_BT[:, 1:] <= is_zero_BT[:, :-1]).all()
    assert 0 < is_zero_BT.float().mean() < 1


def test_every_emotion_is_a_first_and_a_second_one_and_speech_agrees_with_the_face(bank: FeatureBank) -> None:
    sampler = Sampler(bank, window=5, num_clips_per_mean=10, seed=1)
    first_B, second_B = sampler._draw_groups(500)
    assert set(sampler.emotion_G[first_B].tolist()) == set(sampler.emotion_G[second_B].tolist()) == set(range(8))
    assert (sampler.emotion_G[first_B] != sampler.emotion_G[second_B]).all()
    batch = sampler.draw(500)
    # the face of this world follows linearly from its voice, so directions must too
    speech, face = batch.speech_B1S[:, 0], batch.direction_BTK[:, 0]
    fitted = speech @ torch.linalg.lstsq(speech, face, driver="gelsd").solution
    assert float(((fitted - face) ** 2).mean() / (face**2).mean()) < 0.05


def test_same_seed_and_restored_state_give_the_same_batches(bank: FeatureBank) -> None:
    one, other = (Sampler(bank, 5, 10, seed=4) for _ in range(2))
    assert torch.equal(one.draw(8).source_BTK, other.draw(8).source_BTK)
    state = one.state()
    expected = one.draw(8)
    fresh = Sampler(bank, 5, 10, seed=99)
    fresh.set_state(state)
    assert all(torch.equal(a, b) for a, b in zip(fresh.draw(8), expected, strict=True))


def test_a_clip_shorter_than_the_window_is_named(bank: FeatureBank) -> None:
    with pytest.raises(UserError, match=r"clip \S+ has \d+ frames, fewer than train.network.window \(30\)"):
        Sampler(bank, window=30, num_clips_per_mean=10, seed=1)


def test_no_pairs_are_an_error() -> None:
    with pytest.raises(UserError, match="the training split holds no pairs"):
        FeatureBank.from_pairs([], CPU)


@pytest.mark.parametrize(("share", "low", "high"), [(0.0, 0.02, 0.2), (0.5, 0.45, 0.65), (1.0, 1.0, 1.0)])
def test_the_wanted_share_of_windows_begins_with_the_clip(
    bank: FeatureBank, share: float, low: float, high: float
) -> None:
    batch = Sampler(bank, window=5, num_clips_per_mean=10, seed=1, first_window_share=share).draw(400)
    is_first_B = (batch.reference_BTK == 0).all(-1).all(-1)
    assert low <= float(is_first_B.float().mean()) <= high


def test_random_speech_means_differ_where_strided_ones_repeat_and_are_of_the_same_lists(bank: FeatureBank) -> None:
    one_hot = replace(bank, speech_CS=torch.eye(len(bank.clip_ids)))
    num_sets = {}
    draws: tuple[Literal["strided", "random"], ...] = ("strided", "random")
    for speech_draw in draws:
        sampler = Sampler(one_hot, window=5, num_clips_per_mean=4, seed=1, speech_draw=speech_draw)
        first, second = (int((sampler.emotion_G == EMOTIONS.index(name)).nonzero()[0, 0]) for name in ("happy", "sad"))
        sets_BS = sampler._draw_speech_direction(torch.full((400,), first), torch.full((400,), second))
        num_sets[speech_draw] = len(torch.unique(sets_BS, dim=0))
        for sign, group in ((-1, first), (1, second)):
            clips = (sign * sets_BS > 0).any(0).nonzero()[:, 0].tolist()
            pool = sampler.pool_G[group]
            assert clips == sorted(sampler.pools.table[pool, : sampler.pools.lengths[pool]].tolist())
            assert sets_BS.mul(sign).clamp(min=0).sum(1).tolist() == pytest.approx([1.0] * 400)
    assert num_sets["strided"] == 6  # as many as the list of an emotion and level has clips
    assert num_sets["random"] > 300
