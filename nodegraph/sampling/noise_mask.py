"""What a noise mask keeps, by ComfyUI's rule: while the model is asked, not after each step.

The model sees the kept part of the original with the noise that sampling began with; of what it
predicts, that part is the original. Where a mask is neither 0 nor 1 that differs from setting the
part back after each step, as diffusers' pipelines do. Source: ComfyUI's `KSamplerX0Inpaint`
(``comfy/samplers.py``).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from nodegraph.sampling.samplers import Sampler


@dataclass(frozen=True, slots=True)
class KeptPart:
    """The kept part of a picture.

    Attributes:
        mask: 1 is denoised, 0 is kept; (1 or batch, 1, height, width) in cells, with a 1 for the
            frames of videos.
        original: The latent of the picture.
        noise: That sampling began with.
    """

    mask: Tensor
    original: Tensor
    noise: Tensor

    def with_original(self, sampler: Sampler) -> Tensor:
        """What a sampler would ask the model about, with the kept part in it; as it keeps it."""
        x, (space, step_index) = sampler.evaluation_x(), sampler.evaluation_point
        return self.mask * x + (1 - self.mask) * space.add_noise(
            self.original, self.noise, step_index
        )

    def blend_output(self, sampler: Sampler, output: Tensor, shown: Tensor) -> Tensor:
        """The output that tells a sampler of the prediction with the kept part in it.

        Args:
            output: The model's, about what was `shown`.
        """
        space, step_index = sampler.evaluation_point
        predicted = space.to_denoised(output, shown, step_index)
        wanted = self.mask * predicted + (1 - self.mask) * self.original
        return self._output_for(sampler, wanted).to(output.dtype)

    def unguided(self, sampler: Sampler, output: Tensor, shown: Tensor) -> Tensor:
        """The output that tells a sampler of the prediction as it is: the kept part is put into
        guided ones alone. Arguments are those of `told`."""
        space, step_index = sampler.evaluation_point
        return self._output_for(sampler, space.to_denoised(output, shown, step_index)).to(
            output.dtype
        )

    def _output_for(self, sampler: Sampler, wanted: Tensor) -> Tensor:
        """The output about what a sampler asks that stands for a prediction."""
        x, (space, step_index) = sampler.evaluation_x(), sampler.evaluation_point
        # predictions are straight in the output: of which one does this one come?
        none = space.to_denoised(torch.zeros_like(wanted), x, step_index)
        slope = space.to_denoised(torch.ones(()), torch.zeros(()), step_index)
        return (wanted - none) / slope
