"""Running the generator: what does not change between frames is computed once, the rest in batches.

Legend: T frames, B frames of a batch, S latent width (512), K coefficients of a frame (36: lip, pose, expression).
"""

from array import array
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, nullcontext
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from cmet.backbones.edtalk.decoder import SourceMap
from cmet.backbones.edtalk.generator import EXPRESSION, NUM_COEFFICIENTS, PICTURE_PX, EDTalkGenerator
from cmet.backbones.edtalk.layers import scale_kernels
from cmet.backbones.published.batching import batched, filled

GPU_BATCH_SIZE = 16


class SourceFeatures(NamedTuple):
    """What the renderer keeps of a source picture."""

    latent_1S: Tensor
    maps: tuple[SourceMap, ...]


class Renderer:
    """Reads coefficients off pictures, and shows a source picture with other coefficients.

    Pictures are RGB in [-1, 1], shape (3, 256, 256). Results do not depend on the size of a batch but for rounding.
    """

    def __init__(
        self,
        generator: EDTalkGenerator,
        batch_size: int | None = None,
        autocast: torch.dtype | None = None,
        compiles: bool = False,
    ) -> None:
        """Compute the basis and the coefficient map.

        Args:
            generator: Loaded and on its device; later changes of its weights are not seen.
            batch_size: Pictures that go through the encoder or the decoder at once, by default `GPU_BATCH_SIZE`, or one
                on a CPU, where more are not faster.
            autocast: Lower precision for decoding; flows and pictures stay in float32, and so does encoding, whose
                noise would be as large as what differs between two frames.
            compiles: Whether torch.compile optimises both at their first use, which takes a minute or two. A last
                batch that is shorter is filled up, so that they are compiled for one size only.
        """
        if batch_size is not None and batch_size < 1:
            raise ValueError(f"batch size must be at least 1, got {batch_size}")
        self.generator = generator.eval()
        self.device = generator.direction_exp.weight.device
        self.batch_size = batch_size or (1 if self.device.type == "cpu" else GPU_BATCH_SIZE)
        self._autocast = autocast
        self._compiles = compiles
        with torch.inference_mode():
            self.basis_SK = generator.basis()
            self.matrix_KS, self.offset_K = generator.coefficient_map()
            scale_kernels(generator)
        self._encoder: Callable[[Tensor], Tensor] = generator.enc
        self._decoder: Callable[[tuple[SourceMap, ...], Tensor, Tensor], Tensor] = generator.dec
        if compiles:
            self._encoder = torch.compile(generator.enc, dynamic=False)
            self._decoder = torch.compile(generator.dec, dynamic=False)

    def coefficients(self, pictures: Iterable[Tensor]) -> Tensor:
        """Lip, pose and expression coefficients, shape (T, K), on the CPU."""
        values = array("f")
        for batch in batched(pictures, self.batch_size):
            # one block that grows: small tensors, kept between the large ones of the network, would each pin the memory
            # of a picture
            values.extend(self._encode(batch).flatten().tolist())
        return torch.from_numpy(np.array(values, np.float32)).view(-1, NUM_COEFFICIENTS)

    @torch.inference_mode()
    def source(self, picture_3HW: Tensor) -> SourceFeatures:
        """Encode a source picture, once for all frames that show it."""
        pictures_13HW = self._checked(picture_3HW[None])
        latent_1S, features = self.generator.enc.with_features(pictures_13HW)
        return SourceFeatures(latent_1S, self.generator.dec.prepare(features))

    def render(self, source: SourceFeatures, coefficients_TK: Tensor) -> Iterator[Tensor]:
        """Pictures in batches (B, 3, 256, 256), not clamped, on the renderer's device."""
        if coefficients_TK.ndim != 2 or coefficients_TK.shape[1] != NUM_COEFFICIENTS:
            raise ValueError(f"coefficients: expected (frames, {NUM_COEFFICIENTS}), got {(*coefficients_TK.shape,)}")
        for batch_BK in coefficients_TK.split(self.batch_size):
            if len(batch_BK):  # splitting nothing gives one empty batch
                yield self._decode(source, batch_BK)

    def motion(self, coefficients_BK: Tensor) -> Tensor:
        """What coefficients add to the latent of the source, shape (B, S)."""
        return coefficients_BK @ self.basis_SK.T

    def expression(self, coefficients_BK: Tensor) -> Tensor:
        """The part of the motion that is expression, shape (B, S)."""
        return coefficients_BK[:, EXPRESSION] @ self.basis_SK[:, EXPRESSION].T

    @torch.inference_mode()
    def _encode(self, pictures: list[Tensor]) -> Tensor:
        pictures_B3HW = self._filled(self._checked(torch.stack(pictures)))
        latents_BS = self._encoder(pictures_B3HW)[: len(pictures)]
        return torch.addmm(self.offset_K, latents_BS.to(self.offset_K.dtype), self.matrix_KS.T)

    @torch.inference_mode()
    def _decode(self, source: SourceFeatures, coefficients_BK: Tensor) -> Tensor:
        filled_BK = self._filled(coefficients_BK.to(self.basis_SK))
        latents_BS = source.latent_1S + self.motion(filled_BK)
        with self._precision():
            pictures_B3HW = self._decoder(source.maps, latents_BS, self.expression(filled_BK))
        return pictures_B3HW[: len(coefficients_BK)].float()

    def _filled(self, rows_B: Tensor) -> Tensor:
        return filled(rows_B, self.batch_size) if self._compiles else rows_B

    def _precision(self) -> AbstractContextManager[object]:
        return nullcontext() if self._autocast is None else torch.autocast(self.device.type, self._autocast)

    def _checked(self, pictures_B3HW: Tensor) -> Tensor:
        if pictures_B3HW.shape[1:] != (3, PICTURE_PX, PICTURE_PX):
            raise ValueError(f"pictures: expected (3, {PICTURE_PX}, {PICTURE_PX}), got {(*pictures_B3HW.shape[1:],)}")
        return pictures_B3HW.to(self.basis_SK)
