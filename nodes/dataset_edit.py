"""Datasets: what is said of examples, and how they are learned from."""

from __future__ import annotations

from typing import Annotated, Literal

from nodegraph import Advanced, Augmentation, Dataset, Multiline, Range, Seed, node

from ._dataset_facts import check_captions


@node(
    category="dataset",
    validate=check_captions,
    tags=("caption", "prefix", "suffix", "trigger word", "replace", "tags", "instance prompt"),
)
def EditCaptions(
    dataset: Dataset,
    template: Annotated[str, Multiline()] = "{caption}",
    find: str = "",
    replacement: str = "",
    is_pattern: Annotated[bool, Advanced()] = False,
    tags: Annotated[Literal["keep", "from captions"], Advanced()] = "keep",
) -> Dataset:
    """Write captions anew: with a trigger word before them, from tags or labels, words replaced.

    Args:
        dataset: Its captions; in files they stay as they are.
        template: What each caption becomes; {caption}, {tags}, {label} and {name} are filled in, as
            in sks style, {caption}.
        find: A text in what came of that.
        replacement: What is put in its place.
        is_pattern: It is a regular expression.
        tags: Also make tags of captions that are lists with commas.
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
    """Give a dataset's examples captions or labels from elsewhere, such as a language model.

    Args:
        dataset: Its other texts stay.
        captions: One an example, in their order, or one for all.
        labels: The same of classes.
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
    """Say to what size pictures are brought when they are learned from: one, or the nearest bucket.

    Args:
        dataset: Its files stay as they are.
        mode: Buckets are sizes of about one area and many proportions, so little is cut off.
        width: In pixels; of buckets the side of the square.
        height: In pixels; 0 is as wide. Of one size alone.
        fit: How a picture comes to one size.
        multiple: What the sides of buckets are multiples of.
        max_aspect: Of buckets: the longer side in shorter ones.
        enlarge: Of buckets: make small pictures larger.
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
    """Say what is changed at random in pictures to learn from, anew in each epoch.

    Args:
        dataset: What it said before is replaced; its splits validation and test stay as they are.
        flip: Share of the pictures that are mirrored.
        crop: Smallest share of a picture that is cut out; 1 cuts nothing more.
        rotate: Degrees, at most, to either side.
        brightness: More or less of it, as a share, at most.
        contrast: The same of contrast.
        saturation: The same of colours.
        hue: Degrees, at most, to either side.
        seed: The same one gives the same changes.
        flip_vertical: Share of the pictures that are turned upside down, as in a mirror.
        shuffle_tags: Let tags change places, where they stand in for a caption.
        drop_caption: Share of the captions that are left out, which guidance needs.
    """
    from dataclasses import replace

    drawn = Augmentation(flip, flip_vertical, crop, rotate, brightness, contrast, saturation, hue)
    changes = replace(drawn, shuffle_tags=shuffle_tags, drop_caption=drop_caption, seed=seed)
    return replace(dataset, augmentation=changes)
