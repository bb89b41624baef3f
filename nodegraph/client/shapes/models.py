"""Models on the server, at other sites, and on their way."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated

from nodegraph.client.shapes.schema import described, example, one_of


@dataclass(frozen=True, slots=True)
class ModelSettings:
    """Settings that suit a model; null where nothing is known.

    Attributes:
        width, height: Pixels of an image.
        steps: Sampling steps.
        guidance: Guidance scale, `cfg` of samplers.
        sampler, schedule: Names, as samplers take them.
    """

    __pydantic_config__ = described("ModelSettingsEntry", is_open=False)

    width: Annotated[int | None, example(1024)] = None
    height: Annotated[int | None, example(1024)] = None
    steps: Annotated[int | None, example(30)] = None
    guidance: Annotated[float | None, example(5.0)] = None
    sampler: Annotated[str | None, example("euler")] = None
    schedule: Annotated[str | None, example("normal")] = None


@dataclass(frozen=True, slots=True)
class Model:
    """A model on the server.

    Attributes:
        name: Value for the model input of `LoadModel`, or of the node type `node`.
        kind: ``diffusers``, ``checkpoint`` or ``embedded``.
        family: Model family; None if the model cannot be used or fits several families.
        bytes: Size in bytes on disk or in remote storage.
        problem: Why it cannot be used; None if it can.
        part: Component that the file contains, such as a transformer; None for whole models.
        node: Type of the node that loads it; None if it cannot be used.
        use: Kind of file input that accepts it.
        thumbnail: Path of its thumbnail on the server; None if there is none.
        is_remote: Whether it is in a bucket or a shared folder and is fetched when needed.
        is_looked_at: False for a remote model of which only the name is known yet. The server then
            reads its header and sends ``models.changed``.
        trigger_words: Words that prompts should contain.
        source: Reference of its download; None if it is not known. An address is shown only to
            admins.
        base_model: Model that it belongs to, in the words of its source.
        tags, stars, notes: As people have set them; 0 to 5 stars.
        added: Unix time of the download; None if it is not known.
        used: Unix time of the last job that names it; None if no job does.
        sha256: Digest of a single file; None until the server has computed it.
        autov2, autov3: Hashes by which Civitai and A1111 know a file; None until computed.
        duplicates: Names of models with the same bytes.
        suits: Settings that suit it; None if nothing is known.
    """

    __pydantic_config__ = described("ModelEntry", is_open=False)

    name: Annotated[str, example("tiny")]
    kind: Annotated[str, one_of("diffusers", "checkpoint", "embedded")]
    family: Annotated[str | None, example("sd1")]
    bytes: Annotated[int, example(19_534_105)]
    problem: str | None = None
    thumbnail: Annotated[
        str | None, example("/api/v1/models/thumbnail?name=sd%2Fportraits.safetensors")
    ] = None
    part: Annotated[str | None, example("the transformer of Flux.1")] = None
    node: Annotated[str | None, example("LoadModel")] = None
    use: Annotated[str, one_of("model", "lora", "embedding")] = "model"
    is_remote: bool = False
    is_looked_at: bool = True
    trigger_words: Annotated[tuple[str, ...], example(["ink drawing"])] = ()
    title: Annotated[str | None, example("Ink v2")] = None
    source: Annotated[str | None, example("civitai:128713")] = None
    license: Annotated[str | None, example("openrail++")] = None
    base_model: Annotated[str | None, example("SDXL 1.0")] = None
    notes: str | None = None
    tags: Annotated[tuple[str, ...], example(["portrait"])] = ()
    stars: int = 0
    added: int | None = None
    used: float | None = None
    sha256: str | None = None
    autov2: Annotated[str | None, example("6ce0161689")] = None
    autov3: Annotated[str | None, example("cc6cb27103")] = None
    duplicates: tuple[str, ...] = ()
    suits: ModelSettings | None = None


@dataclass(frozen=True, slots=True)
class ModelRecord:
    """What is known about a model: from its download, from files beside it, from its header.

    Attributes:
        source: Reference of a download; None if it is not known.
        page: Address of its page.
        base_model: Model that it belongs to, in the words of its source.
        trigger_words: Words that prompts should contain.
        tags, stars: As people have set them; 0 to 5 stars.
        sha256: Digests that the source stated, by path within the model.
        added: Unix time of the download; None if it is not known.
    """

    __pydantic_config__ = described("ModelRecordEntry", is_open=False)

    source: Annotated[str | None, example("civitai:128713")] = None
    title: Annotated[str | None, example("Ink v2")] = None
    page: str | None = None
    license: Annotated[str | None, example("openrail++")] = None
    author: str | None = None
    base_model: Annotated[str | None, example("SDXL 1.0")] = None
    trigger_words: Annotated[tuple[str, ...], example(["ink drawing"])] = ()
    notes: str | None = None
    tags: Annotated[tuple[str, ...], example(["portrait"])] = ()
    stars: int = 0
    sha256: Mapping[str, str] = field(default_factory=dict)
    added: int | None = None


@dataclass(frozen=True, slots=True)
class OfferedModel:
    """A model that a search at Hugging Face or Civitai has found.

    Attributes:
        source: ``huggingface`` or ``civitai``.
        reference: Value for `source` of a new download.
        kind: Kind, such as ``lora``; empty if it is not known.
        base_model: Model that it belongs to, in the words of the source.
        is_gated: Whether the source asks for an accepted license and a token.
        bytes: Size of its main file; None if it is not known.
        trigger_words: Words that prompts should contain.
        page: Address of its page.
    """

    __pydantic_config__ = described("OfferedModelEntry", is_open=False)

    source: Annotated[str, one_of("huggingface", "civitai")]
    reference: Annotated[str, example("civitai:128713")]
    title: Annotated[str, example("Ink")]
    kind: Annotated[str, example("lora")]
    base_model: Annotated[str | None, example("SDXL 1.0")] = None
    license: Annotated[str | None, example("openrail++")] = None
    is_gated: bool = False
    downloads: int = 0
    likes: int = 0
    bytes: int | None = None
    trigger_words: tuple[str, ...] = ()
    page: str = ""


@dataclass(frozen=True, slots=True)
class DownloadFile:
    """A file of a download.

    Attributes:
        path: Path below the model's folder; the file's name for a single file.
        bytes: Size; None if the source does not state it.
        sha256: Digest that the source states; None if it states none.
    """

    __pydantic_config__ = described("DownloadFileEntry", is_open=False)

    path: Annotated[str, example("unet/diffusion_pytorch_model.safetensors")]
    bytes: int | None = None
    sha256: str | None = None


@dataclass(frozen=True, slots=True)
class DownloadOffer:
    """What a download would bring.

    Attributes:
        source: Reference of the model.
        name: Path of the file or folder below the models folder.
        kind: Kind, such as ``lora``; it decides on the folder.
        bytes: Size of all files; None if the source does not state it.
        license: License as the source states it.
        is_gated: Whether the source asks for an accepted license and a token.
        is_cached: Whether all files are on the server's machine already.
        page: Address of its page.
    """

    __pydantic_config__ = described("DownloadOfferEntry", is_open=False)

    source: Annotated[str, example("civitai:128713")]
    name: Annotated[str, example("loras/ink.safetensors")]
    kind: Annotated[str, example("lora")]
    files: tuple[DownloadFile, ...]
    title: str = ""
    bytes: int | None = None
    license: str | None = None
    is_gated: bool = False
    is_cached: bool = False
    base_model: str | None = None
    trigger_words: tuple[str, ...] = ()
    page: str | None = None


@dataclass(frozen=True, slots=True)
class ModelDownload:
    """A download of a model to the server.

    Attributes:
        name: Path of the file or folder below the models folder.
        source: Reference of the model; empty for callers who are no admins.
        state: ``queued``, ``running``, ``waiting`` (for its source to answer again), ``paused``,
            ``failed`` or ``finished``.
        bytes: Size of all files; None if the source does not state it.
        done: Number of bytes that are there.
        speed: Bytes per second; 0 unless it runs.
        seconds_left: Seconds until the end at this speed; None if they are not known.
        error: Why it failed, or what it waits for; None if neither.
        created: Unix time at which it was added.
    """

    __pydantic_config__ = described("ModelDownloadEntry", is_open=False)

    id: Annotated[str, example("4f1a9a0b6e21c7d3")]
    name: Annotated[str, example("loras/ink.safetensors")]
    source: Annotated[str, example("civitai:128713")]
    state: Annotated[str, one_of("queued", "running", "waiting", "paused", "failed", "finished")]
    bytes: int | None
    done: int
    speed: float = 0.0
    seconds_left: float | None = None
    error: str | None = None
    created: float = 0.0


@dataclass(frozen=True, slots=True)
class StarterModel:
    """A model of the starter catalogue.

    Attributes:
        purpose: What it is for, such as ``image``.
        family: Model family that it belongs to.
        license_url: Address of its license.
        source: Reference for a download.
        variant, kind: Choice for this download; None for the usual one.
        bytes: Size of the download; None if the catalogue does not state it.
        memory: Memory in bytes that it needs; None if the catalogue does not state it.
        fits: Whether the server's machine has this memory.
        is_gated: Whether its source asks for an accepted license and a token.
        settings: Settings that suit it.
        installed: Name of the model here; None if it is not here.
    """

    __pydantic_config__ = described("StarterModelEntry", is_open=False)

    id: Annotated[str, example("sdxl-base")]
    title: Annotated[str, example("Stable Diffusion XL")]
    description: str
    purpose: Annotated[str, example("image")]
    family: Annotated[str | None, example("sdxl")]
    license: Annotated[str | None, example("openrail++")]
    license_url: str | None
    source: Annotated[str, example("stabilityai/stable-diffusion-xl-base-1.0")]
    variant: Annotated[str | None, example("fp16")]
    kind: Annotated[str | None, example("checkpoint")]
    bytes: int | None
    memory: int | None
    settings: ModelSettings
    is_gated: bool = False
    fits: bool = True
    installed: str | None = None


@dataclass(frozen=True, slots=True)
class MissingModel:
    """A model that a workflow names and the server lacks.

    Attributes:
        name: As the workflow names it; value for `name` of its download.
        source: Reference for its download; None if the workflow does not state one.
        kind: Value for `kind` of its download.
        sha256: Digest that the workflow states.
        bytes: Size of the download; None if it is not known.
        license_url: Address of the page with the license.
        is_gated: Whether its source asks for an accepted license and a token.
        problem: Why it cannot be downloaded; None if it can.
        installed_as: Name of a model here with the same bytes or file name.
    """

    __pydantic_config__ = described("MissingModelEntry", is_open=False)

    name: Annotated[str, example("loras/ink.safetensors")]
    source: Annotated[str | None, example("civitai:128713")] = None
    kind: Annotated[str | None, example("lora")] = None
    sha256: str | None = None
    bytes: int | None = None
    license: Annotated[str | None, example("openrail++")] = None
    license_url: str | None = None
    is_gated: bool = False
    problem: str | None = None
    installed_as: str | None = None


@dataclass(frozen=True, slots=True)
class LinkedFolder:
    """A folder of models of another program, which is only read.

    Attributes:
        exists: Whether it is there.
        models: Number of models in it.
    """

    __pydantic_config__ = described("LinkedFolderEntry", is_open=False)

    folder: Annotated[str, example("/srv/ComfyUI/models")]
    exists: bool
    models: int


@dataclass(frozen=True, slots=True)
class VerifiedFile:
    """Result of the check of a model's file.

    Attributes:
        path: Path within the model; its name for a single file.
        sha256: Digest of its bytes; empty if the file is missing.
        expected: Digest that its source states; None if it is not known.
        problem: Why it is damaged; None if it is not, as far as is known.
    """

    __pydantic_config__ = described("VerifiedFileEntry", is_open=False)

    path: Annotated[str, example("ink.safetensors")]
    sha256: str
    expected: str | None
    problem: str | None


@dataclass(frozen=True, slots=True)
class ModelUpdate:
    """A newer version of a model.

    Attributes:
        source: Reference of a newer version; None if there is none, as far as is known.
        page: Address of its page.
    """

    __pydantic_config__ = described("ModelUpdateEntry", is_open=False)

    source: Annotated[str | None, example("civitai:128713")] = None
    page: str | None = None


@dataclass(frozen=True, slots=True)
class ModelUses:
    """What names a model.

    Attributes:
        saved: Names of saved workflows that name it.
        jobs: Number of the newest jobs that name it, of those that the queue keeps.
        last: Unix time of the newest of them; None if there is none.
    """

    __pydantic_config__ = described("ModelUsesEntry", is_open=False)

    saved: Annotated[tuple[str, ...], example(["portrait"])] = ()
    jobs: int = 0
    last: float | None = None
