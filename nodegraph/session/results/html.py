"""HTML of values and of whole run results, for notebooks.

All text is escaped, and everything that a browser would load is embedded in the page.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable, Iterable, Iterator, Sequence
from fractions import Fraction
from html import escape
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nodegraph.core.plots import Plot
from nodegraph.core.spatial_values import Mesh, Molecule, PointCloud
from nodegraph.core.summary import summarize
from nodegraph.core.text_format import (
    format_path,
    format_seconds,
    format_size,
    strip_control_characters,
)
from nodegraph.core.values import Audio, Latent, Video
from nodegraph.engine.result import RunResult
from nodegraph.errors import NodegraphError
from nodegraph.media.images.pillow_conversion import Pictures, is_image, is_mask

if TYPE_CHECKING:
    from PIL.Image import Image

_MOST_NODES = 200


def result_html(result: RunResult) -> str:
    """The whole of a result as HTML that stands alone."""
    status = escape(result.status if not result.reason else f"{result.status}: {result.reason}")
    head = f"<p>{status} · {escape(result.summary)}</p>"
    return f"<div>{head}{''.join(blocks(_parts(result)))}{_nodes(result)}</div>"


def sheet_html(results: Sequence[RunResult | NodegraphError], captions: Sequence[str]) -> str:
    """The first image of each of several results, with a caption; its words where it has none.

    Args:
        results: Or why there is none.
    """
    shown = zip(results, captions, strict=True)
    return row_html([_figure_of(result, caption) for result, caption in shown])


def _figure_of(result: RunResult | NodegraphError, caption: str) -> str:
    if isinstance(result, NodegraphError):
        return figure_html(f"<code>{escape(strip_control_characters(str(result)))}</code>", caption)
    # A node that is mapped over a list wrote files as `save[0]`, `save[1]` and so on.
    writers = (file.node.partition("[")[0] for file in result.files)
    for name in dict.fromkeys((*result.outputs, *writers)):
        try:
            return figure_html(image_html(result.image(name), MAX_SIDE), caption)
        except NodegraphError:
            continue  # it has none, or its file is gone
    about = f"{result.status}: {result.errors[0]}" if result.errors else result.summary
    return figure_html(f"<code>{escape(strip_control_characters(about))}</code>", caption)


def _parts(result: RunResult) -> Iterator[tuple[str, str]]:
    for error in result.errors:
        yield (
            f"{error.problem.node} failed",
            f"<pre>{escape(strip_control_characters(str(error)))}</pre>",
        )
    for name in result.outputs:
        try:
            value = result.outputs[name]
        except NodegraphError as error:
            yield name, f"<em>{escape(strip_control_characters(str(error)))}</em>"
        else:
            yield name, value_html(value)
    for node in dict.fromkeys(file.node for file in result.files):
        paths = [file.path for file in result.files if file.node == node]
        there = [path for path in paths if path.exists()]
        gone = [path for path in paths if not path.exists()]
        lost = "".join(f"<p>{escape(format_path(path))} is there no more</p>" for path in gone)
        yield f"{node}: {format_path(paths[0].parent)}", files_html(there) + lost


def _nodes(result: RunResult) -> str:
    """How each node fared, folded away."""
    rows = "".join(
        f"<tr><td>{escape(strip_control_characters(name))}</td><td>{escape(strip_control_characters(report.type))}</td>"
        f"<td>{report.status}</td><td>{format_seconds(report.seconds)}</td></tr>"
        for name, report in list(result.nodes.items())[:_MOST_NODES]
    )
    more = len(result.nodes) - _MOST_NODES
    more_text = f"<p>… and {more} more</p>" if more > 0 else ""
    return f"<details><summary>nodes</summary><table>{rows}</table>{more_text}</details>"


MAX_SIDE = 256
"""Pixels along the longer side of an image among others; a single one may have twice as many."""
MAX_PICTURES = 24
"""Images or items that are shown of one value."""
_MOST_BYTES = 8 << 20
"""Of a sound or a video in a page."""
_MOST_SAMPLES = 30 << 20
_MOST_PIXELS = 64 << 20
"""Of audio and video that is encoded for a page: more would take many seconds."""
_ROW = 'style="display: flex; flex-wrap: wrap; gap: 8px; align-items: flex-start"'
_FIGURE = 'style="margin: 0; font-size: 12px"'


def value_html(value: Any) -> str:
    """A value as HTML that stands alone. What can't be shown is told in words."""
    try:
        return _render(value)
    except (NodegraphError, OSError, ValueError, RuntimeError, ImportError) as error:
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        shown = escape(strip_control_characters(reason))
        return f"{_text_html(value)} <em>cannot be shown: {shown}</em>"


def _render(value: Any) -> str:
    if is_image(value) or is_mask(value):
        return pictures_html(Pictures("value", value))
    for kind, show in _KINDS.items():
        if isinstance(value, kind):
            return show(value)
    if isinstance(value, (list, tuple)) and value:
        return _list(value)
    own = getattr(type(value), "_repr_html_", None)
    if own is not None:
        return str(own(value) or _text_html(value))
    return _text_html(value)


def pictures_html(pictures: Pictures) -> str:
    """Images beside each other, the first of many."""
    count = len(pictures)
    longest = MAX_SIDE if count > 1 else 2 * MAX_SIDE
    shown = (
        figure_html(image_html(picture, longest), _caption(picture, at if count > 1 else None))
        for at, picture in enumerate(pictures[:MAX_PICTURES])
    )
    return row_html(shown, count)


def _caption(picture: Image, at: int | None) -> str:
    size = f"{picture.width}×{picture.height}"
    return size if at is None else f"{at} · {size}"


def row_html(shown: Iterable[str], count: int = 0) -> str:
    """Parts beside each other.

    Args:
        count: How many there are, if those are only the first of them.
    """
    more = f"<p>… and {count - MAX_PICTURES} more</p>" if count > MAX_PICTURES else ""
    return f"<div {_ROW}>{''.join(shown)}</div>{more}"


def figure_html(inside: str, caption: str) -> str:
    """A part with a caption below it, a plain text."""
    below = (
        f"<figcaption>{escape(strip_control_characters(caption))}</figcaption>" if caption else ""
    )
    return f"<figure {_FIGURE}>{inside}{below}</figure>"


def image_html(picture: Image, longest: int = 2 * MAX_SIDE) -> str:
    """An image, made smaller where it is too large."""
    small = picture.copy()
    small.thumbnail((longest, longest))
    buffer = BytesIO()
    # Lossless where it is small anyway; photographs as PNG would swell the notebook's file.
    form = "PNG" if small.mode == "RGBA" or max(small.size) <= MAX_SIDE else "JPEG"
    small.save(buffer, form, quality=90)
    return f'<img src="{_data(buffer.getvalue(), f"image/{form.lower()}")}">'


def _data(content: bytes, mime: str) -> str:
    return f"data:{mime};base64,{b64encode(content).decode()}"


def _text_html(value: Any) -> str:
    return f"<code>{escape(strip_control_characters(summarize(value)))}</code>"


def _list(items: list[Any] | tuple[Any, ...]) -> str:
    if all(map(_has_pictures, items)):
        return pictures_html(Pictures("list", items))
    shown = (figure_html(value_html(item), str(at)) for at, item in enumerate(items[:MAX_PICTURES]))
    return row_html(shown, len(items))


def _has_pictures(item: Any) -> bool:
    return is_image(item) or is_mask(item)


def _latent(latent: Latent) -> str:
    """Its colors by the linear map of its format, else its channels in gray."""
    about = f"latent · {latent.width}×{latent.height} · {latent.format or 'empty'}"
    if latent.samples is None:
        return f"<code>{escape(about)}, batch of {latent.batch_size}</code>"
    from nodegraph.sampling.previews import render_latent

    try:
        picture = render_latent(latent, "colors")
    except NodegraphError:
        picture = render_latent(latent, "channels")
    return pictures_html(Pictures("latent", picture)) + f"<code>{escape(about)}</code>"


def _audio(audio: Audio) -> str:
    from nodegraph.media.audio.codec import encode_audio

    about = f"{_seconds(audio.seconds)} at {audio.rate} Hz"
    if audio.waveform.numel() > _MOST_SAMPLES:
        return f"<code>audio · {about}</code>"
    # What every browser plays, and lossless; long ones are made smaller.
    content, mime = encode_audio(audio, "flac"), "audio/flac"
    if len(content) > _MOST_BYTES:
        content, mime = encode_audio(audio, "ogg"), "audio/ogg"
    return _player("audio", content, mime, about)


def _video(video: Video) -> str:
    frames = video.frames
    about = f"{len(frames)} frames · {frames.shape[2]}×{frames.shape[1]} · "
    about += _seconds(video.seconds)
    if frames.numel() <= _MOST_PIXELS:
        from nodegraph.media.videos.encoding import encode_video

        content = encode_video(video, "mp4")
        if len(content) <= _MOST_BYTES:
            return _player("video", content, "video/mp4", about)
    middle = frames[len(frames) // 2][None]
    return pictures_html(Pictures("video", middle)) + f"<code>video · {about}</code>"


def _seconds(seconds: Fraction) -> str:
    return f"{float(seconds):.2f} s"


def _player(kind: str, content: bytes, mime: str, about: str) -> str:
    loops = " loop" if kind == "video" else ""
    source = _data(content, mime)
    return figure_html(f'<{kind} controls{loops} src="{source}"></{kind}>', about)


def _shape(shape: Mesh | PointCloud) -> str:
    from nodegraph.media.shapes.rendering import draw_shape

    return pictures_html(Pictures("shape", draw_shape(shape, MAX_SIDE))) + _text_html(shape)


def _molecule(molecule: Molecule) -> str:
    from nodegraph.media.molecules.chemistry import draw_molecule

    return pictures_html(Pictures("molecule", draw_molecule(molecule, MAX_SIDE)))


def _plot(plot: Plot) -> str:
    from nodegraph.media.plots.rendering import plot_svg

    content = plot_svg(plot, 2 * MAX_SIDE, 5 * MAX_SIDE // 4).encode()
    return f'<img src="{_data(content, "image/svg+xml")}">'


def _file(path: Path) -> str:
    """What a node wrote, by a small image of it."""
    return figure_html(_picture_of_file(path), f"{path.name} · {format_size(path.stat().st_size)}")


def _picture_of_file(path: Path) -> str:
    try:
        return image_html(Pictures(path.name, path).at(0), MAX_SIDE)
    except NodegraphError:
        from nodegraph.session.results.files import draw_result

        try:
            return image_html(draw_result(path, MAX_SIDE), MAX_SIDE)
        except NodegraphError:
            return ""


def files_html(paths: Iterable[Path]) -> str:
    """Files beside each other, each by a small image, where it has one, and its name."""
    listed = list(paths)
    return row_html(map(value_html, listed[:MAX_PICTURES]), len(listed))


def blocks(parts: Iterable[tuple[str, str]]) -> Iterator[str]:
    """Titled parts of a page, one below the other.

    Args:
        parts: Title, plain, and HTML.
    """
    for title, inside in parts:
        yield f"<p><strong>{escape(strip_control_characters(title))}</strong></p>{inside}"


_KINDS: dict[type | tuple[type, ...], Callable[[Any], str]] = {
    Latent: _latent,
    Audio: _audio,
    Video: _video,
    (Mesh, PointCloud): _shape,
    Molecule: _molecule,
    Plot: _plot,
    Path: _file,
}
