"""A node of your own, in four lines. Run `nodegraph run custom_node.json --pack custom_node.py`."""

from typing import Annotated

from nodegraph import Image, Range, node


@node(category="image/adjust")
def Brighten(image: Image, amount: Annotated[float, Range(0, 4, step=0.1)] = 1.2) -> Image:
    """Multiply the brightness of each pixel, clipped to 1."""
    return (image * amount).clamp(0, 1)
