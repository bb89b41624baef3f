"""Modules of ComfyUI's program itself: types, server, versioned API.

``comfy_execution`` and the schema classes of ``comfy_api`` are defined in
`nodegraph.interop.comfyui.packs.execution` and `v3_classes`.
"""

from __future__ import annotations

import asyncio
import logging
from argparse import Namespace
from collections.abc import Callable, Mapping
from enum import Enum
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from torch import Tensor

from nodegraph.core.context import Environment
from nodegraph.interop.comfyui.packs import border
from nodegraph.interop.comfyui.packs.model_handle import current_call

_LOG = logging.getLogger("nodegraph.comfyui")
_VERSION = "0.3.64"
"""Version of ComfyUI whose interfaces these are."""


class IO(str, Enum):
    """ComfyUI's names of types. They match as its links do: any part of a union will do."""

    STRING = "STRING"
    IMAGE = "IMAGE"
    MASK = "MASK"
    LATENT = "LATENT"
    BOOLEAN = "BOOLEAN"
    INT = "INT"
    FLOAT = "FLOAT"
    COMBO = "COMBO"
    CONDITIONING = "CONDITIONING"
    SAMPLER = "SAMPLER"
    SIGMAS = "SIGMAS"
    GUIDER = "GUIDER"
    NOISE = "NOISE"
    CLIP = "CLIP"
    CLIP_VISION = "CLIP_VISION"
    CLIP_VISION_OUTPUT = "CLIP_VISION_OUTPUT"
    CONTROL_NET = "CONTROL_NET"
    VAE = "VAE"
    MODEL = "MODEL"
    LORA_MODEL = "LORA_MODEL"
    LOSS_MAP = "LOSS_MAP"
    STYLE_MODEL = "STYLE_MODEL"
    GLIGEN = "GLIGEN"
    UPSCALE_MODEL = "UPSCALE_MODEL"
    AUDIO = "AUDIO"
    VIDEO = "VIDEO"
    WEBCAM = "WEBCAM"
    POINT = "POINT"
    FACE_ANALYSIS = "FACE_ANALYSIS"
    BBOX = "BBOX"
    SEGS = "SEGS"
    ANY = "*"
    NUMBER = "FLOAT,INT"
    PRIMITIVE = "STRING,FLOAT,INT,BOOLEAN"

    def __ne__(self, other: object) -> bool:
        if self.value == "*" or other == "*":
            return False
        if not isinstance(other, str):
            return True
        mine, theirs = set(self.value.split(",")), set(str.__str__(other).split(","))
        return not (mine <= theirs or theirs <= mine)

    __hash__ = str.__hash__
    __str__ = str.__str__


class ComfyNodeABC:
    """Base class of V1 nodes: for annotations."""


class CheckLazyMixin:
    """A node that asks for all of its lazy inputs that are missing."""

    def check_lazy_status(self, **inputs: Any) -> list[str]:
        """Return the inputs that are not there yet."""
        return [name for name, value in inputs.items() if value is None]


class BinaryEventTypes:
    """Kinds of binary messages."""

    PREVIEW_IMAGE = 1
    UNENCODED_PREVIEW_IMAGE = 2
    TEXT = 3
    PREVIEW_IMAGE_WITH_METADATA = 4


class Routes:
    """Takes the routes that a pack declares. They are not served.

    Attributes:
        declared: Methods and paths.
    """

    def __init__(self) -> None:
        self.declared: list[tuple[str, str]] = []

    def _declare(self, method: str, path: str) -> Callable[[Any], Any]:
        self.declared.append((method, path))
        _LOG.warning("the route %s %s of a pack is not served by nodegraph", method, path)
        return lambda handler: handler

    def __getattr__(self, name: str) -> Callable[..., Any]:
        if name not in ("get", "post", "put", "patch", "delete", "head", "options", "view"):
            raise AttributeError(name)
        return lambda path, *_, **__: self._declare(name.upper(), path)

    def route(self, method: str, path: str, **_: Any) -> Callable[[Any], Any]:
        """Take a route."""
        return self._declare(method, path)

    def static(self, prefix: str, path: Any, **_: Any) -> None:
        """Take a folder of files."""
        self._declare("GET", f"{prefix}/*")


class PromptQueue:
    """ComfyUI's queue: runs are nodegraph's, so it is empty."""

    history: Mapping[str, Any] = {}
    currently_running: Mapping[str, Any] = {}

    def get_current_queue(self) -> tuple[list[Any], list[Any]]:
        """Return no runs."""
        return [], []

    def get_tasks_remaining(self) -> int:
        """Return 0."""
        return 0

    def get_history(self, *_: Any, **__: Any) -> dict[str, Any]:
        """Return no runs."""
        return {}

    def set_flag(self, name: str, data: Any) -> None:
        """Do nothing."""


class _Router:
    """The part of an aiohttp application that packs add routes to."""

    def __init__(self, routes: Routes) -> None:
        self.router = self
        self._routes = routes
        self.middlewares: list[Any] = []

    def add_routes(self, routes: Any) -> None:
        """Take routes; they are not served."""
        for route in routes:
            self._routes._declare(getattr(route, "method", "GET"), str(getattr(route, "path", "")))

    def add_static(self, prefix: str, path: Any, **_: Any) -> None:
        """Take a folder of files; it is not served."""
        self._routes.static(prefix, path)

    def add_route(self, method: str, path: str, handler: Any, **_: Any) -> None:
        """Take a route; it is not served."""
        self._routes._declare(method, path)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("add_"):
            return lambda path, handler, **_: self.add_route(name[4:].upper(), path, handler)
        raise AttributeError(name)


class PromptServer:
    """ComfyUI's server, as far as nodes use it: messages become log lines and progress."""

    instance: PromptServer

    def __init__(self) -> None:
        self.routes = Routes()
        self.app = _Router(self.routes)
        self.prompt_queue = PromptQueue()
        self.supports = ["custom_nodes_from_web"]
        self.sockets: dict[str, Any] = {}
        self.sockets_metadata: dict[str, Any] = {}
        self.client_id: str | None = None
        self.last_prompt_id: str | None = None
        self.number = 0
        self.web_root = ""
        self.port, self.address = 8188, "127.0.0.1"
        self.user_manager = None
        self.on_prompt_handlers: list[Any] = []
        self._loop: asyncio.AbstractEventLoop | None = None

    @property
    def loop(self) -> asyncio.AbstractEventLoop:
        """An event loop; nothing runs on it."""
        if self._loop is None:
            self._loop = asyncio.new_event_loop()
        return self._loop

    @property
    def last_node_id(self) -> str | None:
        """The node that runs."""
        context = current_call.get()
        return None if context is None else context.node

    def send_sync(self, event: Any, data: Any, sid: Any = None) -> None:
        """Show a message: progress and previews of the node as such, others in the log."""
        context = current_call.get()
        if context is None:
            return
        if event == "progress":
            context.progress(int(data["value"]), int(data["max"]))
        elif event in (BinaryEventTypes.PREVIEW_IMAGE, BinaryEventTypes.UNENCODED_PREVIEW_IMAGE):
            from nodegraph.interop.comfyui.packs.stand_ins.comfy_utils import preview_image

            context.preview(preview_image(data))
        else:
            context.log(f"{event}: {data}"[:2000], about="run")

    async def send(self, event: Any, data: Any, sid: Any = None) -> None:
        """As `send_sync`."""
        self.send_sync(event, data, sid)

    send_json = send

    def send_progress_text(self, text: Any, node_id: Any = None, sid: Any = None) -> None:
        """Show a text in the log."""
        line = text.decode("utf-8", "replace") if isinstance(text, (bytes, bytearray)) else text
        self.send_sync("text", line, sid)

    def add_on_prompt_handler(self, handler: Any) -> None:
        """Take a function that changes prompts; it is not called."""
        self.on_prompt_handlers.append(handler)
        _LOG.warning("a pack's handler of prompts is not called by nodegraph")

    def queue_updated(self) -> None:
        """Do nothing."""

    def get_queue_info(self) -> dict[str, Any]:
        """Return an empty queue."""
        return {"exec_info": {"queue_remaining": 0}}


class VideoContainer(str, Enum):
    """Containers of videos."""

    AUTO = "auto"
    MP4 = "mp4"

    @classmethod
    def as_input(cls) -> list[str]:
        """Return the choices of an input."""
        return [item.value for item in cls]

    @classmethod
    def get_extension(cls, value: Any) -> str:
        """Return the ending of files."""
        return "mp4"


class VideoCodec(str, Enum):
    """Codecs of videos."""

    AUTO = "auto"
    H264 = "h264"

    @classmethod
    def as_input(cls) -> list[str]:
        """Return the choices of an input."""
        return [item.value for item in cls]


def _api() -> dict[str, dict[str, Any]]:
    """The classes of values in ``comfy_api``, without those of schemas."""
    inputs = {
        "AudioInput": dict,
        "ImageInput": Tensor,
        "MaskInput": Tensor,
        "LatentInput": dict,
        "VideoInput": border.VideoFromComponents,
    }
    implementations = {
        "VideoFromFile": border.VideoFromFile,
        "VideoFromComponents": border.VideoFromComponents,
    }
    types = {
        "VideoCodec": VideoCodec,
        "VideoContainer": VideoContainer,
        "VideoComponents": border.VideoComponents,
    }
    whole = {
        "Input": Namespace(**{name.removesuffix("Input"): item for name, item in inputs.items()}),
        "InputImpl": Namespace(**implementations),
        "Types": Namespace(**types),
    }
    versions = {f"comfy_api.{name}": dict(whole) for name in ("latest", "v0_0_1", "v0_0_2")}
    return {
        **versions,
        "comfy_api.input": inputs,
        "comfy_api.input.basic_types": inputs,
        "comfy_api.input.video_types": inputs,
        "comfy_api.input_impl": implementations,
        "comfy_api.input_impl.video_types": implementations,
        "comfy_api.util": types,
        "comfy_api.util.video_types": types,
    }


def modules(environment: Environment, pack: Path | None) -> dict[str, dict[str, Any]]:
    """The names of the modules of ComfyUI's program."""
    server = PromptServer()
    PromptServer.instance = server
    types = {
        "IO": IO,
        "ComfyNodeABC": ComfyNodeABC,
        "CheckLazyMixin": CheckLazyMixin,
        "InputTypeDict": dict,
        "InputTypeOptions": dict,
        "HiddenInputTypeDict": dict,
        "FileLocator": dict,
        "UnetWrapperFunction": Callable,
        "UnetApplyFunction": Callable,
        "UnetApplyConds": dict,
        "UnetParams": dict,
    }
    named: dict[str, dict[str, Any]] = {
        "comfy": {},
        "comfy.comfy_types": types,
        "comfy.comfy_types.node_typing": types,
        "comfyui_version": {"__version__": _VERSION},
        "server": {"PromptServer": PromptServer, "BinaryEventTypes": BinaryEventTypes},
        **_api(),
    }
    for source in ("execution", "v3_classes"):
        module = f"nodegraph.interop.comfyui.packs.{source}"
        if find_spec(module) is not None:
            for name, members in import_module(module).modules().items():
                named[name] = {**named.get(name, {}), **members}
    return named
