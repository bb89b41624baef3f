import torch
from easy_nodes import (
    Choice,
    ComfyNode,
    ImageTensor,
    MaskTensor,
    NumberInput,
    StringInput,
    show_text,
)


@ComfyNode(return_names=["below", "above"])
def threshold_image(
    image: ImageTensor, threshold: float = NumberInput(0.5, 0, 1, 0.01, display="slider")
) -> tuple[MaskTensor, MaskTensor]:
    """Masks of what lies below the threshold and of the rest."""
    below = torch.any(image < threshold, dim=-1)
    return below.float(), (~below).float()


@ComfyNode(is_output_node=True)
def describe(
    mask: MaskTensor, words: str = StringInput("mean"), kind: str = Choice(["plain", "loud"])
) -> str:
    text = f"{words} {float(mask.mean()):.2f}"
    text = text.upper() if kind == "loud" else text
    show_text(text)
    return text


@ComfyNode()
def mean_of(images: list[ImageTensor]) -> ImageTensor:
    return torch.stack(images).mean(dim=0)
