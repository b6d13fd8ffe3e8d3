"""Training samples of C-MET, drawn a batch at a time without a loop over samples.

The semantics are those of the published data set (ChanHyeok-Choi/C-MET at bd384ac, `Dataset` in mode `mean`
with direction `average`): a clip is drawn uniformly and gives speaker, emotion 1 and level; emotion 2 is drawn
from the others; the speech delta is a difference of means over clips of all speakers, the expression
delta one over clips of this speaker. On MEAD its sentence lists are kept (`cmet.corpora.mead`).

`corrected` departs from `official` in what are quirks of the published code:
    Level: a neutral first emotion is followed by a drawn level of emotion 2, instead of level 1.
    Speech: the place in the speech lists is drawn, instead of being the loader's running index.
    Exclusion: a sample with an excluded emotion on either side is left out, instead of on both sides; the bank
        then has no clips of it.

Differs from the published sampler in both:
    Missing clips: draws are made from what exists, with the chances that drawing the sentences again until a file is
        there would give; emotion 2 is one that the speaker has, and a clip whose speaker has no other emotion at its
        level is not drawn.
    Length: clips shorter than a window are refused at the start, instead of drawing again.
    Speech at random: with `speech_draw` "random" every clip of a speech mean is drawn for itself. A list has as many
        strided sets as entries: hundreds on MEAD, sixteen on the sample, which a network knows by heart before it has
        learnt what they have in common.
    First windows: with `first_window_share` above zero, that share of the windows begins with the clip. Only there
        the reference is empty and the delta has to be heard, as at the start of every edit; uniform starts
        show it about once in 36 windows, which is enough for the paper's 200,000 steps and not for a few hundred.
    Mixup: with `mixup_share` above zero, that share of the samples is mixed with others of the batch (Zhang et al.
        2018, alpha 1): what lies between two deltas of the voice goes with what lies between those of the face.
"""

from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from cmet.connector.bank import NEUTRAL_INDEX, NO_LEVEL, FeatureBank
from cmet.errors import UserError
from cmet.params import TrainParams
from cmet.vocabulary import EMOTIONS

# B batch, T frames of a window, n clips per mean, K expression components, S speech features
# C clips, G groups (clips of one speaker, emotion and level), Q pools (clips of one emotion and level)
# E conversions (pairs of a first and a second group)

FIRST_STRIDE, SECOND_STRIDE = 1, 7
"""Steps through the speech lists of emotion 1 and emotion 2."""


class Batch(NamedTuple):
    """Inputs and targets of one training step."""

    speech_B1S: Tensor
    """Scaled speech delta from emotion 1 to emotion 2."""
    reference_BTK: Tensor
    """Deltas of the frames before the window, zero before the first frame."""
    source_BTK: Tensor
    """Expression codes of the window, emotion 1."""
    target_BTK: Tensor
    """The same frames, emotion 2."""
    delta_BTK: Tensor
    labels_B: Tensor
    """Index of emotion 2; of the heavier sample where two are mixed, as in all that follows."""
    first_labels_B: Tensor
    """Index of emotion 1."""
    clips_B4n: Tensor
    """Clips of the bank behind each sample: speech 1, speech 2, expression 1, expression 2."""

    def rows(self, start: int, stop: int) -> "Batch":
        """Some of the samples."""
        return Batch(*(tensor[start:stop] for tensor in self))

    def mixed(self, others_B: Tensor, weights_B: Tensor) -> "Batch":
        """Every sample with this weight, from one half to 1, and the rest of another one, in all but labels."""
        weights_B11 = weights_B[:, None, None]
        return self._replace(
            **{
                name: torch.lerp(getattr(self, name)[others_B], getattr(self, name), weights_B11)
                for name in ("speech_B1S", "reference_BTK", "source_BTK", "target_BTK", "delta_BTK")
            }
        )


@dataclass(frozen=True, eq=False)
class ClipLists:
    """Lists of clips of unequal length as one table, filled up with zeros."""

    table: Tensor
    lengths: Tensor

    @classmethod
    def by_label(cls, labels: Tensor, clips: Tensor, num_lists: int) -> "ClipLists":
        """One list per label of these clips, in their order."""
        lengths = torch.bincount(labels, minlength=num_lists)
        order = torch.argsort(labels, stable=True)
        starts = lengths.cumsum(0) - lengths
        sorted_labels = labels[order]
        places = torch.arange(len(order), device=order.device) - starts[sorted_labels]
        table = torch.zeros(num_lists, int(lengths.max()), dtype=torch.long, device=order.device)
        table[sorted_labels, places] = clips[order]
        return cls(table, lengths)

    def at(self, lists_B: Tensor, places_Bn: Tensor) -> Tensor:
        """Clips at these places of these lists, counted around; shape (B, n)."""
        return self.table[lists_B[:, None], places_Bn % self.lengths[lists_B][:, None]]

    def drawn(self, lists_B: Tensor, shares_Bn: Tensor) -> Tensor:
        """Clips of these lists by shares of their length from 0 to below 1; shape (B, n)."""
        return self.table[lists_B[:, None], _scaled(shares_Bn, self.lengths[lists_B][:, None])]


class Sampler:
    """Draws training batches from a feature bank, by its own random generator."""

    def __init__(self, bank: FeatureBank, params: TrainParams, seed: int) -> None:
        """Group the clips of the bank.

        Args:
            bank: On the device that batches are wanted on.
            params: The `train` section of params.yaml.
            seed: Of the generator, which lives on the device of the bank.

        Raises:
            UserError: A clip is shorter than a window, or no clip can be turned into another emotion.
        """
        window = params.network.window
        shortest = int(bank.num_frames_C.min())
        if shortest < window:
            clip = bank.clip_ids[int(bank.num_frames_C.argmin())]
            raise UserError(
                f"train: clip {clip} has {shortest} frames, fewer than train.network.window ({window}); "
                "raise clips.min_duration_s or choose a smaller window"
            )
        self.bank = bank
        self.window = window
        self.num_clips_per_mean = params.num_clips_per_mean
        self.first_window_share = params.first_window_share
        self.mixup_share = params.mixup_share
        self.speech_draw = params.speech_draw
        self.is_official = params.sampler == "official"
        device = bank.speech_CS.device
        self.generator = torch.Generator(device).manual_seed(seed)

        averaged = bank.is_averaged_C.nonzero()[:, 0]
        labels_C3 = torch.stack([bank.speaker_C, bank.emotion_C, bank.level_C], 1)
        labels_G3, group_A = torch.unique(labels_C3[averaged], dim=0, return_inverse=True)
        pools_Q2, pool_C = torch.unique(labels_C3[:, 1:], dim=0, return_inverse=True)
        self.groups = ClipLists.by_label(group_A, averaged, len(labels_G3))
        self.pools = ClipLists.by_label(pool_C, torch.arange(len(pool_C), device=device), len(pools_Q2))
        self.pool_G = pool_C[self.groups.table[:, 0]]
        self.emotion_G = labels_G3[:, 1]
        self.labels_G3 = labels_G3

        is_drawn_A = bank.is_drawn_C[averaged]
        self.num_drawn_G = torch.bincount(group_A[is_drawn_A], minlength=len(labels_G3))
        excluded = [EMOTIONS.index(emotion) for emotion in params.excluded_emotions] if self.is_official else []
        conversions_E2, chances_E = conversions(labels_G3, self.is_official, excluded)
        weights_E = self._first_chances(params.speaker)[conversions_E2[:, 0]] * chances_E
        self.conversions_E2 = conversions_E2[weights_E > 0]
        if not len(self.conversions_E2):
            raise UserError(
                "train: no clip can be turned into another emotion of its speaker and level; "
                "see the counts of the deltas stage, train.excluded_emotions and train.sampler"
            )
        self.shares_E = weights_E[weights_E > 0].cumsum(0)
        self.shares_E /= self.shares_E[-1].clone()
        self.num_listed = int(self.num_drawn_G.sum())
        """Length of the published clip list, which the loader's index runs through."""
        self.order = torch.zeros(0, dtype=torch.long, device=device)
        """The loader's permutation of this epoch; `official` only."""
        self.place = 0

    @property
    def num_unused(self) -> int:
        """Clips of the list that no sample begins with, as there is nothing to turn them into."""
        is_first_G = torch.zeros_like(self.num_drawn_G, dtype=torch.bool)
        is_first_G[self.conversions_E2[:, 0]] = True
        return int(self.num_drawn_G[~is_first_G].sum())

    def short_lists(self) -> list[tuple[str, str, int, int]]:
        """Clip id, emotion, level and length of the groups that hold fewer clips than a mean asks for.

        Their clips take part several times; the clip id is that of the group's first one.
        """
        short = (self.groups.lengths < self.num_clips_per_mean).nonzero()[:, 0].tolist()
        return [
            (
                self.bank.clip_ids[int(self.groups.table[group, 0])],
                EMOTIONS[int(self.labels_G3[group, 1])],
                int(self.labels_G3[group, 2]),
                int(self.groups.lengths[group]),
            )
            for group in short
        ]

    def draw(self, batch_size: int) -> Batch:
        """The next batch."""
        n = self.num_clips_per_mean
        num_shares = 4 + (4 if self.speech_draw == "random" else 2) * n
        # float64: a product with a whole number never rounds up to it
        shares = torch.rand(
            batch_size, num_shares, generator=self.generator, dtype=torch.float64, device=self.generator.device
        )
        conversion_B, place_B, start_B, is_first_B = shares[:, :4].unbind(1)
        first_B, second_B = self.conversions_E2[
            torch.searchsorted(self.shares_E, conversion_B.contiguous(), right=True)
        ].unbind(1)
        clips1_Bn = self.groups.drawn(first_B, shares[:, 4 : 4 + n])
        clips2_Bn = self.groups.drawn(second_B, shares[:, 4 + n : 4 + 2 * n])
        pools1_B, pools2_B = self.pool_G[first_B], self.pool_G[second_B]
        if self.speech_draw == "random":
            heard1_Bn = self.pools.drawn(pools1_B, shares[:, 4 + 2 * n : 4 + 3 * n])
            heard2_Bn = self.pools.drawn(pools2_B, shares[:, 4 + 3 * n :])
        else:
            places_B1 = self._speech_places(place_B)[:, None]
            steps_n = torch.arange(n, device=places_B1.device)
            heard1_Bn = self.pools.at(pools1_B, places_B1 + FIRST_STRIDE * steps_n)
            heard2_Bn = self.pools.at(pools2_B, places_B1 + SECOND_STRIDE * steps_n)

        num_frames_B = torch.minimum(self._longest(clips1_Bn), self._longest(clips2_Bn))
        delta_BK = self._mean_over_time(clips2_Bn, num_frames_B) - self._mean_over_time(clips1_Bn, num_frames_B)
        starts_B = _scaled(start_B, num_frames_B - self.window + 1)
        starts_B = starts_B.masked_fill(is_first_B < self.first_window_share, 0)
        frames_BT = starts_B[:, None] + torch.arange(self.window, device=starts_B.device)
        has_reference_BT = (frames_BT - self.window >= 0)[..., None]
        delta_BTK = delta_BK[:, None].expand(-1, self.window, -1)
        batch = Batch(
            speech_B1S=(self._mean_speech(heard2_Bn) - self._mean_speech(heard1_Bn))[:, None],
            reference_BTK=delta_BTK * has_reference_BT,
            source_BTK=self._mean_frames(clips1_Bn, frames_BT),
            target_BTK=self._mean_frames(clips2_Bn, frames_BT),
            delta_BTK=delta_BTK,
            labels_B=self.emotion_G[second_B],
            first_labels_B=self.emotion_G[first_B],
            clips_B4n=torch.cat([heard1_Bn, heard2_Bn, clips1_Bn, clips2_Bn], 1),
        )
        return self._mixed(batch) if self.mixup_share else batch

    def _mixed(self, batch: Batch) -> Batch:
        """Some of the samples mixed with others of the batch, by weights that are uniform."""
        num, device = len(batch.labels_B), self.generator.device
        others_B = torch.randperm(num, generator=self.generator, device=device)
        share_B, weights_B = torch.rand(2, num, generator=self.generator, device=device)
        return batch.mixed(others_B, torch.where(share_B < self.mixup_share, 1 - weights_B / 2, 1))

    def state(self) -> dict[str, Any]:
        """Where the sampler is, for a checkpoint."""
        return {"generator": self.generator.get_state(), "order": self.order.cpu(), "place": self.place}

    def set_state(self, state: dict[str, Any]) -> None:
        """Go on where another sampler over the same bank was."""
        self.generator.set_state(state["generator"])
        self.order = state["order"].to(self.order.device)
        self.place = state["place"]

    def _first_chances(self, speaker: str) -> Tensor:
        """How often each group comes first, shape (G,), float64, up to a factor."""
        drawn_G = self.num_drawn_G.double()
        if speaker == "same":
            return drawn_G
        # emotion and level are those of a drawn clip, then any speaker; all starts over if that one has not got them
        drawn_Q = torch.zeros(len(self.pools.lengths), dtype=torch.float64, device=drawn_G.device)
        return drawn_Q.index_add(0, self.pool_G, drawn_G)[self.pool_G]

    def _speech_places(self, shares_B: Tensor) -> Tensor:
        """Where in the speech lists to begin."""
        if not self.is_official:
            return _scaled(shares_B, self.num_listed)
        batch_size = len(shares_B)
        if self.place + batch_size > len(self.order):
            # an epoch of the loader is a permutation, and its last short batch is dropped
            num_permuted = -(-batch_size // self.num_listed)
            self.order = torch.cat(
                [
                    torch.randperm(self.num_listed, generator=self.generator, device=self.generator.device)
                    for _ in range(num_permuted)
                ]
            )
            self.place = 0
        self.place += batch_size
        return self.order[self.place - batch_size : self.place]

    def _longest(self, clips_Bn: Tensor) -> Tensor:
        return self.bank.num_frames_C[clips_Bn].amax(1)

    def _mean_speech(self, clips_Bn: Tensor) -> Tensor:
        return functional.embedding_bag(clips_Bn, self.bank.speech_CS, mode="mean")

    def _mean_frames(self, clips_Bn: Tensor, frames_BT: Tensor) -> Tensor:
        """Mean of the clips at these frames, each clip repeated cyclically; shape (B, T, K)."""
        bank = self.bank
        rows_BTn = frames_BT[..., None] % bank.num_frames_C[clips_Bn][:, None] + bank.starts_C[clips_Bn][:, None]
        means_MK = functional.embedding_bag(rows_BTn.flatten(0, 1), bank.frames_FK, mode="mean")
        return means_MK.unflatten(0, frames_BT.shape)

    def _mean_over_time(self, clips_Bn: Tensor, num_frames_B: Tensor) -> Tensor:
        """Mean of the clips over their first frames, each clip repeated cyclically; shape (B, K)."""
        bank = self.bank
        lengths_Bn = bank.num_frames_C[clips_Bn]
        first_rows_Bn = bank.starts_C[clips_Bn] + clips_Bn
        cycles_Bn = num_frames_B[:, None] // lengths_Bn
        rest_Bn = num_frames_B[:, None] % lengths_Bn
        whole_BnK, part_BnK = bank.sums_RK[first_rows_Bn + lengths_Bn], bank.sums_RK[first_rows_Bn + rest_Bn]
        return (cycles_Bn[..., None] * whole_BnK + part_BnK).mean(1) / num_frames_B[:, None]


def conversions(labels_G3: Tensor, is_official: bool, excluded: list[int]) -> tuple[Tensor, Tensor]:
    """Pairs of a first and a second group that have a chance, shape (E, 2), and their chances, shape (E,).

    They are of one speaker, so there is a table for each: one for all speakers would grow with their number squared.

    Args:
        labels_G3: Speaker, emotion and level of each group, sorted.
        is_official: As of `conversion_chances`.
        excluded: Likewise.
    """
    counts = torch.unique_consecutive(labels_G3[:, 0], return_counts=True)[1]
    found, chances, start = [labels_G3.new_zeros(0, 2)], [labels_G3.new_zeros(0, dtype=torch.float64)], 0
    for labels in labels_G3.split(counts.tolist()):
        chances_GG = conversion_chances(labels, is_official, excluded)
        places_E2 = chances_GG.nonzero()
        found.append(places_E2 + start)
        chances.append(chances_GG[tuple(places_E2.T)])
        start += len(labels)
    return torch.cat(found), torch.cat(chances)


def conversion_chances(labels_G3: Tensor, is_official: bool, excluded: list[int]) -> Tensor:
    """Chance of each second group after each first one, shape (G, G), float64.

    The second has the speaker of the first, another emotion, and the same level unless it is neutral; after a neutral
    first one, which is of level 1, `corrected` takes any level. Emotions have equal chances, then the levels of an
    emotion. Rows of groups that nothing fits to are zero.

    Args:
        labels_G3: Speaker, emotion and level of each group.
        is_official: Whether the published level rule holds.
        excluded: Emotions; conversions from one to another get no chance, without making others of the row likelier.
    """
    speaker_G, emotion_G, level_G = labels_G3.T
    is_neutral_G = emotion_G == NEUTRAL_INDEX
    # a corpus without levels has nothing but NO_LEVEL to follow a neutral first emotion
    any_level_G = is_neutral_G[:, None] & ((level_G == NO_LEVEL) | (not is_official))
    fits_level_GG = (level_G[:, None] == level_G) | is_neutral_G | any_level_G
    fits_GG = (speaker_G[:, None] == speaker_G) & (emotion_G[:, None] != emotion_G) & fits_level_GG
    has_emotion_EG = (torch.arange(len(EMOTIONS), device=emotion_G.device)[:, None] == emotion_G).double()
    num_levels_GE = fits_GG.double() @ has_emotion_EG.T
    num_emotions_G = (num_levels_GE > 0).sum(1)
    chances_GG = fits_GG / (num_levels_GE[:, emotion_G].clamp(min=1) * num_emotions_G.clamp(min=1)[:, None])
    is_excluded_G = torch.isin(emotion_G, torch.tensor(excluded, dtype=torch.long, device=emotion_G.device))
    return chances_GG.masked_fill(is_excluded_G[:, None] & is_excluded_G, 0)


def _scaled(shares: Tensor, limits: Tensor | int) -> Tensor:
    """Whole numbers from 0 to below each limit, from shares of 0 to below 1."""
    return (shares * limits).long()
