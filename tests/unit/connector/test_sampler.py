"""Batches hold what the samplers promise, checked against a slow reading of that."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch

from cmet.connector.bank import NEUTRAL_INDEX, NO_LEVEL, FeatureBank
from cmet.connector.sampler import Batch, ClipLists, Sampler, conversion_chances, conversions
from cmet.errors import UserError
from cmet.params import NetworkParams, TrainParams
from cmet.shards import ClipSample, PairSample
from cmet.vocabulary import EMOTIONS

MakePairs = Callable[[str], list[PairSample]]
MakeParams = Callable[..., TrainParams]
CPU = torch.device("cpu")
HAPPY, SAD = EMOTIONS.index("happy"), EMOTIONS.index("sad")


@pytest.fixture(scope="module")
def clips(make_pairs: MakePairs) -> list[ClipSample]:
    return [clip for pair in [*make_pairs("b"), *make_pairs("a")] for clip in pair.clips()]


@pytest.fixture(scope="module")
def bank(clips: list[ClipSample]) -> FeatureBank:
    return FeatureBank.from_clips(clips, CPU)


def equal(one: Batch, other: Batch) -> bool:
    return all(torch.equal(a, b) for a, b in zip(one, other, strict=True))


def test_bank_holds_each_clip_once_in_order_of_speaker_and_sentence(bank: FeatureBank) -> None:
    assert len(bank.clip_ids) == len(set(bank.clip_ids)) == 2 * (7 * 2 * 3 + 3)
    places = [(name[0], name[-3:]) for name in bank.clip_ids]
    assert places == sorted(places)
    assert bank.speaker_C.tolist() == ["ab".index(speaker) for speaker, _ in places]
    is_neutral = bank.emotion_C == NEUTRAL_INDEX
    assert set(bank.level_C[is_neutral].tolist()) == {1}
    assert set(bank.level_C[~is_neutral].tolist()) == {2, 3}


def test_bank_keeps_codes_and_embeddings_with_their_clip(bank: FeatureBank, make_pairs: MakePairs) -> None:
    pair = make_pairs("b")[10]
    clip = bank.clip_ids.index(pair.emotional_clip)
    num_frames = len(pair.emotional_expression)
    assert bank.num_frames_C[clip] == num_frames
    assert codes_of(bank, clip).numpy() == pytest.approx(pair.emotional_expression)
    first = int(bank.starts_C[clip]) + clip
    sums = np.cumsum(np.vstack([np.zeros((1, 10)), pair.emotional_expression]), axis=0)
    assert bank.sums_RK[first : first + num_frames + 1].numpy() == pytest.approx(sums, abs=1e-5)
    assert bank.speech_CS[clip].numpy() == pytest.approx(pair.emotional_speech)


@pytest.mark.parametrize(("is_official", "after_neutral"), [(False, [0, 0.25, 0.25, 0.5, 0, 0, 0]), (True, [0] * 7)])
def test_second_emotion_is_another_one_of_the_same_speaker_and_level(
    is_official: bool, after_neutral: list[float]
) -> None:
    # speaker, emotion, level
    groups = [
        [0, NEUTRAL_INDEX, 1],
        [0, HAPPY, 2],
        [0, HAPPY, 3],
        [0, SAD, 2],
        [1, NEUTRAL_INDEX, 1],
        [1, SAD, 1],
        [2, SAD, 1],
    ]
    assert conversion_chances(torch.tensor(groups), is_official, []).tolist() == [
        after_neutral,
        [0.5, 0, 0, 0.5, 0, 0, 0],
        [1, 0, 0, 0, 0, 0, 0],
        [0.5, 0.5, 0, 0, 0, 0, 0],
        [0, 0, 0, 0, 0, 1, 0],
        [0, 0, 0, 0, 1, 0, 0],
        [0, 0, 0, 0, 0, 0, 0],
    ]


@pytest.mark.parametrize("is_official", [True, False])
def test_any_emotion_follows_a_neutral_one_where_there_are_no_levels(is_official: bool) -> None:
    groups = torch.tensor([[0, NEUTRAL_INDEX, 1], [0, HAPPY, NO_LEVEL], [0, SAD, NO_LEVEL]])
    assert conversion_chances(groups, is_official, []).tolist() == [[0, 0.5, 0.5], [0.5, 0, 0.5], [0.5, 0.5, 0]]


def test_moves_between_excluded_emotions_get_no_chance_and_the_others_keep_theirs() -> None:
    groups = torch.tensor([[0, NEUTRAL_INDEX, 1], [0, HAPPY, 1], [0, SAD, 1]])
    assert conversion_chances(groups, True, [HAPPY, SAD]).tolist() == [[0, 0.5, 0.5], [0.5, 0, 0], [0.5, 0, 0]]


@pytest.mark.parametrize("is_official", [True, False])
def test_the_tables_of_all_speakers_are_what_one_table_would_say(is_official: bool) -> None:
    random = torch.Generator().manual_seed(1)
    labels = torch.stack([torch.randint(high, (60,), generator=random) for high in (5, 6, 4)], 1)
    labels_G3 = torch.unique(labels, dim=0)
    whole_GG = conversion_chances(labels_G3, is_official, [HAPPY, SAD])
    found_E2, chances_E = conversions(labels_G3, is_official, [HAPPY, SAD])
    assert torch.equal(found_E2, whole_GG.nonzero())
    assert torch.equal(chances_E, whole_GG[tuple(found_E2.T)])


def test_lists_are_counted_around() -> None:
    lists = ClipLists.by_label(torch.tensor([1, 0, 1, 1]), torch.tensor([10, 11, 12, 13]), 2)
    assert lists.at(torch.tensor([1, 0]), torch.tensor([[0, 1, 2, 3], [0, 1, 2, 3]])).tolist() == [
        [10, 12, 13, 10],
        [11, 11, 11, 11],
    ]


def test_shares_of_a_list_reach_each_of_its_clips_and_no_other() -> None:
    lists = ClipLists.by_label(torch.tensor([1, 0, 1, 1]), torch.tensor([10, 11, 12, 13]), 2)
    shares = torch.tensor([[0.0, 0.34, 0.67, 1 - 2**-53]], dtype=torch.float64).expand(2, -1)
    assert lists.drawn(torch.tensor([1, 0]), shares).tolist() == [[10, 12, 13, 13], [11, 11, 11, 11]]


def codes_of(bank: FeatureBank, clip: int) -> torch.Tensor:
    return bank.frames_FK[int(bank.starts_C[clip]) :][: int(bank.num_frames_C[clip])]


def test_direction_and_windows_are_means_of_cyclically_repeated_clips(
    bank: FeatureBank, make_params: MakeParams
) -> None:
    batch = Sampler(bank, make_params(), 1).draw(50)
    for row, clips in enumerate(batch.clips_B4n[:, 20:].tolist()):
        means = []
        for side in (clips[:10], clips[10:]):
            codes = [codes_of(bank, clip) for clip in side]
            longest = max(map(len, codes))
            means.append(torch.stack([code.repeat(4, 1)[:longest] for code in codes]).mean(0))
        num_frames = min(map(len, means))
        first_NK, second_NK = (mean[:num_frames] for mean in means)
        direction_K = (second_NK - first_NK).mean(0)
        assert batch.delta_BTK[row].numpy() == pytest.approx(direction_K.expand(5, -1).numpy(), abs=1e-5)
        errors = [float((first_NK[u : u + 5] - batch.source_BTK[row]).abs().max()) for u in range(num_frames - 4)]
        start = int(np.argmin(errors))
        assert errors[start] < 1e-6
        assert batch.target_BTK[row].numpy() == pytest.approx(second_NK[start : start + 5].numpy(), abs=1e-6)
        num_zeros = max(0, 5 - start)
        assert not batch.reference_BTK[row, :num_zeros].any()
        assert torch.equal(batch.reference_BTK[row, num_zeros:], batch.delta_BTK[row, num_zeros:])


@pytest.mark.parametrize("speech_draw", ["strided", "random"])
def test_speech_directions_are_differences_of_means_over_the_named_clips(
    bank: FeatureBank, make_params: MakeParams, speech_draw: str
) -> None:
    batch = Sampler(bank, make_params(speech_draw=speech_draw), 1).draw(50)
    first_BS, second_BS = (bank.speech_CS[batch.clips_B4n[:, place : place + 10]].mean(1) for place in (0, 10))
    assert batch.speech_B1S[:, 0].numpy() == pytest.approx((second_BS - first_BS).numpy(), abs=1e-5)


def test_batches_have_the_shapes_and_a_reference_that_starts_with_zeros(
    bank: FeatureBank, make_params: MakeParams
) -> None:
    batch = Sampler(bank, make_params(), 1).draw(200)
    assert batch.speech_B1S.shape == (200, 1, bank.speech_CS.shape[1])
    assert batch.source_BTK.shape == batch.target_BTK.shape == batch.delta_BTK.shape == (200, 5, 10)
    assert batch.clips_B4n.shape == (200, 40)
    assert (batch.delta_BTK == batch.delta_BTK[:, :1]).all()
    is_zero_BT = (batch.reference_BTK == 0).all(-1)
    assert ((batch.reference_BTK == batch.delta_BTK).all(-1) | is_zero_BT).all()
    # once the reference is there it stays
    assert (is_zero_BT[:, 1:] <= is_zero_BT[:, :-1]).all()
    assert 0 < is_zero_BT.float().mean() < 1
    assert equal(batch.rows(50, 60), Batch(*(tensor[50:60] for tensor in batch)))


def test_every_emotion_is_a_first_and_a_second_one_and_speech_agrees_with_the_face(
    bank: FeatureBank, make_params: MakeParams
) -> None:
    batch = Sampler(bank, make_params(), 1).draw(500)
    assert set(batch.first_labels_B.tolist()) == set(batch.labels_B.tolist()) == set(range(8))
    assert (batch.first_labels_B != batch.labels_B).all()
    emotions_B4n = bank.emotion_C[batch.clips_B4n]
    labels_B4 = torch.stack([batch.first_labels_B, batch.labels_B] * 2, 1)
    assert (emotions_B4n == labels_B4.repeat_interleave(10, 1)).all()
    assert (bank.speaker_C[batch.clips_B4n[:, 20:]] == bank.speaker_C[batch.clips_B4n[:, 20:21]]).all()
    # the face of this world follows linearly from its voice, so directions must too
    speech, face = batch.speech_B1S[:, 0], batch.delta_BTK[:, 0]
    fitted = speech @ torch.linalg.lstsq(speech, face, driver="gelsd").solution
    assert float(((fitted - face) ** 2).mean() / (face**2).mean()) < 0.05


@pytest.mark.parametrize("sampler", ["official", "corrected"])
def test_same_seed_and_restored_state_give_the_same_batches(
    levelled: FeatureBank, make_params: MakeParams, sampler: str
) -> None:
    params = make_params(sampler=sampler)
    one, other = (Sampler(levelled, params, 4) for _ in range(2))
    assert equal(one.draw(8), other.draw(8))
    state = one.state()
    # several epochs of the official index
    expected = [one.draw(8) for _ in range(40)]
    fresh = Sampler(levelled, params, 99)
    fresh.draw(5)
    fresh.set_state(state)
    assert all(equal(fresh.draw(8), batch) for batch in expected)


def test_official_place_is_part_of_the_state_and_corrected_leaves_it_alone(
    levelled: FeatureBank, make_params: MakeParams
) -> None:
    official, corrected = (Sampler(levelled, make_params(sampler=name), 4) for name in ("official", "corrected"))
    official.draw(8)
    state = official.state()
    assert state["place"] == 8
    assert sorted(state["order"].tolist()) == list(range(official.num_listed))
    official.draw(8)
    assert official.place == 16
    # what was saved does not move with the sampler
    assert state["place"] == 8
    corrected.draw(8)
    assert corrected.place == 0
    assert not len(corrected.order)


def test_a_batch_larger_than_the_clip_list_uses_every_index_as_often(
    levelled: FeatureBank, make_params: MakeParams
) -> None:
    sampler = Sampler(levelled, make_params(sampler="official"), 4)
    sampler.draw(2 * sampler.num_listed)
    assert torch.bincount(sampler.order).tolist() == [2] * sampler.num_listed


def test_a_clip_shorter_than_the_window_is_named(bank: FeatureBank, make_params: MakeParams) -> None:
    network = NetworkParams(hidden=32, num_layers=1, num_heads=2, feedforward=32, window=30, dropout=0.1)
    with pytest.raises(UserError, match=r"clip \S+ has \d+ frames, fewer than train.network.window \(30\)"):
        Sampler(bank, make_params(network=network), 1)


def test_no_pairs_are_an_error() -> None:
    with pytest.raises(UserError, match="the training split holds no pairs"):
        FeatureBank.from_clips([], CPU)


def test_an_emotion_outside_the_vocabulary_is_named(clips: list[ClipSample]) -> None:
    with pytest.raises(UserError, match=r"unknown emotions \['bored'\]"):
        FeatureBank.from_clips([*clips, replace(clips[0], clip_id="a-bored", emotion="bored")], CPU)


@pytest.fixture(scope="module")
def levelled(clips: list[ClipSample]) -> FeatureBank:
    """Speaker a at level 1, where official finds conversions from neutral clips, too."""
    own = [clip for clip in clips if clip.speaker == "a" and clip.intensity != 3]
    return FeatureBank.from_clips([replace(clip, intensity=1) for clip in own], CPU)


def test_clips_without_a_partner_are_counted_and_never_begin_a_sample(
    clips: list[ClipSample], make_params: MakeParams
) -> None:
    # b has happy clips only, on two levels
    bank = FeatureBank.from_clips([c for c in clips if c.speaker == "a" or c.emotion == "happy"], CPU)
    sampler = Sampler(bank, make_params(), 1)
    assert sampler.num_unused == 2 * 3
    batch = sampler.draw(300)
    assert set(bank.speaker_C[batch.clips_B4n[:, 20:]].flatten().tolist()) == {0}
    # they are heard all the same
    assert 1 in bank.speaker_C[batch.clips_B4n[:, :20]]


def test_official_leaves_neutral_clips_unused_where_no_emotion_has_level_1(
    bank: FeatureBank, make_params: MakeParams
) -> None:
    sampler = Sampler(bank, make_params(sampler="official"), 1)
    assert sampler.num_unused == 2 * 3
    batch = sampler.draw(300)
    assert NEUTRAL_INDEX not in batch.first_labels_B
    assert NEUTRAL_INDEX in batch.labels_B
    assert Sampler(bank, make_params(), 1).num_unused == 0


def test_clips_that_nothing_can_be_made_of_are_an_error(clips: list[ClipSample], make_params: MakeParams) -> None:
    bank = FeatureBank.from_clips([clip for clip in clips if clip.emotion == "happy"], CPU)
    with pytest.raises(UserError, match="no clip can be turned into another emotion"):
        Sampler(bank, make_params(), 1)


def test_groups_with_fewer_clips_than_a_mean_are_listed(
    clips: list[ClipSample], bank: FeatureBank, make_params: MakeParams
) -> None:
    assert Sampler(bank, make_params(num_clips_per_mean=3), 1).short_lists() == []
    fewer = FeatureBank.from_clips([clip for clip in clips if clip.clip_id != "a-happy-2-000"], CPU)
    assert Sampler(fewer, make_params(num_clips_per_mean=3), 1).short_lists() == [("a-happy-2-001", "happy", 2, 2)]
    everything = Sampler(bank, make_params(num_clips_per_mean=4), 1).short_lists()
    assert len(everything) == 2 * (7 * 2 + 1)
    assert ("b-neutral-1-000", "neutral", 1, 3) in everything


@pytest.mark.parametrize(("share", "low", "high"), [(0.0, 0.02, 0.2), (0.5, 0.45, 0.65), (1.0, 1.0, 1.0)])
def test_the_wanted_share_of_windows_begins_with_the_clip(
    bank: FeatureBank, make_params: MakeParams, share: float, low: float, high: float
) -> None:
    batch = Sampler(bank, make_params(first_window_share=share), 1).draw(400)
    is_first_B = (batch.reference_BTK == 0).all(-1).all(-1)
    assert low <= float(is_first_B.float().mean()) <= high


def test_random_speech_means_differ_where_strided_ones_repeat_and_are_of_the_same_lists(
    bank: FeatureBank, make_params: MakeParams
) -> None:
    num_sets = {}
    for speech_draw in ("strided", "random"):
        batch = Sampler(bank, make_params(num_clips_per_mean=4, speech_draw=speech_draw), 1).draw(40_000)
        moved = bank.level_C[batch.clips_B4n[:, 0]] == 2
        rows = batch.clips_B4n[(batch.first_labels_B == HAPPY) & (batch.labels_B == SAD) & moved]
        num_sets[speech_draw] = len(torch.unique(rows[:, :8], dim=0))
        for emotion, heard in ((HAPPY, rows[:, :4]), (SAD, rows[:, 4:8])):
            in_list = (bank.emotion_C == emotion) & (bank.level_C == 2)
            assert heard.unique().tolist() == in_list.nonzero()[:, 0].tolist()
    assert num_sets["strided"] == 6  # as many as the list of an emotion and level has clips
    assert num_sets["random"] > 250


@pytest.mark.parametrize("share", [0.4, 1.0])
def test_mixed_samples_lie_between_two_of_the_batch_in_voice_and_face_alike(
    bank: FeatureBank, make_params: MakeParams, share: float
) -> None:
    plain = Sampler(bank, make_params(), 1).draw(300)
    mixed = Sampler(bank, make_params(mixup_share=share), 1).draw(300)
    assert all(torch.equal(getattr(plain, name), getattr(mixed, name)) for name in ("labels_B", "first_labels_B"))
    plain_BF, mixed_BF = (torch.cat([part.flatten(1) for part in batch[:5]], 1) for batch in (plain, mixed))
    moved_BF = mixed_BF - plain_BF
    is_moved_B = moved_BF.abs().amax(1) > 1e-5
    assert share - 0.1 < float(is_moved_B.float().mean()) <= share
    weights = []
    for row in is_moved_B.nonzero()[:, 0].tolist():
        # one other sample and one weight explain all that the network is given and shown
        ways_BF = plain_BF - plain_BF[row]
        rests_B = (ways_BF * moved_BF[row]).sum(1) / (ways_BF**2).sum(1).clamp(min=1e-12)
        errors_B = (rests_B[:, None] * ways_BF - moved_BF[row]).abs().amax(1)
        assert float(errors_B.min()) < 1e-4
        weights.append(1 - float(rests_B[errors_B.argmin()]))
    assert 0.5 <= min(weights) < 0.55
    assert 0.95 < max(weights) <= 1
