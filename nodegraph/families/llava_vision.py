"""The vision model of LLaVA without its language model: images as tokens of a prompt.

Source: Liu et al. 2024, arXiv:2310.03744, and transformers' ``LlavaModel.get_image_features``, of
which it has the parts.
"""

from __future__ import annotations

from typing import Any

from torch import Tensor
from transformers import CLIPVisionModel, LlavaConfig, PreTrainedModel
from transformers.models.llava.modeling_llava import LlavaMultiModalProjector


class LlavaVisionModel(PreTrainedModel):  # type: ignore[misc]
    """CLIP's vision model up to the layer that LLaVA reads, and the projection to words.

    Args:
        config: Its vision model has no layers after that one.
    """

    config_class = LlavaConfig
    base_model_prefix = ""

    def __init__(self, config: Any) -> None:
        super().__init__(config)
        self.vision_model = CLIPVisionModel(config.vision_config)
        self.multi_modal_projector = LlavaMultiModalProjector(config)
        self.post_init()

    def get_input_embeddings(self) -> Any:
        """Return the vision model: there are no embedded words."""
        return self.vision_model

    def forward(self, pixel_values: Tensor) -> Tensor:
        """Return the tokens of images.

        Args:
            pixel_values: Shape (images, 3, side, side), as the image processor makes them.
        Returns:
            Shape (images, tokens, width of the language model).
        """
        states = self.vision_model(pixel_values).last_hidden_state
        # The first one is that of the whole image.
        tokens: Tensor = self.multi_modal_projector(states[:, 1:])
        return tokens
