"""GLIGEN: phrases in boxes of the image."""

from __future__ import annotations

from typing import Annotated, Literal, NamedTuple

from nodegraph import (
    Advanced,
    Area,
    Conditioning,
    Context,
    File,
    PromptText,
    Range,
    TextEncoder,
    node,
)
from nodegraph.models.gligen import GLIGENChoice, open_gligen

from ._gligen_facts import (
    boxed_estimate,
    check_gligen,
    check_text_box,
    gligen_outputs,
    gligen_state,
    gligen_weights,
)

Length = Annotated[float, Range(0, 16384, step=1)]


class LoadedGLIGEN(NamedTuple):
    gligen: GLIGENChoice


@node(
    category="control",
    label="Load GLIGEN",
    lane="io",
    infer=gligen_outputs,
    validate=check_gligen,
    fingerprint=gligen_state,
    estimate=gligen_weights,
    tags=("GLIGENLoader", "text box", "grounding", "layout", "bounding box", "regional"),
)
def LoadGLIGEN(
    ctx: Context,
    gligen: Annotated[str, File("model")],
    *,
    end: Annotated[float, Range(0, 1, step=0.01)] = 1.0,
) -> LoadedGLIGEN:
    """Load GLIGEN, to place phrases in boxes of the image with TextBoxConditioning.

    Args:
        gligen: Name in a models folder, or path, of a .safetensors file for text boxes, such as
            gligen_sd14_textbox_pruned.safetensors, or of a folder in the diffusers layout. For
            Stable Diffusion 1.x, and 2.x if it was trained for it. Only the GLIGEN layers are used:
            they work with fine-tuned models, too.
        end: Share of the steps with boxes (scheduled sampling): a step counts if it lies completely
            inside. Below 1, the last steps follow the prompt alone, which can look better.
    """
    return LoadedGLIGEN(open_gligen(gligen, ctx.environment.models, end=end))


@node(
    category="control",
    label="Text box (GLIGEN)",
    lane="gpu",
    numerics=True,
    facts={"conditioning": {"family": "conditioning.family"}},
    validate=check_text_box,
    estimate=boxed_estimate,
    tags=("GLIGENTextBoxApply", "grounding", "layout", "bounding box", "regional", "object"),
)
def TextBoxConditioning(
    ctx: Context,
    conditioning: Conditioning,
    encoder: TextEncoder,
    gligen: GLIGENChoice,
    text: Annotated[str, PromptText()] = "",
    x: Length = 0.0,
    y: Length = 0.0,
    width: Length = 256.0,
    height: Length = 256.0,
    unit: Annotated[Literal["pixels", "shares"], Advanced()] = "pixels",
    negative: Annotated[Literal["empty", "same"], Advanced()] = "empty",
) -> Conditioning:
    """Place a phrase in a box of the image, with GLIGEN.

    Chain several of these nodes for several boxes, up to 30, with one LoadGLIGEN for all. The
    prompt should name the phrases, too. All other prompts of the sampling are evaluated with the
    same layers and without boxes.

    Args:
        conditioning: The prompt for the whole image.
        encoder: The text encoder of the model.
        gligen: The layers from LoadGLIGEN.
        text: What the box shows, in a few words. Weights are ignored.
        x: Left edge of the box.
        y: Top edge of the box.
        width: Width of the box. A part outside the image is ignored.
        height: Height of the box.
        unit: Unit of these values: pixels of the sampled image, or shares of its width and height.
        negative: Boxes of negative prompts that have none: empty, as GLIGEN was made for, or the
            same boxes, as in ComfyUI.
    """
    from nodegraph.models.gligen import encode_phrase, with_text_box

    with ctx.weights(encoder, calls_only=True) as text_model:
        embedding = encode_phrase(text_model, text)
    area = Area(x, y, width, height, unit)
    same = negative == "same"
    return with_text_box(conditioning, gligen, area, embedding, guides_negative=same)
