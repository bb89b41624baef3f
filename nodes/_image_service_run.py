"""One piece of work of a hosted image service: started, waited for, downloaded, cancelled."""

from __future__ import annotations

import json
from base64 import b64decode, b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from nodegraph import Context, InvalidValue
from nodegraph.models.remote.hosted_calls import ServiceCalls, ServiceError, ServiceReply
from nodegraph.models.remote.image_services import (
    ImageService,
    ServicePoll,
    ServiceRequest,
    fill_body,
    fill_text,
    fill_url,
    find_values,
    merge_options,
)

_SEEDS = 1 << 31
_LARGEST_IMAGE = 64 << 20
_MOST_IMAGES = 64


@dataclass(frozen=True, slots=True)
class ImageServiceCall:
    """What a node asks of an image service.

    Attributes:
        width, height: Pixels; None to leave them to the service.
        seed: None for none.
        strength: How far an image is changed, 0..1; None for none.
        images: PNG files.
        mask: PNG file, white where the image changes.
        mask_alpha: The same as transparency, the form of OpenAI.
        options: Further fields of the body.
    """

    model: str
    prompt: str
    negative: str = ""
    width: int | None = None
    height: int | None = None
    seed: int | None = None
    count: int = 1
    strength: float | None = None
    images: Sequence[bytes] = ()
    mask: bytes | None = None
    mask_alpha: bytes | None = None
    options: Mapping[str, Any] = field(default_factory=dict)

    def values(self, address: str) -> dict[str, Any]:
        """Return the values of placeholders; None for those without."""
        urls = [_data_url(image) for image in self.images]
        return {
            "address": address,
            "model": self.model or None,
            "prompt": self.prompt,
            "negative": self.negative or None,
            "seed": None if self.seed is None else self.seed % _SEEDS,
            "width": self.width,
            "height": self.height,
            "count": self.count,
            "strength": self.strength,
            "image": urls[0] if urls else None,
            "images": urls or None,
            "mask": None if self.mask is None else _data_url(self.mask),
        }


@dataclass(frozen=True, slots=True)
class ImageAnswer:
    """The image files of a service, and what it says they cost, such as ``1056 tokens``."""

    images: Sequence[bytes]
    costs: Sequence[str]


def _data_url(png: bytes) -> str:
    return f"data:image/png;base64,{b64encode(png).decode()}"


def call_image_service(
    ctx: Context,
    service: ImageService,
    request: ImageServiceCall,
    *,
    address: str,
    secret: str,
    seconds: float,
) -> ImageAnswer:
    """Have a service make images. A cancelled run cancels the work there.

    Args:
        address: Base address instead of that of the description; empty for that one.
        secret: Name of the secret.
        seconds: Time limit.

    Raises:
        InvalidValue: The service may not be called, or has no such form.
        ServiceError: The service fails.
    """
    base = (address or service.address).rstrip("/")
    return _ServiceRun(
        ctx, service, ServiceCalls(ctx, base, secret, seconds=seconds), request.values(base)
    ).images(request)


class _ServiceRun:
    """One piece of work of a service."""

    def __init__(
        self, ctx: Context, service: ImageService, calls: ServiceCalls, values: dict[str, Any]
    ) -> None:
        self._ctx, self._service, self._calls, self._values = ctx, service, calls, values
        self._costs: dict[str, str] = {}
        self._reply: Any = None

    def images(self, request: ImageServiceCall) -> ImageAnswer:
        """Start the work, wait for it, and download the images."""
        service = self._service
        last = self._reply = self._create(request).document
        if service.poll is not None:
            try:
                last = self._wait(service.poll)
            except _Failed as failed:
                raise self._failure(failed.reply) from None
            except BaseException:
                self._cancel()
                raise
        if service.result is not None:
            last = self._call(service.result, "GET").document
        return ImageAnswer(self._downloaded(last), list(self._costs.values()))

    def _create(self, request: ImageServiceCall) -> ServiceReply:
        service = self._service
        form = service.edit if request.images and service.edit is not None else service.create
        if form.form is None:
            body = fill_body(form.json or {}, self._values)
            merge_options(body, service.options_at, request.options)
            return self._call(form, "POST", body=body)
        data: dict[str, Any] = {}
        files: list[tuple[str, Any]] = []
        for name, template in form.form.items():
            if template == "{image_files}":
                images = enumerate(request.images)
                files += [(name, (f"{at}.png", png, "image/png")) for at, png in images]
            elif template == "{mask_file}":
                if request.mask_alpha is not None:
                    files.append((name, ("mask.png", request.mask_alpha, "image/png")))
            else:
                value = fill_text(template, self._values)
                if value is not None:
                    data[name] = value
        merge_options(data, "", request.options)
        return self._call(form, "POST", files=files, data=data)

    def _call(self, request: ServiceRequest, method: str, **content: Any) -> ServiceReply:
        url = fill_url(request.url, self._values, self._reply)
        method = request.method or method
        result = self._calls.call(method, url, headers=self._service.headers, **content)
        self._note_cost(result)
        return result

    def _wait(self, poll: ServicePoll) -> Any:
        """Poll until the work is done; the last answer."""
        pause, longest = poll.pauses
        current, number, state = self._reply, 0, ""
        while True:
            states = [str(item) for item in find_values(current, poll.state)]
            if states and states[0] != state:
                state = states[0]
                self._ctx.log(f"{self._calls.address.host}: {state}", about="run")
            if state in poll.done:
                return current
            if state in poll.failed:
                raise _Failed(current)
            self._ctx.progress(min(number, 99), 100)
            self._calls.wait(pause)
            pause = min(longest, pause * 1.5)
            number += 1
            current = self._call(ServiceRequest(poll.url), "GET").document

    def _cancel(self) -> None:
        cancel = self._service.cancel
        if cancel is None:
            return
        try:
            url = fill_url(cancel.url, self._values, self._reply)
        except InvalidValue:
            return  # the service has not named the address
        self._calls.cancel(cancel.method or "POST", url, headers=self._service.headers)

    def _failure(self, reply: Any) -> ServiceError:
        reasons = [item for path in self._service.error for item in find_values(reply, path)]
        text = next((item for item in reasons if item), "it gives no reason")
        text = text if isinstance(text, str) else json.dumps(text)
        return ServiceError(
            f"{self._calls.address.host} failed: {text[:300]}",
            hint="Check the prompt, the model and the options.",
        )

    def _note_cost(self, result: ServiceReply) -> None:
        for source in self._service.cost:
            amounts = find_values(result.document, source.path) if source.path else []
            if source.header and (text := result.headers.get(source.header.lower())):
                amounts = [text]
            if amounts and isinstance(amounts[0], (int, float, str)):
                shown = f"{amounts[0]} {source.unit}".strip()[:80]
                self._costs[source.path or source.header] = shown

    def _downloaded(self, reply: Any) -> list[bytes]:
        for path in self._service.images:
            texts = [item for item in find_values(reply, path) if isinstance(item, str)]
            if texts:
                return [self._image(text) for text in texts[:_MOST_IMAGES]]
        raise self._failure(reply)

    def _image(self, text: str) -> bytes:
        if text.startswith(("http://", "https://")):
            return self._calls.download(text, _LARGEST_IMAGE)
        try:
            return b64decode(text.partition(",")[2] if text.startswith("data:") else text)
        except ValueError:
            raise ServiceError(
                f"{self._calls.address.host} answers with a damaged image", hint="Try again."
            ) from None


class _Failed(Exception):
    """The service reports that the work failed."""

    def __init__(self, reply: Any) -> None:
        super().__init__()
        self.reply = reply
