"""Training samples of C-MET, drawn a batch at a time without a loop over samples.

The semantics are those of the published data set (ChanHyeok-Choi/C-MET at bd384ac, `Dataset` in mode `mean`
with direction `average`): a clip is drawn uniformly and gives speaker, emotion 1 and level; emotion 2 is drawn
from the others; the speech direction is a difference of means over clips of all speakers, the expression
direction one over clips of this speaker.

Differs from the published sampler:
    Level: a neutral first emotion is followed by a drawn level of emotion 2, where the published one takes
        level 1 always (a corpus need not have it).
    Speech: the place in the speech lists is drawn here; the published one uses the loader's running index.
    Sentences: all sentences of the bank take part; MEAD's sentence filters are not applied.
    Missing clips: draws are made from what exists, instead of again until a file is there.
    Length: clips shorter than a window are refused at the start, instead of drawing again.
    Exclusion: a held-out emotion is not in the bank at all.
    Speech at random: with `speech_draw` "random" every clip of a speech mean is drawn for itself. A list has as many
        strided sets as entries: hundreds on MEAD, sixteen on the sample, which a network knows by heart before it has
        learnt what they have in common.
    First windows: with `first_window_share` above zero, that share of the windows begins with the clip. Only there
        the reference is empty and the direction has to be heard, as at the start of every edit; uniform starts
        show it about once in 36 windows, which is enough for the paper's 200,000 steps and not for a few hundred.
"""

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from cmet.connector.bank import NEUTRAL, FeatureBank
from cmet.errors import UserError
from cmet.params import SpeechDraw

# B batch, T frames of a window, n clips per mean, K expression components, S speech features
# C clips, G groups (clips of one speaker, emotion and level), Q pools (clips of one emotion and level)

FIRST_STRIDE, SECOND_STRIDE = 1, 7
"""Steps through the speech lists of emotion 1 and emotion 2."""


class Batch(NamedTuple):
    """Inputs and targets of one training step."""

    speech_B1S: Tensor
    """Scaled speech direction from emotion 1 to emotion 2."""
    reference_BTK: Tensor
    """Directions of the frames before the window, zero before the first frame."""
    source_BTK: Tensor
    """Expression codes of the window, emotion 1."""
    target_BTK: Tensor
    """The same frames, emotion 2."""
    direction_BTK: Tensor
    labels_B: Tensor
    """Index of emotion 2."""


@dataclass(frozen=True, eq=False)
class ClipLists:
    """Lists of clips of unequal length as one table, filled up with zeros."""

    table: Tensor
    lengths: Tensor

    @classmethod
    def by_label(cls, labels_C: Tensor, num_lists: int) -> "ClipLists":
        """One list per label, clips in the order of the bank."""
        lengths = torch.bincount(labels_C, minlength=num_lists)
        order = torch.argsort(labels_C, stable=True)
        starts = lengths.cumsum(0) - lengths
        sorted_labels = labels_C[order]
        places = torch.arange(len(order), device=order.device) - starts[sorted_labels]
        table = torch.zeros(num_lists, int(lengths.max()), dtype=torch.long, device=order.device)
        table[sorted_labels, places] = order
        return cls(table, lengths)

    def at(self, lists_B: Tensor, places_Bn: Tensor) -> Tensor:
        """Clips at these places of these lists, counted around; shape (B, n)."""
        return self.table[lists_B[:, None], places_Bn % self.lengths[lists_B][:, None]]


class Sampler:
    """Draws training batches from a feature bank, by its own random generator."""

    def __init__(
        self,
        bank: FeatureBank,
        window: int,
        num_clips_per_mean: int,
        seed: int,
        first_window_share: float = 0.0,
        speech_draw: SpeechDraw = "strided",
    ) -> None:
        """Group the clips of the bank.

        Raises:
            UserError: A clip is shorter than a window, or an emotion stands alone at its speaker and level.
        """
        shortest = int(bank.num_frames_C.min())
        if shortest < window:
            clip = bank.clip_ids[int(bank.num_frames_C.argmin())]
            raise UserError(
                f"train: clip {clip} has {shortest} frames, fewer than train.network.window ({window}); "
                "raise clips.min_duration_s or take a smaller window"
            )
        self.bank = bank
        self.window = window
        self.num_clips_per_mean = num_clips_per_mean
        self.first_window_share = first_window_share
        self.speech_draw = speech_draw
        self.generator = torch.Generator().manual_seed(seed)
        # a clip's group is its speaker, emotion and level; its pool is its emotion and level, all speakers
        labels_C3 = torch.stack([bank.speaker_C, bank.emotion_C, bank.level_C], 1)
        labels_G3, self.group_C = torch.unique(labels_C3, dim=0, return_inverse=True)
        pools, pool_C = torch.unique(labels_C3[:, 1:], dim=0, return_inverse=True)
        self.groups = ClipLists.by_label(self.group_C, len(labels_G3))
        self.pools = ClipLists.by_label(pool_C, len(pools))
        self.pool_G = pool_C[self.groups.table[:, 0]]
        self.emotion_G = labels_G3[:, 1]
        self.chances_GG = second_group_chances(labels_G3).cpu()
        # sums over the first frames of each clip give any mean over time without visiting the frames
        self.sums_CLK = torch.nn.functional.pad(bank.expression_CLK, (0, 0, 1, 0)).cumsum(1)

    def draw(self, batch_size: int) -> Batch:
        """The next batch."""
        device = self.bank.speech_CS.device
        first_B, second_B = self._draw_groups(batch_size)
        speech_BS = self._draw_speech_direction(first_B, second_B)
        clips1_Bn = self._draw_from(self.groups, first_B)
        clips2_Bn = self._draw_from(self.groups, second_B)
        longest_B = torch.minimum(self._longest(clips1_Bn), self._longest(clips2_Bn))
        direction_BK = self._mean_over_time(clips2_Bn, longest_B) - self._mean_over_time(clips1_Bn, longest_B)
        start_B = self._draw_starts(longest_B - self.window + 1)

        steps_T = torch.arange(self.window, device=device)
        frames_BT = start_B[:, None] + steps_T
        has_reference_BT = (frames_BT - self.window >= 0)[..., None]
        direction_BTK = direction_BK[:, None].expand(-1, self.window, -1)
        return Batch(
            speech_B1S=speech_BS[:, None],
            reference_BTK=direction_BTK * has_reference_BT,
            source_BTK=self._mean_frames(clips1_Bn, frames_BT),
            target_BTK=self._mean_frames(clips2_Bn, frames_BT),
            direction_BTK=direction_BTK,
            labels_B=self.emotion_G[second_B],
        )

    def state(self) -> Tensor:
        """State of the random generator."""
        return self.generator.get_state()

    def set_state(self, state: Tensor) -> None:
        """Go on where another sampler over the same bank was."""
        self.generator.set_state(state)

    def _draw_groups(self, batch_size: int) -> tuple[Tensor, Tensor]:
        clips = torch.randint(len(self.group_C), (batch_size,), generator=self.generator)
        first_B = self.group_C[clips.to(self.group_C.device)]
        second_B = torch.multinomial(self.chances_GG[first_B.cpu()], 1, generator=self.generator)[:, 0]
        return first_B, second_B.to(first_B.device)

    def _draw_speech_direction(self, first_B: Tensor, second_B: Tensor) -> Tensor:
        pools1_B, pools2_B = self.pool_G[first_B], self.pool_G[second_B]
        if self.speech_draw == "random":
            clips1_Bn, clips2_Bn = self._draw_from(self.pools, pools1_B), self._draw_from(self.pools, pools2_B)
        else:
            start = torch.randint(len(self.group_C), (len(first_B), 1), generator=self.generator)
            start_B1 = start.to(first_B.device)
            steps_n = torch.arange(self.num_clips_per_mean, device=first_B.device)
            clips1_Bn = self.pools.at(pools1_B, start_B1 + FIRST_STRIDE * steps_n)
            clips2_Bn = self.pools.at(pools2_B, start_B1 + SECOND_STRIDE * steps_n)
        return self.bank.speech_CS[clips2_Bn].mean(1) - self.bank.speech_CS[clips1_Bn].mean(1)

    def _draw_starts(self, limits_B: Tensor) -> Tensor:
        start_B = self._draw_below(limits_B)
        if not self.first_window_share:
            return start_B
        is_first_B = torch.rand(len(start_B), generator=self.generator) < self.first_window_share
        return start_B.masked_fill(is_first_B.to(start_B.device), 0)

    def _draw_from(self, lists: ClipLists, chosen_B: Tensor) -> Tensor:
        """Clips for a mean out of each chosen list, with replacement; shape (B, n)."""
        sizes_Bn = lists.lengths[chosen_B][:, None].expand(-1, self.num_clips_per_mean)
        return lists.at(chosen_B, self._draw_below(sizes_Bn))

    def _draw_below(self, limits: Tensor) -> Tensor:
        """Uniform whole numbers from 0 to below each limit."""
        # float64: the product never rounds up to the limit
        share = torch.rand(limits.shape, generator=self.generator, dtype=torch.float64).to(limits.device)
        return (share * limits).long()

    def _longest(self, clips_Bn: Tensor) -> Tensor:
        return self.bank.num_frames_C[clips_Bn].max(1).values

    def _mean_frames(self, clips_Bn: Tensor, frames_BT: Tensor) -> Tensor:
        """Mean of the clips at these frames, each clip repeated cyclically; shape (B, T, K)."""
        places_BnT = frames_BT[:, None] % self.bank.num_frames_C[clips_Bn][..., None]
        return self.bank.expression_CLK[clips_Bn[..., None], places_BnT].mean(1)

    def _mean_over_time(self, clips_Bn: Tensor, num_frames_B: Tensor) -> Tensor:
        """Mean of the clips over their first frames, each clip repeated cyclically; shape (B, K)."""
        lengths_Bn = self.bank.num_frames_C[clips_Bn]
        cycles_Bn = num_frames_B[:, None] // lengths_Bn
        rest_Bn = num_frames_B[:, None] % lengths_Bn
        sums_BnK = cycles_Bn[..., None] * self.sums_CLK[clips_Bn, lengths_Bn] + self.sums_CLK[clips_Bn, rest_Bn]
        return sums_BnK.mean(1) / num_frames_B[:, None]


def second_group_chances(labels_G3: Tensor) -> Tensor:
    """Chance of each second group after each first one, shape (G, G), float64.

    The second has the speaker of the first, another emotion, and the same level unless one of the two is
    neutral. Emotions have equal chances, then the levels of an emotion.

    Args:
        labels_G3: Speaker, emotion and level of each group.

    Raises:
        UserError: A group has no second one.
    """
    speaker_G, emotion_G, level_G = labels_G3.T
    is_neutral_G = emotion_G == NEUTRAL
    fits_level_GG = (level_G[:, None] == level_G) | is_neutral_G[:, None] | is_neutral_G
    fits_GG = (speaker_G[:, None] == speaker_G) & (emotion_G[:, None] != emotion_G) & fits_level_GG
    if not fits_GG.any(1).all():
        raise UserError("train: a speaker has only one emotion at a level, so there is nothing to turn it into")
    has_emotion_EG = (torch.arange(int(emotion_G.max()) + 1, device=emotion_G.device)[:, None] == emotion_G).double()
    num_levels_GE = fits_GG.double() @ has_emotion_EG.T
    num_emotions_G = (num_levels_GE > 0).sum(1)
    return fits_GG / (num_levels_GE[:, emotion_G].clamp(min=1) * num_emotions_G[:, None])
