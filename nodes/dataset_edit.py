"""Datasets: edit captions, sizes and augmentations."""

from __future__ import annotations

from typing import Annotated, Literal

from nodegraph import Advanced, Augmentation, Dataset, PromptText, Range, Seed, node

from ._dataset_facts import check_captions


@node(
    category="dataset",
    validate=check_captions,
    tags=("caption", "prefix", "suffix", "trigger word", "replace", "tags", "instance prompt"),
)
def EditCaptions(
    dataset: Dataset,
    template: Annotated[str, PromptText()] = "{caption}",
    find: Annotated[str, PromptText()] = "",
    replacement: Annotated[str, PromptText()] = "",
    is_pattern: Annotated[bool, Advanced()] = False,
    tags: Annotated[Literal["keep", "from captions"], Advanced()] = "keep",
) -> Dataset:
    """Rewrite captions: add a trigger word, build them from tags or labels, or replace words.

    Args:
        dataset: The dataset. Caption files are not changed.
        template: Template of the new captions. {caption}, {tags}, {label} and {name} are filled in,
            for example: sks style, {caption}.
        find: Text to search for in the result of the template.
        replacement: Text that replaces it.
        is_pattern: Treat the search text as a regular expression.
        tags: From captions also makes tags of captions that are comma-separated lists.
    """
    from nodegraph.media.datasets.editing import edit_captions, tags_from_captions

    edited = edit_captions(
        dataset, template, find=find, replacement=replacement, is_pattern=is_pattern
    )
    return tags_from_captions(edited) if tags == "from captions" else edited


@node(category="dataset", tags=("caption", "class", "language model", "blip", "wd14", "tagger"))
def SetCaptions(
    dataset: Dataset, captions: list[str] | None = None, labels: list[str] | None = None
) -> Dataset:
    """Set a dataset's captions or labels from lists, for example from a language model.

    Args:
        dataset: The dataset. Its other texts do not change.
        captions: One caption per example, in order, or one for all.
        labels: One class label per example, in order, or one for all.
    """
    from nodegraph.media.datasets.editing import set_texts

    return set_texts(dataset, captions=captions, labels=labels)


@node(category="dataset", tags=("bucket", "aspect ratio", "resolution", "crop", "scale", "ARB"))
def ResizeDataset(
    dataset: Dataset,
    mode: Literal["one size", "buckets"] = "buckets",
    width: Annotated[int, Range(1, 16384)] = 512,
    height: Annotated[int, Range(0, 16384)] = 0,
    fit: Literal["crop", "pad", "stretch"] = "crop",
    multiple: Annotated[int, Range(1, 1024)] = 64,
    max_aspect: Annotated[float, Range(1, 16), Advanced()] = 2.0,
    enlarge: Annotated[bool, Advanced()] = True,
) -> Dataset:
    """Set the size of training images: one size, or aspect-ratio buckets.

    Args:
        dataset: The dataset. Its files are not changed.
        mode: Buckets are sizes of about the same area with different aspect ratios, so that little
            is cropped.
        width: Width in pixels. For buckets, the side of the square bucket.
        height: Height in pixels, for one size only. 0 means the same as the width.
        fit: How an image is fitted to one size.
        multiple: Sides of buckets are multiples of this value.
        max_aspect: Maximum aspect ratio of buckets, longer to shorter side.
        enlarge: Enlarge small images to their bucket size.
    """
    from nodegraph.media.datasets.editing import resize_to_buckets, resize_to_one

    if mode == "one size":
        return resize_to_one(dataset, width, height or width, fit)
    return resize_to_buckets(
        dataset, width, multiple=multiple, max_aspect=max_aspect, enlarge=enlarge
    )


@node(category="dataset", tags=("flip", "mirror", "random crop", "color jitter", "rotate"))
def AugmentDataset(
    dataset: Dataset,
    flip: Annotated[float, Range(0, 1, step=0.1)] = 0.5,
    crop: Annotated[float, Range(0.05, 1, step=0.05)] = 1.0,
    rotate: Annotated[float, Range(0, 180, step=1)] = 0.0,
    brightness: Annotated[float, Range(0, 1, step=0.05)] = 0.0,
    contrast: Annotated[float, Range(0, 1, step=0.05)] = 0.0,
    saturation: Annotated[float, Range(0, 1, step=0.05)] = 0.0,
    hue: Annotated[float, Range(0, 180, step=1)] = 0.0,
    seed: Annotated[int, Seed()] = 0,
    flip_vertical: Annotated[float, Range(0, 1, step=0.1), Advanced()] = 0.0,
    shuffle_tags: Annotated[bool, Advanced()] = False,
    drop_caption: Annotated[float, Range(0, 1, step=0.05), Advanced()] = 0.0,
) -> Dataset:
    """Set random augmentations of training images. They differ in each epoch.

    Args:
        dataset: The dataset. Its previous augmentations are replaced. Validation and test images
            are not changed.
        flip: Share of the images that are mirrored horizontally.
        crop: Smallest share of an image that is cropped out. 1 means no extra crop.
        rotate: Maximum rotation in degrees, in both directions.
        brightness: Maximum relative change of brightness, up or down.
        contrast: Maximum relative change of contrast, up or down.
        saturation: Maximum relative change of saturation, up or down.
        hue: Maximum hue shift in degrees, in both directions.
        seed: Random seed. The same seed gives the same changes.
        flip_vertical: Share of the images that are mirrored vertically.
        shuffle_tags: Shuffle tags if they are used as the caption.
        drop_caption: Share of the captions that are dropped, as classifier-free guidance requires.
    """
    from dataclasses import replace

    drawn = Augmentation(flip, flip_vertical, crop, rotate, brightness, contrast, saturation, hue)
    changes = replace(drawn, shuffle_tags=shuffle_tags, drop_caption=drop_caption, seed=seed)
    return replace(dataset, augmentation=changes)
