"""ComfyUI's protocol of files: uploads, masks, and what they are seen as."""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from tests.server.comfyui_prompts import ENVIRONMENT, Comfy, comfy_server, node, plain_prompt
from tests.server.hosting import Process, prepared_home


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory, known_packs: Path) -> Path:
    return prepared_home(tmp_path_factory.mktemp("files") / "home", known_packs)


@pytest.fixture(scope="module")
def comfy(home: Path) -> Iterator[Comfy]:
    with Process(home, environment=ENVIRONMENT) as process, comfy_server(process) as found:
        yield found


def picture(color: tuple[int, ...], size: tuple[int, int] = (16, 8), text: str = "") -> bytes:
    """A PNG of one color; with an alpha if the color has one."""
    made, info = BytesIO(), PngInfo()
    if text:
        info.add_text("prompt", text)
    mode = "RGBA" if len(color) == 4 else "RGB"
    Image.new(mode, size, color).save(made, "PNG", pnginfo=info)
    return made.getvalue()


def upload(comfy: Comfy, name: str, data: bytes, path: str = "image", **fields: str) -> Any:
    files = {"image": (name, data, "image/png")}
    return comfy.http.post(f"/upload/{path}", files=files, data=fields)


def uploaded(comfy: Comfy, name: str, data: bytes, **fields: str) -> dict[str, str]:
    answer = upload(comfy, name, data, **fields)
    assert answer.status_code == 200, answer.text
    document: dict[str, str] = answer.json()
    return document


def seen(comfy: Comfy, name: str, **query: str) -> Any:
    return comfy.http.get("/view", params={"filename": name, **query})


def opened(answer: Any) -> Image.Image:
    assert answer.status_code == 200, answer.text
    return Image.open(BytesIO(answer.content))


def test_an_uploaded_image_is_seen_under_its_name(comfy: Comfy) -> None:
    data = picture((255, 0, 0))
    answer = uploaded(comfy, "red.png", data)
    assert answer == {"name": "red.png", "subfolder": "", "type": "input"}
    for query in ({"type": "input"}, {"type": "input", "rand": "0.5", "subfolder": ""}):
        assert seen(comfy, "red.png", **query).content == data
    assert seen(comfy, "red.png [input]").content == data
    assert seen(comfy, "red.png").status_code == 404
    assert seen(comfy, "other.png", type="input").status_code == 404


def test_names_are_free_or_those_of_the_same_bytes(comfy: Comfy) -> None:
    one, two, three = (picture((0, 0, level)) for level in (10, 20, 30))
    assert uploaded(comfy, "a.png", one)["name"] == "a.png"
    assert uploaded(comfy, "a.png", one)["name"] == "a.png"
    assert uploaded(comfy, "a.png", two)["name"] == "a (1).png"
    assert uploaded(comfy, "a.png", three)["name"] == "a (2).png"
    assert uploaded(comfy, "a.png", two)["name"] == "a (1).png"
    assert seen(comfy, "a (1).png", type="input").content == two
    assert uploaded(comfy, "a.png", three, overwrite="true")["name"] == "a.png"
    assert seen(comfy, "a.png", type="input").content == three
    # What was there before comes back when it is brought again.
    assert uploaded(comfy, "a.png", one, overwrite="1")["name"] == "a.png"
    assert seen(comfy, "a.png", type="input").content == one


def test_a_form_with_two_files_is_refused(comfy: Comfy) -> None:
    parts = [
        ("image", (name, picture((0, 4, level)), "image/png"))
        for level, name in enumerate(("one of two.png", "two of two.png"))
    ]
    answer = comfy.http.post("/upload/image", files=parts)
    assert answer.status_code == 400
    assert answer.json()["error"]["message"] == "the form has several files"
    assert seen(comfy, "two of two.png", type="input").status_code == 404


def test_a_name_stands_for_what_was_brought_last_not_used_last(comfy: Comfy) -> None:
    cat, dog = picture((0, 3, 10)), picture((0, 3, 20))
    uploaded(comfy, "cat.png", cat)
    uploaded(comfy, "input.png", cat)
    uploaded(comfy, "input.png", dog, overwrite="1")
    prompt = {
        "1": node("LoadImage", image="cat.png"),
        "2": node("SaveImage", filename_prefix="cat", images=["1", 0]),
    }
    assert comfy.ended(comfy.submit(prompt))["status"]["completed"]
    assert seen(comfy, "input.png", type="input").content == dog


def test_uploads_at_once_have_names_of_their_own(comfy: Comfy) -> None:
    images = [picture((0, 2, level)) for level in range(8)]
    with ThreadPoolExecutor(8) as threads:
        answers = list(threads.map(lambda data: uploaded(comfy, "at once.png", data), images))
    for answer, data in zip(answers, images, strict=True):
        assert seen(comfy, answer["name"], type="input").content == data


@pytest.mark.parametrize("name", ["n" * 150, "\ufdfa" * 20, "n" * 99])
def test_long_names_are_different_files(comfy: Comfy, name: str) -> None:
    one, two, three = (picture((0, level, 0)) for level in (10, 20, 30))
    names = [uploaded(comfy, f"{name}.png", data)["name"] for data in (one, two, three)]
    assert len(set(names)) == 3
    for each, data in zip(names, (one, two, three), strict=True):
        assert seen(comfy, each, type="input").content == data
        assert uploaded(comfy, each, data)["name"] == each
    assert seen(comfy, f"{name}.png", type="input").content == one
    other = uploaded(comfy, f"{name}b.png", two, overwrite="1")["name"]
    assert seen(comfy, other, type="input").content == two
    assert seen(comfy, names[0], type="input").content == one


def test_long_folders_are_different_folders(comfy: Comfy) -> None:
    one, two = picture((0, 1, 10)), picture((0, 1, 20))
    for folder, data in (("x", one), ("y", two)):
        uploaded(comfy, "f.png", data, subfolder=f"{'b' * 100}/{folder}", overwrite="1")
    for folder, data in (("x", one), ("y", two)):
        query = {"type": "input", "subfolder": f"{'b' * 100}/{folder}"}
        assert seen(comfy, "f.png", **query).content == data


def test_folders_and_types_are_parts_of_a_name(comfy: Comfy) -> None:
    data, other = picture((1, 2, 3)), picture((3, 2, 1))
    answer = uploaded(comfy, "b.png", data, subfolder="pasted/today")
    assert answer == {"name": "b.png", "subfolder": "pasted/today", "type": "input"}
    assert uploaded(comfy, "b.png", other, type="temp")["type"] == "temp"
    assert seen(comfy, "b.png", type="input", subfolder="pasted/today").content == data
    assert seen(comfy, "pasted/today/b.png", type="input").content == data
    assert seen(comfy, "b.png", type="temp").content == other
    assert seen(comfy, "b.png", type="input").status_code == 404


def test_a_prompt_loads_what_was_uploaded(comfy: Comfy) -> None:
    uploaded(comfy, "c.png", picture((0, 0, 255)), subfolder="sub")
    prompt = {
        "1": node("LoadImage", image="sub/c.png"),
        "2": node("ImageInvert", image=["1", 0]),
        "3": node("SaveImage", filename_prefix="inverted/c", images=["2", 0]),
    }
    entry = comfy.ended(comfy.submit(prompt))
    assert entry["status"]["completed"], entry
    assert entry["prompt"][2] == prompt
    (item,) = entry["outputs"]["3"]["images"]
    assert item["subfolder"] == "inverted"
    assert opened(comfy.image(item)).convert("RGB").getpixel((0, 0)) == (255, 255, 0)
    # The result is an input of another one.
    again = {
        "1": node("LoadImage", image=f"inverted/{item['filename']} [output]"),
        "2": node("ImageInvert", image=["1", 0]),
        "3": node("SaveImage", filename_prefix="twice", images=["2", 0]),
    }
    entry = comfy.ended(comfy.submit(again))
    assert entry["status"]["completed"], entry
    (item,) = entry["outputs"]["3"]["images"]
    assert opened(comfy.image(item)).convert("RGB").getpixel((0, 0)) == (0, 0, 255)
    shown = comfy.http.get(f"/history/{entry['prompt'][1]}").text
    assert str(comfy.process.home) not in shown


def test_a_file_that_is_not_there_is_refused(comfy: Comfy) -> None:
    prompt = {
        "1": node("LoadImage", image="nowhere.png"),
        "2": node("SaveImage", filename_prefix="x", images=["1", 0]),
    }
    errors = comfy.refused(prompt)["node_errors"]
    (reason,) = errors["1"]["errors"]
    assert reason["extra_info"]["input_name"] == "image"
    assert "nowhere.png" in reason["details"]
    assert errors["1"]["dependent_outputs"] == ["2"]
    # Their names here are others than those in the prompt.
    prompt["1"]["inputs"]["image"] = "nowhere.png [output]"
    (reason,) = comfy.refused(prompt)["node_errors"]["1"]["errors"]
    assert reason["extra_info"]["input_name"] == "image"
    assert reason["extra_info"]["received_value"] == "nowhere.png [output]"


def test_images_are_seen_in_other_formats_and_channels(comfy: Comfy) -> None:
    data = picture((10, 200, 30, 128), (64, 32))
    uploaded(comfy, "d.png", data)
    preview = seen(comfy, "d.png", type="input", preview="webp;70")
    assert preview.headers["content-type"] == "image/webp"
    assert opened(preview).size == (64, 32)
    # JPEG has no transparency.
    preview = seen(comfy, "d.png", type="input", preview="jpeg;70")
    assert preview.headers["content-type"] == "image/webp"
    plain = opened(seen(comfy, "d.png", type="input", channel="rgb"))
    assert (plain.mode, plain.getpixel((0, 0))) == ("RGB", (10, 200, 30))
    alpha = opened(seen(comfy, "d.png", type="input", channel="a"))
    assert (alpha.mode, alpha.getpixel((0, 0))) == ("RGBA", (0, 0, 0, 128))
    uploaded(comfy, "e.png", picture((9, 9, 9)))
    alpha = opened(seen(comfy, "e.png", type="input", channel="a"))
    assert alpha.getpixel((0, 0)) == (0, 0, 0, 255)
    preview = seen(comfy, "e.png", type="input", preview="jpeg")
    assert preview.headers["content-type"] == "image/jpeg"
    assert opened(preview).format == "JPEG"


def test_parts_of_a_file_can_be_asked_for(comfy: Comfy) -> None:
    data = picture((4, 5, 6))
    uploaded(comfy, "f.png", data)
    query = {"filename": "f.png", "type": "input"}
    answer = comfy.http.get("/view", params=query, headers={"Range": "bytes=2-5"})
    assert (answer.status_code, answer.content) == (206, data[2:6])
    answer = comfy.http.get("/view", params=query, headers={"Range": "bytes=9999999-"})
    assert answer.status_code == 416
    whole = comfy.http.get("/view", params=query)
    assert 'filename="f.png"' in whole.headers["content-disposition"]
    answer = comfy.http.get("/view", params=query, headers={"If-None-Match": whole.headers["etag"]})
    assert answer.status_code == 304


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ({}, 400),
        ({"filename": ""}, 400),
        ({"filename": "../a.png"}, 400),
        ({"filename": "/etc/passwd"}, 400),
        ({"filename": "a.png", "type": "elsewhere"}, 400),
        ({"filename": "a.png", "subfolder": "../.."}, 403),
        ({"filename": "a.png", "subfolder": "/etc"}, 403),
        ({"filename": "a.png", "subfolder": "nowhere"}, 404),
        ({"filename": "tokens.json", "type": "input"}, 404),
    ],
)
def test_other_files_are_not_seen(comfy: Comfy, query: dict[str, str], status: int) -> None:
    assert comfy.http.get("/view", params=query).status_code == status


def test_a_mask_becomes_the_transparency_of_its_image(comfy: Comfy) -> None:
    uploaded(comfy, "g.png", picture((7, 8, 9), (32, 16), text='{"1": {}}'))
    mask = picture((0, 0, 0, 40), (32, 16))
    reference = json.dumps({"filename": "g.png", "type": "input"})
    answer = upload(
        comfy, "masked.png", mask, "mask", subfolder="clipspace", original_ref=reference
    )
    assert answer.status_code == 200, answer.text
    assert answer.json() == {"name": "masked.png", "subfolder": "clipspace", "type": "input"}
    made = opened(seen(comfy, "masked.png", type="input", subfolder="clipspace"))
    assert (made.mode, made.getpixel((3, 3))) == ("RGBA", (7, 8, 9, 40))
    assert made.info["prompt"] == '{"1": {}}'
    for wrong, status in (
        ("", 400),
        ("{", 400),
        ("{}", 400),
        ('{"filename": "../g.png"}', 400),
        ('{"filename": "g.png", "subfolder": "../.."}', 403),
        ('{"filename": "no.png", "type": "input"}', 404),
    ):
        answer = upload(comfy, "m.png", mask, "mask", original_ref=wrong)
        assert answer.status_code == status, wrong


def test_wrong_uploads_are_refused(comfy: Comfy) -> None:
    data = picture((1, 1, 1))
    assert upload(comfy, "h.png", data, subfolder="../..").status_code == 400
    assert upload(comfy, "h.png", data, type="elsewhere").status_code == 400
    assert upload(comfy, "h.png", b"neither this nor that").status_code in (400, 415, 422)
    assert comfy.http.post("/upload/image", data={"x": "y"}).status_code == 400
    assert comfy.http.post("/upload/image", files={"other": ("a.png", data)}).status_code == 400
    assert comfy.http.post("/upload/image", content=data).status_code == 400
    form = b'--x\r\nContent-Disposition: form-data; name="image"; filename="a.png"\r\n\r\nabc'
    kind = {"Content-Type": "multipart/form-data; boundary=x"}
    assert comfy.http.post("/upload/image", content=form, headers=kind).status_code == 400


def test_results_of_a_plain_prompt_are_seen(comfy: Comfy) -> None:
    prompt = plain_prompt(0x00FF00, **{"4": node("PreviewImage", images=["1", 0])})
    entry = comfy.ended(comfy.submit(prompt))
    (saved,) = entry["outputs"]["3"]["images"]
    (shown,) = entry["outputs"]["4"]["images"]
    assert (saved["type"], shown["type"]) == ("output", "temp")
    assert opened(comfy.image(saved)).size == (32, 16)
    assert opened(comfy.image(shown)).getpixel((0, 0)) == (0, 255, 0)
    assert comfy.image(saved, preview="webp;80").headers["content-type"] == "image/webp"
    wrong = {**saved, "subfolder": "elsewhere"}
    assert comfy.image(wrong).status_code == 404
