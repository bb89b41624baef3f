"""What a program does with OpenAI's own package, against a server: prints what it got as JSON."""

from __future__ import annotations

import asyncio
import base64
import io
import json
import sys
import urllib.request
from typing import Any

import openai
from openai import AsyncOpenAI, OpenAI
from PIL import Image

URL, KEY, READ_KEY = sys.argv[1:]
SETTINGS: dict[str, Any] = {"base_url": f"{URL}/v1", "timeout": 300, "max_retries": 0}


def size(data: str | None) -> list[Any]:
    with Image.open(io.BytesIO(base64.b64decode(data or ""))) as picture:
        return [picture.format, *picture.size]


def png(picture: Image.Image) -> bytes:
    made = io.BytesIO()
    picture.save(made, "PNG")
    return made.getvalue()


def refused(client: OpenAI, what: Any) -> list[Any]:
    try:
        what(client)
    except openai.APIStatusError as error:
        return [type(error).__name__, error.status_code, error.code, error.param]
    return []


def run(client: OpenAI) -> dict[str, Any]:
    found: dict[str, Any] = {"models": [model.id for model in client.models.list()]}
    found["kind"] = client.models.retrieve("nodegraph").object
    small: dict[str, Any] = {"seed": 3, "steps": 2}
    made = client.images.generate(
        model="nodegraph", prompt="a lemon", n=2, size="64x64", extra_body=small, user="me"
    )
    assert made.data is not None
    found["generated"] = [
        made.size,
        made.output_format,
        [size(each.b64_json) for each in made.data],
    ]
    found["warnings"] = made.to_dict()["nodegraph"]["warnings"]  # type: ignore[index]
    again = client.images.generate(prompt="a lemon", n=2, size="64x64", extra_body=small)
    found["again"] = again.data == made.data
    jpeg = client.images.generate(
        prompt="a lemon",
        size="64x64",
        output_format="jpeg",
        output_compression=40,
        extra_body=small,
    )
    assert jpeg.data is not None
    found["jpeg"] = size(jpeg.data[0].b64_json)
    linked = client.images.generate(
        prompt="a lemon", size="64x64", response_format="url", extra_body=small
    )
    assert linked.data is not None
    request = urllib.request.Request(
        linked.data[0].url or "", headers={"Authorization": f"Bearer {KEY}"}
    )
    with urllib.request.urlopen(request, timeout=60) as answer:
        data = answer.read()
    found["url"] = size(base64.b64encode(data).decode())
    return found | edits(client, data) | streams(client)


def edits(client: OpenAI, data: bytes) -> dict[str, Any]:
    small: dict[str, Any] = {"steps": 2, "seed": 1}
    mask = Image.new("RGBA", (64, 64), (0, 0, 0, 255))
    mask.paste((0, 0, 0, 0), (32, 0, 64, 64))
    masked = client.images.edit(
        image=("a.png", data), mask=("m.png", png(mask)), prompt="an apple", extra_body=small
    )
    whole = client.images.edit(image=[("a.png", data)], prompt="an apple", extra_body=small)
    assert masked.data is not None
    assert whole.data is not None
    edited = Image.open(io.BytesIO(base64.b64decode(masked.data[0].b64_json or "")))
    before, after = Image.open(io.BytesIO(data)).convert("RGB"), edited.convert("RGB")
    left, right = (0, 0, 32, 64), (32, 0, 64, 64)
    return {
        "kept": before.crop(left).tobytes() == after.crop(left).tobytes(),
        "changed": before.crop(right).tobytes() != after.crop(right).tobytes(),
        "whole": size(whole.data[0].b64_json),
    }


def streams(client: OpenAI) -> dict[str, Any]:
    many: dict[str, Any] = {"steps": 150, "seed": 9}
    events = client.images.generate(
        prompt="a lemon", stream=True, partial_images=2, extra_body=many
    )
    types = []
    for event in events:
        types.append(event.type)
        size(event.b64_json)
    return {"events": types}


def errors(client: OpenAI) -> dict[str, Any]:
    def image(**fields: Any) -> Any:
        return lambda each: each.images.generate(**{"prompt": "x", **fields})

    return {
        "unknown model": refused(client, image(model="none")),
        "size": refused(client, image(size="big")),
        "unknown": refused(client, image(extra_body={"stepps": 2})),
        "value": refused(client, image(extra_body={"steps": "many"})),
        "n": refused(client, image(n=11)),
        "edit": refused(
            client, lambda each: each.images.edit(image=b"no image", prompt="an apple")
        ),
        "key": refused(OpenAI(api_key="ng_wrong", **SETTINGS), image()),
        "scope": refused(OpenAI(api_key=READ_KEY, **SETTINGS), image()),
        "model": refused(client, lambda each: each.models.retrieve("none")),
    }


async def asynchronous() -> list[Any]:
    async with AsyncOpenAI(api_key=KEY, **SETTINGS) as client:
        made = await asyncio.gather(
            *(
                client.images.generate(
                    prompt="a lemon", size="64x64", extra_body={"steps": 2, "seed": seed}
                )
                for seed in range(2)
            )
        )
    return [size(each.data[0].b64_json) for each in made if each.data]


with OpenAI(api_key=KEY, **SETTINGS) as client:
    found = run(client) | errors(client) | {"async": asyncio.run(asynchronous())}
sys.stdout.write(json.dumps(found))
