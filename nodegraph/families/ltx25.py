"""LTX-2.5: videos with sound from prompts, also with first, last or other images. No torch.

The network is LTX-2.3's, without biases in the layers behind the attention of the video. It adds a
learned embedding to tokens that stand for one frame instead of eight. Gemma 4 12B reads prompts.

Sources: diffusers, ``pipelines/ltx2/pipeline_ltx2_dfr.py``; https://github.com/Lightricks/LTX-2;
ComfyUI, ``comfy/ldm/lightricks/model.py``
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from nodegraph.families.base import Config, Part
from nodegraph.families.ltx2 import COMMON, LTX2Video, is_later
from nodegraph.families.ltx2_files import CONNECTORS, LATER_TRANSFORMER
from nodegraph.weights.lazy import torch
from nodegraph.weights.single_files.gemma4 import GEMMA4_12B

if TYPE_CHECKING:
    from torch import Tensor


class LTX25Video(LTX2Video):
    """LTX-2 with an embedding for tokens of one frame, as the first latent frame's are."""

    def mismatch(self, configs: Mapping[str, Config]) -> str | None:
        """See `Family.mismatch`."""
        return None if is_later(configs.get("transformer", {})) else "LTX-2"

    def marked_tokens(self, cells: Tensor, per_frame: int) -> Tensor | None:
        """Those of the first latent frame, which stands for one frame of the video.

        Frame guides behind the video aren't marked, although they may stand for one frame, too:
        the embedding is for frames that the network makes.
        """
        marked = torch.zeros(len(cells), cells.shape[1], 1, device=cells.device)
        marked[:, :per_frame] = 1
        return marked


_CONNECTORS = replace(
    CONNECTORS,
    name="ltx25-connectors",
    title="the connectors of LTX-2.5, in the file of its transformer",
)
LTX25 = LTX25Video(
    "ltx25",
    "LTX-2.5",
    pipelines=("LTX2Pipeline", "LTX2ImageToVideoPipeline", "LTX2DFRPipeline"),
    denoisers=(Part("transformer", ("LTX2VideoTransformer3DModel",), files=(LATER_TRANSFORMER,)),),
    encoders=(
        Part("text_encoder", ("Gemma4UnifiedForConditionalGeneration",), files=(GEMMA4_12B,)),
        Part("connectors", ("LTX2TextConnectors",), files=(_CONNECTORS,)),
    ),
    tokenizers=(Part("tokenizer", ("GemmaTokenizer",), vocabulary="gemma4"),),
    **COMMON,
)
