"""Files of layers: OpenRaster and Photoshop, written and read back, and hostile ones refused."""

from __future__ import annotations

import struct
import tracemalloc
import zlib
from collections.abc import Callable, Mapping
from importlib.util import find_spec
from io import BytesIO
from pathlib import Path
from typing import Any, get_args
from zipfile import ZIP_BZIP2, ZIP_DEFLATED, ZIP_STORED, ZipFile

import numpy as np
import pytest
import torch
from PIL import Image, ImageCms
from torch import Tensor

from nodegraph.core.digests import digest_value
from nodegraph.errors import InvalidFile, InvalidValue
from nodegraph.media.images.editing.compositing import BlendMode
from nodegraph.media.images.layer_compositing import flatten_layers
from nodegraph.media.images.layer_files import encode_layers, layers_extent, read_layers
from nodegraph.media.images.layers import (
    MAX_DEPTH,
    CanvasBox,
    Layer,
    LayerGroup,
    Layers,
    build_box,
)
from nodegraph.session.results.files import draw_result
from tests.messages import raises

MOST = 10_000_000
needs_psd = pytest.mark.skipif(find_spec("psd_tools") is None, reason="needs the extra psd")
FORMATS = ["ora", pytest.param("psd", marks=needs_psd)]


def picture(width: int, height: int, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(0, 256, (height, width, 4), generator=generator) / 255


def layer(image: Tensor, x: int = 0, y: int = 0, **more: Any) -> Layer:
    return Layer(image, x, y, image.shape[1], image.shape[0], **more)


NESTED = Layers(
    (
        layer(picture(9, 5, 1), -7, 12, name="ground <\"&'> ☃\n日本", opacity=0.3),
        LayerGroup(
            (
                layer(picture(4, 4, 2), -2, 10, name="inner", mode="divide"),
                LayerGroup((layer(picture(3, 2, 3), 1, 11),), 0.25, "screen", name="deep"),
            ),
            mode="luminosity",
            visible=False,
            name="group",
        ),
        layer(picture(6, 6, 4), 40, -3, visible=False, mode="exclusion"),
    )
)


def read(path: Path, content: bytes) -> tuple[Layers, list[str]]:
    path.write_bytes(content)
    return read_layers(path, path.parent, max_pixels=MOST)


@pytest.mark.parametrize("bits", [8, 16])
def test_layers_come_back_from_openraster_to_the_last_bit(tmp_path: Path, bits: int) -> None:
    found, left_out = read(tmp_path / "layers.ora", encode_layers(NESTED, bits=bits))
    assert digest_value(found) == digest_value(NESTED)
    assert left_out == []
    assert layers_extent(tmp_path / "layers.ora", max_pixels=MOST) == NESTED.extent


def test_pictures_of_16_bits_come_back_from_openraster(tmp_path: Path) -> None:
    image = torch.randint(0, 65536, (4, 5, 4)) / 65535
    found, _ = read(tmp_path / "layers.ora", encode_layers(Layers((layer(image),)), bits=16))
    [item] = found.walk()
    assert torch.equal(item.image, image)


def test_an_openraster_file_is_as_its_specification_says() -> None:
    content = encode_layers(NESTED, metadata={"workflow": "{}"})
    assert content[30:54] == b"mimetypeimage/openraster"
    with ZipFile(BytesIO(content)) as archive:
        assert archive.infolist()[0].compress_type == ZIP_STORED
        names = archive.namelist()
        assert {"stack.xml", "mergedimage.png", "Thumbnails/thumbnail.png"} <= {*names}
        document = archive.read("stack.xml").decode()
        with Image.open(archive.open("mergedimage.png")) as merged:
            assert merged.size == (53, 20)
            assert merged.info["workflow"] == "{}"
    assert document.index('visibility="hidden"') < document.index('name="group"')
    assert 'composite-op="svg:screen"' in document
    assert content == encode_layers(NESTED, metadata={"workflow": "{}"})


@pytest.mark.parametrize("format", FORMATS)
def test_scaled_and_rotated_layers_look_the_same_when_read_back(
    tmp_path: Path, format: Any
) -> None:
    layers = Layers(
        (
            Layer(picture(8, 8, 1), -20, 5, 40, 30, rotation=25.0),
            Layer(picture(8, 8, 2), 0, 0, 8, 8, rotation=90.0, mode="multiply"),
        )
    )
    found, _ = read(tmp_path / "layers", encode_layers(layers, format))
    extent = layers.extent
    corner = (0, 0) if format == "ora" or extent is None else extent[:2]
    box = build_box(-40, -20, 90, 90)
    shown = flatten_layers(layers, box)[0]
    moved = CanvasBox(box.x - corner[0], box.y - corner[1], 90, 90, 90, 90)
    again = flatten_layers(found, moved)[0]
    for image in (shown, again):
        image[..., :3] *= image[..., 3:]
    torch.testing.assert_close(again, shown, rtol=0, atol=1.5 / 255)


@needs_psd
def test_layers_come_back_from_photoshop_files(tmp_path: Path) -> None:
    found, left_out = read(tmp_path / "layers.psd", encode_layers(NESTED, "psd"))
    assert left_out == []
    _same(found.items, NESTED.items)


def _same(found: Any, expected: Any) -> None:
    """In 8 bits, from the corner of all layers."""
    for item, other in zip(found, expected, strict=True):
        assert type(item) is type(other)
        assert (item.name, item.mode, item.visible) == (other.name, other.mode, other.visible)
        assert item.opacity == pytest.approx(other.opacity, abs=0.5 / 255)
        if isinstance(item, LayerGroup):
            _same(item.items, other.items)
        else:
            assert (item.x, item.y) == (other.x + 7, other.y + 3)
            assert torch.equal(item.image, other.image)


@pytest.mark.parametrize("format", FORMATS)
def test_each_blend_mode_comes_back(tmp_path: Path, format: Any) -> None:
    modes = get_args(BlendMode)
    layers = Layers(tuple(layer(picture(2, 2), mode=mode) for mode in modes))
    found, left_out = read(tmp_path / "layers", encode_layers(layers, format))
    assert [item.mode for item in found.items] == list(modes)
    assert left_out == []


@needs_psd
def test_other_programs_read_the_flattened_image_of_a_photoshop_file() -> None:
    layers = Layers((layer(picture(9, 5, 1)), layer(picture(9, 5, 2), mode="screen")))
    with Image.open(BytesIO(encode_layers(layers, "psd"))) as opened:
        assert opened.mode == "RGBA"
        found = torch.from_numpy(np.array(opened)) / 255
    image = flatten_layers(layers)[0][0]
    alpha = image[..., 3:]
    torch.testing.assert_close(found[..., 3:], alpha, rtol=0, atol=0.6 / 255)
    matted = image[..., :3] * alpha + 1 - alpha
    torch.testing.assert_close(found[..., :3], matted, rtol=0, atol=0.6 / 255)


@needs_psd
def test_a_photoshop_file_is_shown_small(tmp_path: Path) -> None:
    path = tmp_path / "layers.psd"
    path.write_bytes(encode_layers(Layers((layer(picture(90, 60).clamp(min=0.2)),)), "psd"))
    assert draw_result(path, 30).size == (30, 20)
    path.write_bytes(path.read_bytes()[:60])
    with raises(InvalidFile):
        draw_result(path, 30)


@needs_psd
@pytest.mark.parametrize("is_swapped", [False, True])
def test_the_color_profile_of_a_photoshop_file_counts(tmp_path: Path, is_swapped: bool) -> None:
    from psd_tools import PSDImage
    from psd_tools.constants import Resource
    from psd_tools.psd.image_resources import ImageResource

    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    if is_swapped:  # red is green, and green is red
        profile = profile.replace(b"rXYZ", b"____").replace(b"gXYZ", b"rXYZ")
        profile = profile.replace(b"____", b"gXYZ")
    document = PSDImage.new("RGBA", (4, 4))
    document.create_pixel_layer(Image.new("RGBA", (4, 4), (10, 200, 30, 128)))
    resource = ImageResource(key=Resource.ICC_PROFILE, data=profile)
    document.image_resources[Resource.ICC_PROFILE] = resource
    document.save(tmp_path / "profile.psd")
    layers, _ = read_layers(tmp_path / "profile.psd", tmp_path, max_pixels=MOST)
    [item] = layers.walk()
    colors = (200, 10, 30, 128) if is_swapped else (10, 200, 30, 128)
    assert torch.equal(item.image, (torch.tensor(colors) / 255).expand(4, 4, 4))


@needs_psd
def test_gray_photoshop_files_are_read(tmp_path: Path) -> None:
    from psd_tools import PSDImage

    document = PSDImage.new("LA", (4, 3))
    document.create_pixel_layer(Image.new("LA", (4, 3), (51, 102)))
    document.save(tmp_path / "gray.psd")
    [item] = read_layers(tmp_path / "gray.psd", tmp_path, max_pixels=MOST)[0].walk()
    assert torch.equal(item.image, torch.tensor([0.2, 0.2, 0.2, 0.4]).expand(3, 4, 4))


@needs_psd
def test_photoshop_files_of_16_bits_are_read(tmp_path: Path) -> None:
    from psd_tools import PSDImage

    document: Any = PSDImage.new("RGBA", (5, 4), depth=16)
    if not hasattr(document, "create_pixel_layer_from_array"):
        pytest.skip("this version of psd-tools writes no 16 bits")
    levels = torch.randint(0, 65536, (4, 5, 4))
    document.create_pixel_layer_from_array(levels.numpy().astype(np.uint16))
    document.save(tmp_path / "deep.psd")
    [item] = read_layers(tmp_path / "deep.psd", tmp_path, max_pixels=MOST)[0].walk()
    assert torch.equal((item.image * 65535).round().long(), levels)


@needs_psd
def test_masks_of_photoshop_files_become_transparency(tmp_path: Path) -> None:
    import psd_tools

    # A document without transparency: psd-tools keeps alpha of pictures as masks then.
    document = psd_tools.PSDImage.new("RGB", (8, 8))
    image = Image.fromarray((picture(5, 4) * 255).round().byte().numpy())
    made = document.create_pixel_layer(image, name="masked", left=2, top=1)
    if made.mask is None:
        pytest.skip("this version of psd-tools writes no masks")
    path = tmp_path / "masked.psd"
    document.save(path)
    [item] = read_layers(path, tmp_path, max_pixels=MOST)[0].walk()
    assert torch.equal(item.image, picture(5, 4))
    made.mask.disabled = True
    document.save(path)
    [item] = read_layers(path, tmp_path, max_pixels=MOST)[0].walk()
    assert (item.image[..., 3] == 1).all()


@needs_psd
def test_the_mask_of_a_photoshop_group_hides_what_is_in_the_group(tmp_path: Path) -> None:
    import psd_tools

    path = tmp_path / "group.psd"
    document: Any = psd_tools.PSDImage.new("RGBA", (8, 8))
    red, blue = (Image.new("RGBA", (6, 6), color) for color in ("red", "blue"))
    inner = document.create_pixel_layer(red, name="inner", left=2)
    document.create_group([inner], name="group")
    document.create_pixel_layer(blue, name="above")
    document.save(path)
    # Read again, as psd-tools writes masks of new groups into the marks of their ends, too.
    document = psd_tools.PSDImage.open(path)
    if not hasattr(document[0], "create_mask"):
        pytest.skip("this version of psd-tools writes no masks")
    document[0].create_mask(Image.new("L", (3, 4), 51), left=1, top=1)
    document.save(path)
    layers, left_out = read_layers(path, tmp_path, max_pixels=MOST)
    shown, above = layers.walk()
    expected = torch.zeros(6, 6)
    expected[1:5, :2] = 0.2
    assert torch.equal(shown.image[..., 3], expected)
    assert (above.image[..., 3] == 1).all()
    assert left_out == ["The group 'group' has its mask applied to each of its layers."]


@needs_psd
@pytest.mark.parametrize("kind", ["RAW", "RLE", "ZIP", "ZIP_WITH_PREDICTION"])
@pytest.mark.parametrize("depth", [8, 16])
def test_each_compression_of_photoshop_files_is_read(tmp_path: Path, kind: str, depth: Any) -> None:
    from psd_tools import PSDImage
    from psd_tools.constants import Compression

    most = (1 << depth) - 1
    levels = torch.randint(0, most + 1, (6, 5, 4))
    document: Any = PSDImage.new("RGBA", (9, 9), depth=depth)
    if not hasattr(document, "create_pixel_layer_from_array"):
        pytest.skip("this version of psd-tools writes no arrays")
    array = levels.numpy().astype(np.uint8 if depth == 8 else np.uint16)
    document.create_pixel_layer_from_array(
        array, left=2, top=1, compression=getattr(Compression, kind)
    )
    document.save(tmp_path / "packed.psd")
    [item] = read_layers(tmp_path / "packed.psd", tmp_path, max_pixels=MOST)[0].walk()
    assert (item.x, item.y) == (2, 1)
    assert torch.equal((item.image * most).round().long(), levels)


def _deflated(name: str, data: bytes) -> bytes:
    """A PSD file with a layer of 4 by 4 pixels, all channels of which are these bytes."""
    from psd_tools import PSDImage
    from psd_tools.constants import Compression

    document: Any = type("Document", (PSDImage,), {"is_updated": lambda self: False}).new(
        "RGBA", (4, 4)
    )
    made = document.create_pixel_layer(Image.new("RGBA", (4, 4), "red"), name=name)
    for info, channel in zip(made._record.channel_info, made._channels, strict=True):
        channel.compression, channel.data = Compression.ZIP, data
        info.length = len(data) + 2
    buffer = BytesIO()
    document.save(buffer)
    return buffer.getvalue()


@needs_psd
def test_damaged_pixels_of_photoshop_files_are_reported(tmp_path: Path) -> None:
    _, left_out = read(tmp_path / "torn.psd", _deflated("torn", b"no deflated bytes"))
    assert left_out == ["The layer 'torn' has damaged pixels, which are black."]


@needs_psd
def test_a_photoshop_layer_that_unpacks_to_more_than_it_says_is_bounded(tmp_path: Path) -> None:
    content = _deflated("bomb", zlib.compress(bytes(64 << 20)))
    tracemalloc.start()
    _, left_out = read(tmp_path / "bomb.psd", content)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert left_out == ["The layer 'bomb' has damaged pixels, which are black."]
    assert peak < 16 << 20


@needs_psd
def test_photoshop_layers_without_pixels_are_named(tmp_path: Path) -> None:
    import psd_tools
    from psd_tools.constants import Tag

    path = tmp_path / "adjusted.psd"
    document: Any = psd_tools.PSDImage.new("RGBA", (8, 8))
    document.create_pixel_layer(Image.new("RGBA", (3, 3), "red"), name="paint")
    empty: Any = document.create_pixel_layer(Image.new("RGBA", (1, 1)), name="inverted")
    empty.tagged_blocks.set_data(Tag.INVERT)
    empty._record.right = empty._record.bottom = 0
    document.save(path)
    layers, left_out = read_layers(path, tmp_path, max_pixels=MOST)
    assert [item.name for item in layers.items] == ["paint"]
    assert left_out == ["The layer 'inverted' has no pixels of its own (invert), and is left out."]


@needs_psd
def test_what_a_photoshop_file_loses_is_said(tmp_path: Path) -> None:
    import psd_tools
    from psd_tools.constants import BlendMode as PsdMode

    document = psd_tools.PSDImage.new("RGBA", (8, 8))
    image = Image.new("RGBA", (3, 3), "red")
    inner = document.create_pixel_layer(image, name="burnt", blend_mode=PsdMode.LINEAR_BURN)
    shown = document.create_pixel_layer(image, name="shown", blend_mode=PsdMode.SCREEN)
    document.create_group([inner, shown], name="open")
    document.save(tmp_path / "open.psd")
    _, left_out = read_layers(tmp_path / "open.psd", tmp_path, max_pixels=MOST)
    assert left_out == [
        "The layer 'burnt' has the blend mode linear burn, which is replaced by normal.",
        "The group 'open' is isolated: its blend modes no longer reach the layers below it.",
    ]


@needs_psd
def test_photoshop_files_of_other_colors_and_damaged_ones_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "layers.psd"
    content = encode_layers(NESTED, "psd")
    for length in (10, 30, 200, len(content) // 2):
        with raises(InvalidFile):
            read(path, content[:length])
    with raises(InvalidFile, given="CMYK with 8 bits per channel"):
        read(path, content[:24] + struct.pack(">H", 4) + content[26:])
    path.write_bytes(content)
    with raises(InvalidFile):
        read_layers(path, tmp_path, max_pixels=40)


def test_photoshop_files_need_a_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nodegraph.media.images.photoshop.find_spec", lambda name: None)
    with raises(InvalidValue):
        encode_layers(NESTED, "psd")


def test_no_layers_are_no_file() -> None:
    with raises(InvalidValue, port="layers"):
        encode_layers(Layers())


PNG = b"\x89PNG\r\n\x1a\n"


def png(width: int, height: int) -> bytes:
    """A file that says how large it is, and has no pixels."""
    header = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 6, 0, 0, 0)
    return PNG + struct.pack(">I", 13) + header + struct.pack(">I", zlib.crc32(header))


def archive(
    stack: str, files: Mapping[str, bytes] | None = None, *, mime: bytes = b"image/openraster"
) -> bytes:
    """An OpenRaster file."""
    buffer = BytesIO()
    with ZipFile(buffer, "w") as made:
        made.writestr("mimetype", mime)
        made.writestr("stack.xml", stack, ZIP_DEFLATED)
        for name, content in (files or {}).items():
            made.writestr(name, content, ZIP_DEFLATED)
    return buffer.getvalue()


def image(*layers: str) -> str:
    return f'<image w="9" h="9"><stack>{"".join(layers)}</stack></image>'


def good_png() -> bytes:
    buffer = BytesIO()
    Image.new("RGBA", (2, 2), "red").save(buffer, "PNG")
    return buffer.getvalue()


_BOMB = "".join(f'<!ENTITY l{at} "{f"&l{at - 1};" * 10}">' for at in range(1, 12))
HOSTILE: Mapping[str, Callable[[], bytes]] = {
    "entities": lambda: archive(
        f'<!DOCTYPE image [<!ENTITY l0 "lol">{_BOMB}]><image><stack name="&l11;"/></image>'
    ),
    "external entity": lambda: archive(
        '<!DOCTYPE image [<!ENTITY x SYSTEM "file:///etc/passwd">]>' + image("&x;")
    ),
    "doctype": lambda: archive('<!DOCTYPE image SYSTEM "http://127.0.0.1/x.dtd">' + image()),
    "path up": lambda: archive(
        image('<layer src="../../etc/passwd"/>'), {"../../etc/passwd": good_png()}
    ),
    "absolute path": lambda: archive(image('<layer src="/etc/a"/>'), {"/etc/a": good_png()}),
    "missing picture": lambda: archive(image('<layer src="data/a.png"/>')),
    "no picture": lambda: archive(image('<layer src="a"/>'), {"a": b"x" * 99}),
    "huge picture": lambda: archive(image('<layer src="a"/>'), {"a": png(1 << 30, 1 << 30)}),
    "many pixels": lambda: archive(image('<layer src="a"/>'), {"a": png(9000, 9000)}),
    "zip bomb": lambda: archive(image('<layer src="a"/>'), {"a": png(1, 1) + bytes(3 << 20)}),
    "cut picture": lambda: archive(image('<layer src="a"/>'), {"a": good_png()[:50]}),
    "deep groups": lambda: archive(image("<stack>" * 99 + "</stack>" * 99)),
    "many elements": lambda: archive(image("<layer/>" * 5000)),
    "many layers": lambda: archive(image('<layer src="a"/>' * 1001), {"a": good_png()}),
    "unknown encoding": lambda: archive('<?xml version="1.0" encoding="none"?>' + image()),
    "encoding of bytes": lambda: archive('<?xml version="1.0" encoding="hex"?>' + image()),
    "far away": lambda: archive(image('<layer src="a" x="1e300"/>'), {"a": good_png()}),
    "no number": lambda: archive(image('<layer src="a" y="nan"/>'), {"a": good_png()}),
    "no XML": lambda: archive("<image><stack></image>"),
    "no stack": lambda: archive("<image/>"),
    "other zip": lambda: archive(image(), mime=b"application/epub+zip"),
    "no zip": lambda: b"PK\x03\x04 and then nothing",
    "text": lambda: b"hello",
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_files_are_refused(tmp_path: Path, name: str) -> None:
    with raises(InvalidFile):
        read(tmp_path / "hostile.ora", HOSTILE[name]())


def test_unusual_compression_is_refused(tmp_path: Path) -> None:
    buffer = BytesIO()
    with ZipFile(buffer, "w") as made:
        made.writestr("mimetype", "image/openraster")
        made.writestr("stack.xml", image(), ZIP_BZIP2)
    with raises(InvalidFile):
        read(tmp_path / "packed.ora", buffer.getvalue())


def test_groups_deeper_than_layers_may_be_are_refused(tmp_path: Path) -> None:
    levels = MAX_DEPTH + 1
    stack = image("<stack>" * levels + '<layer src="a"/>' + "</stack>" * levels)
    with raises(InvalidFile):
        read(tmp_path / "deep.ora", archive(stack, {"a": good_png()}))


def test_files_of_other_programs_are_read_as_far_as_they_go(tmp_path: Path) -> None:
    stack = image(
        '<text/><layer src="a" x="3.0" opacity="none" composite-op="svg:dst-out" name="erased"/>',
        '<stack isolation="auto" name="open"><layer src="a" composite-op="svg:add"/></stack>',
    )
    found, left_out = read(tmp_path / "other.ora", archive(stack, {"a": good_png()}))
    group, erased = found.items
    assert isinstance(group, LayerGroup)
    assert group.items[0].mode == "add"
    assert isinstance(erased, Layer)
    assert (erased.x, erased.opacity, erased.mode) == (3, 1.0, "normal")
    assert left_out == [
        "The group 'open' is isolated: its blend modes no longer reach the layers below it.",
        "The blend mode svg:dst-out of layer 'erased' is replaced by normal.",
        "An element <text> is left out.",
    ]


@pytest.mark.parametrize("format", FORMATS)
def test_damaged_bytes_never_raise_anything_else(tmp_path: Path, format: Any) -> None:
    content = bytearray(encode_layers(NESTED, format))
    generator = torch.Generator().manual_seed(0)
    for at in torch.randint(0, len(content), (100,), generator=generator).tolist():
        damaged = bytearray(content)
        damaged[at] ^= 1 << (at % 8)
        try:
            read(tmp_path / "damaged", bytes(damaged))
        except (InvalidFile, InvalidValue):
            continue
