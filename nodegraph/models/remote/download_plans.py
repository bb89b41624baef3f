"""Plans of model downloads: which files, from where, how large, under which license, to where.

A plan comes from a source (`nodegraph.models.remote.hubs`) and is carried out by
`nodegraph.models.remote.downloads`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import PurePosixPath
from types import UnionType
from typing import Any, get_origin, get_type_hints
from urllib.parse import unquote, urlsplit

from nodegraph.core.suggest import did_you_mean
from nodegraph.core.text_format import format_size
from nodegraph.core.weight_files import GGUF, HEADED, PICKLES, SAFETENSORS, file_suffix
from nodegraph.errors import InvalidFile, InvalidValue, UnsafeFile
from nodegraph.families import diffusers_folder as layout
from nodegraph.models.model_library import FACTS
from nodegraph.models.remote.manifests import check_name

KINDS: Mapping[str, str] = {
    "checkpoint": "checkpoints",
    "diffusion_model": "diffusion_models",
    "text_encoder": "text_encoders",
    "vae": "vae",
    "lora": "loras",
    "embedding": "embeddings",
    "controlnet": "controlnet",
    "upscaler": "upscale_models",
    "clip_vision": "clip_vision",
    "ip_adapter": "ipadapter",
    "style_model": "style_models",
    "preview_decoder": "vae_approx",
    "diffusers": "",
}
"""Kinds of models, and their folders below the models folder; whole folders lie in it directly."""

FOLDER = ".downloads"
"""Folder of parts and journals in a models folder, which lists of models leave out."""
ACTIVE = ("queued", "running", "waiting")
"""States of downloads that have not ended."""
_STATES = (*ACTIVE, "paused", "failed", "finished")
_TEXTS = frozenset({".json", ".txt", ".model", ".jinja"})
_LICENSES = frozenset({"", ".md", ".txt"})
_LARGEST_TEXT = 64 << 20
_MOST_FILES = 2_000
_LISTED = 12
_LONGEST_COUNT = 18
LONGEST_TITLE = 200
"""Characters of texts of a source that are kept."""
_SHARD = re.compile(r"-\d{5}-of-\d{5}")


class DownloadError(InvalidFile):
    """A source cannot be reached, refuses, or sends something else than expected."""

    code = "download-failed"


class BlockedAddress(DownloadError):
    """An address that the host rules do not allow."""

    code = "blocked-address"


@dataclass(frozen=True, slots=True)
class PlannedFile:
    """A file of a download.

    Attributes:
        url: Address of its bytes.
        path: Path below the model's folder; the file's name for a single file.
        bytes: Size; None if the source does not state it.
        sha256: Digest that the source states, in lower case; None if it states none.
        git_sha1: Git's digest of a small file in a repository; None if there is none.
        cached: Path of the file in the cache of `huggingface_hub`; None if it is not there.
    """

    url: str
    path: str
    bytes: int | None = None
    sha256: str | None = None
    git_sha1: str | None = None
    cached: str | None = None

    @property
    def has_digest(self) -> bool:
        """Whether the source states a digest of the file."""
        return self.sha256 is not None or self.git_sha1 is not None


@dataclass(frozen=True, slots=True)
class DownloadPlan:
    """What a download brings.

    Attributes:
        source: Reference that resolves to the same plan, such as ``civitai:128713``.
        name: Path of the file or folder below the models folder, with forward slashes.
        kind: One of `KINDS`.
        title: Name of the model at its source.
        license: License as the source states it; None if it does not.
        is_gated: Whether the source asks for an accepted license and a token.
        base_model: Model that it belongs to, in the words of the source.
        trigger_words: Words that prompts should contain.
        page: Address of the page about the model.
        allow_pickle: Whether pickle files are accepted.
        is_folder: Whether the files lie in a folder of that name.
    """

    source: str
    name: str
    kind: str
    files: tuple[PlannedFile, ...]
    title: str = ""
    license: str | None = None
    is_gated: bool = False
    base_model: str | None = None
    trigger_words: tuple[str, ...] = ()
    page: str | None = None
    allow_pickle: bool = False
    is_folder: bool = False

    @property
    def bytes(self) -> int | None:
        """Size of all files; None if the source does not state each of them."""
        sizes = [file.bytes for file in self.files]
        return None if None in sizes else sum(size or 0 for size in sizes)

    @property
    def is_cached(self) -> bool:
        """Whether all files are in the cache of `huggingface_hub`."""
        return all(file.cached is not None for file in self.files)

    def to_document(self) -> dict[str, Any]:
        """The plan as JSON."""
        return asdict(self)

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> DownloadPlan:
        """The plan that `to_document` returned."""
        files = tuple(PlannedFile(**file) for file in document["files"])
        words = tuple(document["trigger_words"])
        return cls(**{**document, "files": files, "trigger_words": words})


@dataclass(frozen=True, slots=True)
class DownloadStatus:
    """State of a download.

    Attributes:
        id: Name of the download, from the name of its model.
        state: ``queued``, ``running``, ``waiting`` (for the connection), ``paused``, ``failed`` or
            ``finished``.
        plan: What it brings.
        done: Bytes that are there.
        speed: Bytes per second of the last seconds; 0 unless it runs.
        error: Why it failed, or what it waits for; None if neither.
        created: Unix time at which it was added.
        etags: Validators of the files that have begun, by path.
        synced: Bytes of files without a digest that are safely on the disk, by path.
    """

    id: str
    state: str
    plan: DownloadPlan
    done: int = 0
    speed: float = 0.0
    error: str | None = None
    created: float = 0.0
    etags: Mapping[str, str] = field(default_factory=dict)
    synced: Mapping[str, int] = field(default_factory=dict)

    @property
    def seconds_left(self) -> float | None:
        """Seconds until the end at the present speed; None if they are not known."""
        total = self.plan.bytes
        if total is None or self.speed <= 0:
            return None
        return max(0, total - self.done) / self.speed


@dataclass(frozen=True, slots=True)
class Wanted:
    """What to choose where a source offers several files.

    Attributes:
        variant: Such as ``fp16`` or ``Q4_K_M``; None for the one without a variant.
        kind: One of `KINDS`, where the source's own statement is not right.
        allow_pickle: Whether pickle files may be downloaded where there are no others.
        token: Access token for the source; by default the one of the environment.
        name: Name of the file or folder; by default as at the source.
    """

    variant: str | None = None
    kind: str | None = None
    allow_pickle: bool = False
    token: str | None = None
    name: str | None = None

    def __post_init__(self) -> None:
        if self.kind is not None and self.kind not in KINDS:
            raise InvalidValue(
                "there is no such kind of models",
                given=self.kind,
                expected=", ".join(KINDS),
                hint=did_you_mean(self.kind, KINDS),
            )


@dataclass(frozen=True, slots=True)
class SearchHit:
    """A model that a search found.

    Attributes:
        source: ``huggingface`` or ``civitai``.
        reference: What `resolve` takes.
        kind: One of `KINDS`, or empty if it is not known.
        base_model: In the words of the source.
        bytes: Size of the newest version's main file; None if it is not known.
        page: Address of its page.
    """

    source: str
    reference: str
    title: str
    kind: str
    base_model: str | None = None
    license: str | None = None
    is_gated: bool = False
    downloads: int = 0
    likes: int = 0
    bytes: int | None = None
    trigger_words: tuple[str, ...] = ()
    page: str = ""


@dataclass(frozen=True, slots=True)
class FamilyWords:
    """How sources name the models of a family.

    Attributes:
        base: Repository of the base model at Hugging Face; adapters name it in a tag.
        civitai: Names of base models at Civitai.
    """

    base: str
    civitai: tuple[str, ...]


FAMILY_WORDS: Mapping[str, FamilyWords] = {
    "sd1": FamilyWords("stable-diffusion-v1-5/stable-diffusion-v1-5", ("SD 1.5", "SD 1.4")),
    "sdxl": FamilyWords(
        "stabilityai/stable-diffusion-xl-base-1.0",
        ("SDXL 1.0", "Pony", "Illustrious", "NoobAI"),
    ),
    "sd3": FamilyWords(
        "stabilityai/stable-diffusion-3.5-medium",
        ("SD 3", "SD 3.5", "SD 3.5 Medium", "SD 3.5 Large"),
    ),
    "flux": FamilyWords("black-forest-labs/FLUX.1-dev", ("Flux.1 D", "Flux.1 S")),
    "qwen-image": FamilyWords("Qwen/Qwen-Image", ("Qwen",)),
    "z-image": FamilyWords("Tongyi-MAI/Z-Image-Turbo", ("ZImageTurbo",)),
    "wan": FamilyWords("Wan-AI/Wan2.1-T2V-14B", ("Wan Video 14B t2v",)),
}


def target_name(kind: str, file_name: str, wanted: Wanted, *, is_folder: bool = False) -> str:
    """The path below the models folder; a wanted name gets the ending of the source's file.

    Raises:
        InvalidValue: The name could lead out of the folder, some system cannot have it, or its
            ending stands for another format than that of the file.
    """
    name = check_name(wanted.name or file_name)
    if wanted.name:
        # Names decide how files are opened: safetensors named as a pickle would be refused.
        ending = "" if is_folder else PurePosixPath(file_name).suffix
        format_ = "" if is_folder else _suffix(file_name)
        if _suffix(name) not in HEADED | PICKLES:
            name = check_name(f"{name}{ending}")
        elif _suffix(name) != format_:
            raise InvalidValue(
                "the name of the model has the ending of another format",
                given=ascii(name[:80]),
                expected=f"a name that ends with {ending}" if ending else "a folder's name",
                hint="Leave the ending out of the name.",
            )
    folder = KINDS[kind]
    # A workflow may name the folder, too.
    return f"{folder}/{name}" if folder and not name.startswith(f"{folder}/") else name


def check_weights(name: str, *, allow_pickle: bool) -> None:
    """Refuse a file that is no safetensors or GGUF file.

    Raises:
        UnsafeFile: It is a pickle file, and they are not allowed.
        InvalidValue: It is no file of weights.
    """
    suffix = file_suffix(PurePosixPath(name))
    if suffix in HEADED or (suffix in PICKLES and allow_pickle):
        return
    if suffix in PICKLES:
        raise refused_pickle(name)
    raise InvalidValue(
        f"{name[:80]!a} is not a model file", expected="a .safetensors or .gguf file"
    )


def refused_pickle(name: str) -> UnsafeFile:
    """The refusal to download a pickle file."""
    return UnsafeFile(
        f"{name} is refused: it is a pickle file, and opening one can run any code in it",
        expected="a .safetensors or .gguf file",
        hint="Look for the model as .safetensors. If you trust its author, add --allow-pickle.",
    )


def guess_kind(words: Sequence[str], path: str) -> str:
    """The kind of a single file, from its path and a source's tags."""
    folders = {part.lower().replace("-", "_") for part in PurePosixPath(path).parts[:-1]}
    by_folder = {folder: kind for kind, folder in KINDS.items() if folder}
    by_folder |= {"unet": "diffusion_model", "clip": "text_encoder", "lora": "lora"}
    kind = next((kind for folder, kind in by_folder.items() if folder in folders), None)
    if kind is not None:
        return kind
    tags = {word.lower().replace("-", "_") for word in words}
    for kind, names in _TAGS.items():
        if tags & names:
            return kind
    name = PurePosixPath(path).name.lower()
    kind = next((kind for part, kind in _NAMES.items() if part in name), None)
    if kind is None and file_suffix(PurePosixPath(path)) == GGUF:
        kind = "diffusion_model"
    return kind or "checkpoint"


_TAGS: Mapping[str, frozenset[str]] = {
    "lora": frozenset({"lora", "locon", "dora", "lycoris"}),
    "embedding": frozenset({"textual_inversion", "textualinversion", "embedding"}),
    "controlnet": frozenset({"controlnet", "t2i_adapter"}),
    "upscaler": frozenset({"upscaler", "super_resolution", "esrgan"}),
    "vae": frozenset({"vae"}),
    "ip_adapter": frozenset({"ip_adapter"}),
    "text_encoder": frozenset({"text_encoder"}),
}
_NAMES = {
    "lora": "lora",
    "controlnet": "controlnet",
    "control_v": "controlnet",
    "ip-adapter": "ip_adapter",
    "ip_adapter": "ip_adapter",
    "taesd": "preview_decoder",
    "vae": "vae",
    "t5xxl": "text_encoder",
    "clip_l": "text_encoder",
    "esrgan": "upscaler",
}


def select_files(
    sizes: Mapping[str, int | None], wanted: Wanted, what: str
) -> tuple[bool, list[str]]:
    """Choose the files of a repository: one set of weights, not all of its variants and formats.

    Args:
        sizes: Sizes of all files by path.
        what: The repository, for messages.
    Returns:
        Whether they form a folder, and their paths.
    Raises:
        InvalidValue: Nothing fits, or several single files do.
        UnsafeFile: There are only pickle files.
        DownloadError: The repository has an unsafe or unreasonable list of files.
    """
    if len(sizes) > _MOST_FILES:
        raise DownloadError(f"{what} has too many files", given=str(len(sizes)))
    if layout.INDEX in sizes or layout.MODULAR_INDEX in sizes:
        return True, _folder_files(sizes, wanted, what)
    at_root = {path: size for path, size in sizes.items() if "/" not in path}
    if layout.CONFIG in at_root:
        weights = _weights(list(at_root), wanted, what)
        return True, sorted([*weights, *_texts(at_root), *_indices(at_root, weights)])
    return False, [_single_file(sizes, wanted, what)]


def _folder_files(sizes: Mapping[str, int | None], wanted: Wanted, what: str) -> list[str]:
    folders: dict[str, list[str]] = {}
    for path in sizes:
        parts = path.split("/")
        if len(parts) == 2:
            folders.setdefault(parts[0], []).append(path)
    index = layout.INDEX if layout.INDEX in sizes else layout.MODULAR_INDEX
    chosen = [index, *(path for path, size in sizes.items() if _is_license(path, size))]
    has_variant = False
    pickled: list[str] = []
    for paths in folders.values():
        texts = _texts({path: sizes[path] for path in paths})
        files = [path for path in paths if _is_weight(path)]
        if not files:
            chosen += texts
            continue
        weights = _chosen_weights(files, wanted, is_strict=False)
        if not weights and any(_suffix(path) in PICKLES for path in files):
            pickled.append(files[0])
        has_variant = has_variant or any(_is_variant(path, wanted.variant) for path in weights)
        if weights:
            chosen += [*weights, *texts, *_indices(paths, weights)]
    if pickled:
        raise refused_pickle(f"{what}/{pickled[0]}")
    if wanted.variant and not has_variant:
        raise _no_variant(list(sizes), wanted.variant, what)
    return sorted(set(chosen))


def _single_file(sizes: Mapping[str, int | None], wanted: Wanted, what: str) -> str:
    weights = [path for path in sizes if _is_weight(path)]
    headed = [path for path in weights if _suffix(path) in HEADED]
    if not headed and not wanted.allow_pickle and weights:
        raise refused_pickle(f"{what}/{weights[0]}")
    fitting = headed or weights
    if wanted.variant:
        fitting = [path for path in fitting if wanted.variant.lower() in path.lower()]
        if not fitting and weights:
            raise _no_variant(weights, wanted.variant, what)
    if not fitting:
        raise InvalidValue(
            f"{what} has no model files", expected="a .safetensors or .gguf file, or a folder"
        )
    if len(fitting) > 1:
        listed = [f"{path} ({format_size(sizes[path] or 0)})" for path in sorted(fitting)]
        more = f", and {len(listed) - _LISTED} more" if len(listed) > _LISTED else ""
        raise InvalidValue(
            f"{what} has several models: {', '.join(listed[:_LISTED])}{more}",
            hint=f"Name one: {what}/{min(fitting)}",
        )
    return fitting[0]


def _weights(paths: list[str], wanted: Wanted, what: str) -> list[str]:
    files = [path for path in paths if _is_weight(path)]
    chosen = _chosen_weights(files, wanted, is_strict=True)
    if not chosen and wanted.variant:
        raise _no_variant(files, wanted.variant, what)
    if not chosen and files:
        raise refused_pickle(f"{what}/{files[0]}")
    return chosen


def _chosen_weights(files: Sequence[str], wanted: Wanted, *, is_strict: bool) -> list[str]:
    """One format and one variant of a component's weights.

    Args:
        is_strict: Whether a variant that is not there gives nothing, not the plain weights.
    """
    for suffixes in (frozenset({SAFETENSORS}), PICKLES if wanted.allow_pickle else frozenset()):
        fitting = [path for path in files if _suffix(path) in suffixes]
        plain = [path for path in fitting if _variant(path) is None]
        named = [path for path in fitting if _is_variant(path, wanted.variant)]
        variants = sorted(
            {_variant(path) or "" for path in fitting}, key=lambda n: (n != "fp16", n)
        )
        other = [path for path in fitting if _variant(path) == next(iter(variants), None)]
        chosen = named if wanted.variant and is_strict else named or plain or other
        # A component in one file and in shards is the same weights twice.
        single = [path for path in chosen if not _SHARD.search(path)]
        stems = ("diffusion_pytorch_model", "model")
        single.sort(key=lambda path: not PurePosixPath(path).name.startswith(stems))
        if chosen:
            return single[:1] or chosen
    return []


def _suffix(path: str) -> str:
    return file_suffix(PurePosixPath(path))


def _is_weight(path: str) -> bool:
    return _suffix(path) in HEADED | PICKLES


def _variant(path: str) -> str | None:
    """The variant in a name such as ``model.fp16-00001-of-00002.safetensors``."""
    parts = _SHARD.sub("", PurePosixPath(path).name).split(".")
    return parts[-2] if len(parts) > 2 else None


def _is_variant(path: str, variant: str | None) -> bool:
    return variant is not None and _variant(path) == variant


def _texts(sizes: Mapping[str, int | None]) -> list[str]:
    return [
        path
        for path, size in sizes.items()
        if _suffix(path) in _TEXTS
        and ".index." not in path
        and (size or 0) <= _LARGEST_TEXT
        # The download writes its own file of that name.
        and PurePosixPath(path).name.lower() != FACTS
    ]


def _is_license(path: str, size: int | None) -> bool:
    is_named = path.upper().startswith("LICENSE") and "/" not in path
    return is_named and _suffix(path) in _LICENSES and (size or 0) <= _LARGEST_TEXT


def _indices(paths: Sequence[str] | Mapping[str, Any], weights: Sequence[str]) -> list[str]:
    """The indices of the chosen shards."""
    if not any(_SHARD.search(path) for path in weights):
        return []
    variant = _variant(weights[0])
    suffix = f".index.{variant}.json" if variant else ".index.json"
    ends = tuple(f"{end}{suffix}" for end in (SAFETENSORS, *PICKLES))
    # Here the variant comes after `index`, unlike in the names of weights.
    return [path for path in paths if path.endswith(ends)]


def _no_variant(paths: Sequence[str], variant: str, what: str) -> InvalidValue:
    known = sorted({name for path in paths if _is_weight(path) and (name := _variant(path))})
    return InvalidValue(
        f"{what} has no variant `{variant}`",
        expected=", ".join(known[:_LISTED]) or "no variant",
        hint=did_you_mean(variant, known) if known else "Leave --variant out.",
    )


def name_from_url(url: str, disposition: str = "") -> str:
    """The file name that a response or an address states; may be unsafe."""
    match = re.search(r"filename\*=(?:UTF-8'')?([^;]+)", disposition, re.I) or re.search(
        r'filename="?([^";]+)', disposition, re.I
    )
    if match:
        return unquote(match[1].strip().strip('"'))
    return unquote(urlsplit(url).path.rpartition("/")[2])


def parse_count(text: str) -> int | None:
    """A number of bytes in a header; None of anything else, also of more than disks can have."""
    return int(text) if text.isdecimal() and len(text) <= _LONGEST_COUNT else None


def first_text(value: Any) -> str | None:
    """A text, or the first of a list of texts, cut to a sensible length; None of anything else."""
    if isinstance(value, list):
        value = value[0] if value else None
    return value[:LONGEST_TITLE] if isinstance(value, str) and value else None


def _declared_types(record: type) -> list[tuple[str, Any]]:
    """What `isinstance` takes for each field of a record."""
    hints = get_type_hints(record).items()
    bare = [
        (name, hint if isinstance(hint, UnionType) else get_origin(hint) or hint)
        for name, hint in hints
    ]
    return [(name, (int, float) if kind is float else kind) for name, kind in bare]


_TYPES: Mapping[type, list[tuple[str, Any]]] = {
    each: _declared_types(each) for each in (DownloadStatus, DownloadPlan, PlannedFile)
}


def is_well_formed(status: DownloadStatus) -> bool:
    """Whether a status that was read has safe names and values of the types that it declares."""
    for record in (status, status.plan, *status.plan.files):
        for name, kind in _TYPES[type(record)]:
            if not isinstance(getattr(record, name), kind):
                return False
    try:
        for name in (status.plan.name, *(file.path for file in status.plan.files)):
            check_name(name)
    except InvalidValue:
        return False
    are_right = all(isinstance(each, int) for each in status.synced.values())
    are_right = are_right and all(isinstance(each, str) for each in status.etags.values())
    return are_right and bool(status.plan.files) and status.state in _STATES
