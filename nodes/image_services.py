"""Images from hosted services."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, NamedTuple

from nodegraph import (
    Advanced,
    Context,
    Image,
    Mask,
    Multiline,
    PromptText,
    Range,
    Secret,
    Seed,
    node,
)

from ._service_facts import check_image_service, image_service_state

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor


class HostedImage(NamedTuple):
    """The images, and what the service says they cost; empty if it does not say."""

    image: Image
    cost: str


@node(
    category="image",
    lane="io",
    validate=check_image_service,
    fingerprint=image_service_state,
    tags=(
        *("OpenAI", "DALL-E", "gpt-image", "fal", "Replicate", "API", "hosted", "cloud", "remote"),
        *("text to image", "edit"),
    ),
)
def CallImageAPI(
    ctx: Context,
    prompt: Annotated[str, PromptText()],
    service: str = "openai",
    model: str = "",
    secret: Annotated[str, Secret()] = "",
    image: list[Image] | None = None,
    mask: Mask | None = None,
    negative: Annotated[str, PromptText()] = "",
    width: Annotated[int, Range(0, 16384)] = 1024,
    height: Annotated[int, Range(0, 16384)] = 1024,
    count: Annotated[int, Range(1, 16)] = 1,
    seed: Annotated[int, Seed()] = 0,
    strength: Annotated[float, Range(0, 1, step=0.01)] | None = None,
    options: Annotated[str, Multiline(), Advanced()] = "",
    address: Annotated[str, Advanced()] = "",
    description: Annotated[str, Multiline(), Advanced()] = "",
    timeout: Annotated[float, Range(1, 86400), Advanced()] = 600.0,
) -> HostedImage:
    """Make or edit images with a hosted service: OpenAI, fal, Replicate, or one that you describe.

    Only hosts that the setting service_hosts allows are called. Equal inputs are answered from the
    cache, so they cost nothing again. Change the seed for other images.

    Args:
        prompt: The prompt.
        service: openai, fal, replicate, or the name of a JSON file in the folder services of the
            home folder.
        model: Name of the model at the service, for example gpt-image-1 or fal-ai/flux/dev.
        secret: Name of the stored secret with the key. Never write the key itself.
        image: Images to edit.
        mask: What to change in the image, white.
        negative: What the images should not show, if the service supports it.
        width: Width in pixels. 0 leaves the size to the service.
        height: Height in pixels. 0 leaves the size to the service.
        count: Number of images.
        seed: Seed, if the service supports one.
        strength: How much an image is changed, if the service supports it.
        options: Further fields of the request as JSON. null removes a field.
        address: Base address instead of the usual one, for servers that speak the same protocol.
        description: Description of a service as JSON, used instead of its name.
        timeout: Time limit in seconds.
    """
    from nodegraph.models.remote.image_services import find_service
    from nodegraph.perception.language_model import parse_request_options

    from ._image_service_run import ImageServiceCall, call_image_service

    pictures = [picture[..., :3] for each in image or () for picture in each]
    request = ImageServiceCall(
        model=model.strip(),
        prompt=prompt,
        negative=negative.strip(),
        width=width or None,
        height=height or None,
        seed=seed,
        count=count,
        strength=strength if pictures else None,
        images=[_png(picture) for picture in pictures],
        mask=None if mask is None else _png(mask[0][..., None].expand(-1, -1, 3)),
        mask_alpha=None if mask is None else _png(_transparent_where_white(mask[0])),
        options=parse_request_options(options),
    )
    described = find_service(ctx.environment.services, service.strip(), description)
    answer = call_image_service(
        ctx, described, request, address=address.strip(), secret=secret.strip(), seconds=timeout
    )
    cost = ", ".join(answer.costs)
    if cost:
        ctx.log(f"Cost: {cost}")
    images = _decoded(ctx, answer.images)
    ctx.progress(1, 1, preview=lambda: images)
    return HostedImage(images, cost)


def _png(picture: Tensor) -> bytes:
    from nodegraph.media.images.images import encode_pil, to_pil

    return encode_pil(to_pil(picture))


def _transparent_where_white(mask: Tensor) -> Tensor:
    """OpenAI's form of masks: transparent where the image changes."""
    import torch

    return torch.stack([torch.ones_like(mask)] * 3 + [1 - mask], dim=-1)


def _decoded(ctx: Context, files: Sequence[bytes]) -> Tensor:
    """Decode image files into a batch. Images of another size than the first are scaled to it."""
    import torch

    from nodegraph.media.images.images import read_image_bytes
    from nodegraph.media.images.resizing import resize_image

    environment = ctx.environment
    images: list[Tensor] = []
    for data in files:
        picture, _ = read_image_bytes(
            data,
            environment.temporary,
            "the image of the service",
            max_pixels=environment.max_image_pixels,
        )
        if images and picture.shape != images[0].shape:
            ctx.log("The images differ in size, and are scaled to the first.", "warning")
            picture = resize_image(picture, images[0].shape[2], images[0].shape[1])
        images.append(picture)
    return torch.cat(images)
