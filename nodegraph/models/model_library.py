"""What is known about models in the folders, and changes of the folders: move, remove, link.

Facts come from several places, the first one counts: `nodegraph.json` beside the model (written by
a download), ``.civitai.info`` and ``.json`` beside it (as other programs write them), and the
metadata in its header (ModelSpec, and ``ss_*`` of kohya's trainer). All of them may be wrong: they
are shown, and nothing is decided by them.
"""

from __future__ import annotations

import json
import os
import shutil
from base64 import b64decode
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from threading import Lock
from time import time
from typing import Any

from nodegraph.core.files import make_folder, write_file
from nodegraph.core.text_format import to_well_formed
from nodegraph.core.weight_files import HEADED, PICKLES, file_suffix
from nodegraph.errors import InvalidFile, InvalidValue, OutputError
from nodegraph.models.model_hashes import compute_hashes
from nodegraph.models.remote.manifests import check_name, is_safe_name

FACTS = "nodegraph.json"
"""File in a model's folder, or behind its file's name, that says where the model comes from."""
_FORMAT = "nodegraph-model-facts/1"
_THUMBNAIL = "modelspec.thumbnail"
_SIDECARS = (f".{FACTS}", ".civitai.info", ".json", ".txt")
_PICTURES = (".png", ".jpg", ".jpeg", ".webp")
_LARGEST_SIDECAR = 4 << 20
_LONGEST = 300
_MOST_WORDS = 50
_MOST_STARS = 5
_RECORDS = Lock()

OnBytes = Callable[[int], None]
"""Is called with the number of bytes that were just read."""


@dataclass(frozen=True, slots=True)
class ModelRecord:
    """What is known about a model.

    Attributes:
        source: Reference for `nodegraph models add`; None if it was not downloaded by it.
        tags, stars: As people have set them; 0 to 5 stars.
        sha256: Digests by path within the model, as the source stated them.
        added: Unix time of the download; None if it is not known.
        has_thumbnail: Whether its header holds an image.
    """

    source: str | None = None
    title: str | None = None
    page: str | None = None
    license: str | None = None
    author: str | None = None
    base_model: str | None = None
    trigger_words: tuple[str, ...] = ()
    notes: str | None = None
    tags: tuple[str, ...] = ()
    stars: int = 0
    sha256: Mapping[str, str] = field(default_factory=dict)
    added: int | None = None
    has_thumbnail: bool = False


def facts_file(model: Path) -> Path:
    """The file that says where a model comes from."""
    return model / FACTS if model.is_dir() else model.with_name(f"{model.name}.{FACTS}")


def facts_files(model: Path) -> list[Path]:
    """The files beside a model that say something about it, whether they are there or not."""
    return [facts_file(model), _sidecar(model, ".civitai.info"), _sidecar(model, ".json")]


def facts_document(facts: Mapping[str, Any]) -> bytes:
    """The content of a facts file."""
    document = {"format": _FORMAT, "added": int(time()), **facts}
    return json.dumps(document, indent=1, ensure_ascii=False).encode("utf-8", "replace")


def read_facts(model: Path) -> ModelRecord:
    """What is known about a model; unreadable files are skipped, and texts are cut."""
    sources = [own_facts(model), _civitai_info(model), _a1111_json(model), _header(model)]
    merged: dict[str, Any] = {}
    for source in sources:
        for name, value in source.items():
            if value and not merged.get(name):
                merged[name] = value
    return ModelRecord(**merged)


def change_record(model: Path, changes: Mapping[str, Any]) -> ModelRecord:
    """Change what people have noted about a model: notes, tags, stars, trigger words, title.

    Args:
        changes: New values by name; None or an empty one stands for what other places say.
    Raises:
        OutputError: It cannot be written.
    """
    with _RECORDS:  # two changes at the same time are both kept
        former = _read_json(facts_file(model))
        known = former if former.get("format") == _FORMAT else {"added": None}
        write_file(facts_file(model), facts_document({**known, **changes}))
    return read_facts(model)


def models_folder_of(model: Path, folders: Sequence[Path], linked: Sequence[Path]) -> Path:
    """The models folder of a model that may be moved or removed.

    Args:
        folders: All models folders.
        linked: Those of other programs, which are only read.
    Raises:
        InvalidValue: The model is in none of nodegraph's own.
    """
    # Where links lead counts: a folder of another program may be linked below one of nodegraph's.
    real = model.parent.resolve() / model.name
    if any(real.is_relative_to(folder.resolve()) for folder in linked):
        raise InvalidValue(
            f"{model.name} is in a linked folder of another program, which is only read",
            hint="Change it with that program.",
        )
    for folder in folders:
        # With `..` after a link, the system means another file than the text says.
        if ".." not in model.parts and model != folder and model.is_relative_to(folder):
            return folder
    raise InvalidValue(f"{model.name} is not in a models folder")


def own_facts(model: Path) -> dict[str, Any]:
    """What the file of facts beside a model says; empty without one."""
    document = _read_json(facts_file(model))
    if document.get("format") != _FORMAT:
        return {}
    digests, added, stars = (document.get(key) for key in ("sha256", "added", "stars"))
    listed = digests if isinstance(digests, dict) else {}
    names = ("source", "title", "page", "license", "author", "base_model", "notes")
    return {
        **{name: _text(document.get(name)) for name in names},
        "trigger_words": _words(document.get("trigger_words")),
        "tags": _words(document.get("tags")),
        "stars": min(max(stars, 0), _MOST_STARS) if isinstance(stars, int) else 0,
        "sha256": {str(name): str(digest) for name, digest in listed.items()},
        "added": added if isinstance(added, int) else None,
    }


def _civitai_info(model: Path) -> dict[str, Any]:
    """A file as Civitai's helpers for A1111 write it: a version from Civitai's API."""
    document = _read_json(_sidecar(model, ".civitai.info"))
    about = document.get("model")
    version, whole = document.get("id"), document.get("modelId")
    name = _text(about.get("name")) if isinstance(about, dict) else None
    is_known = isinstance(version, int) and isinstance(whole, int)
    return {
        "source": f"civitai:{version}" if is_known else None,
        "title": " ".join(filter(None, (name, _text(document.get("name"))))) or None,
        "page": f"https://civitai.com/models/{whole}?modelVersionId={version}"
        if is_known
        else None,
        "base_model": _text(document.get("baseModel")),
        "trigger_words": _words(document.get("trainedWords")),
    }


def _a1111_json(model: Path) -> dict[str, Any]:
    """A file with what a user of A1111 wrote about a model."""
    document = _read_json(_sidecar(model, ".json"))
    return {
        "base_model": _text(document.get("sd version")),
        "trigger_words": _words([document.get("activation text")]),
        "notes": _text(document.get("notes")) or _text(document.get("description")),
    }


def _header(model: Path) -> dict[str, Any]:
    if model.is_dir() or file_suffix(model) not in HEADED:
        return {}
    from nodegraph.weights.joined_files import header_of

    try:
        metadata = header_of(model).metadata
    except InvalidFile:
        return {}
    spec = {name: metadata.get(f"modelspec.{name}") for name in ("title", "license", "author")}
    phrase = metadata.get("modelspec.trigger_phrase")
    base = metadata.get("modelspec.architecture") or metadata.get("ss_base_model_version")
    return {
        **{name: _text(value) for name, value in spec.items()},
        "base_model": _text(base),
        "trigger_words": _words([phrase]) or _most_common_tags(metadata.get("ss_tag_frequency")),
        "notes": _text(metadata.get("modelspec.description")),
        "has_thumbnail": metadata.get(_THUMBNAIL, "").startswith("data:image/"),
    }


def _most_common_tags(text: Any) -> tuple[str, ...]:
    """The tags that are in every caption of kohya's training data, as far as it says so."""
    if not isinstance(text, str) or len(text) > _LARGEST_SIDECAR:
        return ()
    try:
        frequencies = json.loads(text)
        counts: dict[str, int] = {}
        for tags in frequencies.values():
            for tag, count in tags.items():
                counts[tag] = counts.get(tag, 0) + int(count)
    except (ValueError, TypeError, AttributeError, OverflowError, RecursionError):
        return ()  # also where a count is infinite
    most = max(counts.values(), default=0)
    return _words([tag for tag, count in counts.items() if count == most][:3])


def _sidecar(model: Path, ending: str) -> Path:
    """A file that other programs put beside a model's file."""
    return model.with_name(f"{model.stem}{ending}") if not model.is_dir() else model / ending


def _read_json(path: Path) -> Mapping[str, Any]:
    try:
        if not path.is_file() or path.stat().st_size > _LARGEST_SIDECAR:
            return {}  # a pipe would never end
        document = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError):
        return {}
    return document if isinstance(document, dict) else {}


def _text(value: Any) -> str | None:
    if not isinstance(value, str):
        return None
    return " ".join(str(to_well_formed(value)).split())[:_LONGEST] or None


def _words(value: Any) -> tuple[str, ...]:
    listed = value if isinstance(value, list) else ()
    return tuple(word for each in listed[:_MOST_WORDS] if (word := _text(each)))


def model_image(model: Path) -> Path | None:
    """Return the image in a model's folder or next to its file; None if there is none."""
    return next((path for path in _image_files(model) if path.is_file()), None)


def _image_files(model: Path) -> list[Path]:
    """The files that may be a model's image, the first one counts."""
    if model.is_dir():
        stems = [model / "preview", model / "thumbnail"]
    else:
        # Not `with_suffix` twice, which would cut the name `v1.5`.
        stems = [model.with_name(f"{model.stem}{middle}") for middle in (".preview", "")]
    return [stem.with_name(f"{stem.name}{ending}") for stem in stems for ending in _PICTURES]


def header_image(model: Path) -> bytes | None:
    """Return the image in a model's header (``modelspec.thumbnail``); None if there is none."""
    if model.is_dir() or file_suffix(model) not in HEADED:
        return None
    from nodegraph.weights.joined_files import header_of

    try:
        kind, _, text = header_of(model).metadata.get(_THUMBNAIL, "").partition(",")
        is_image = kind.startswith("data:image/") and kind.endswith(";base64")
        is_image = is_image and len(text) <= _LARGEST_SIDECAR
        return b64decode(text, validate=True) if is_image else None
    except (InvalidFile, ValueError):
        return None


def change_image(model: Path, data: bytes | None, ending: str) -> None:
    """Set the image of a model, or remove it.

    Args:
        data: The bytes of an image file; None to remove the image.
        ending: Ending of the file's name, such as ``.png``.
    Raises:
        OutputError: It cannot be written or removed.
    """
    target = _image_files(model)[0].with_suffix(ending) if data is not None else None
    if target is not None and data is not None:
        write_file(target, data)
    for path in _image_files(model):
        try:
            if path != target:
                path.unlink(missing_ok=True)
        except OSError as error:
            raise OutputError(f"cannot remove {path}: {error.strerror or error}") from error


def model_weights(model: Path) -> list[Path]:
    """The files of weights of a model."""
    if not model.is_dir():
        return [model]
    files = (path for path in sorted(model.rglob("*")) if path.is_file())
    return [path for path in files if file_suffix(path) in HEADED | PICKLES]


@dataclass(frozen=True, slots=True)
class VerifiedFile:
    """Result of the check of a file.

    Attributes:
        path: Path within the model; its name for a single file.
        sha256: Digest of its bytes.
        expected: Digest that the source stated; None if it is not known.
        problem: Why it is damaged; None if it is not, as far as is known.
    """

    path: str
    sha256: str
    expected: str | None
    problem: str | None


def _sha256(path: Path, on_bytes: OnBytes) -> str:
    """The digest of a file as it is now: nothing that was kept of it counts.

    Raises:
        InvalidFile: It cannot be read.
    """
    try:
        return compute_hashes(path, on_bytes).sha256
    except OSError as error:
        raise InvalidFile(f"cannot read {path}: {error.strerror or error}") from error


def verify_model(model: Path, on_bytes: OnBytes = lambda count: None) -> Iterator[VerifiedFile]:
    """Read all weights of a model and compare them with the digests of their source."""
    facts = read_facts(model)
    weights = model_weights(model)
    # The file with the facts may come from anybody.
    digests = {name: each for name, each in facts.sha256.items() if is_safe_name(name)}
    listed = [path for name in digests if (path := model / name).is_file()]
    for path in [*weights, *(each for each in listed if each not in weights)]:
        name = path.relative_to(model).as_posix() if model.is_dir() else path.name
        expected = digests.get(name)
        if expected is None and not model.is_dir() and len(digests) == 1:
            (expected,) = digests.values()  # it was renamed
        digest = _sha256(path, on_bytes)
        yield VerifiedFile(name, digest, expected, _damage(path, digest, expected))
    for name in digests if model.is_dir() else ():
        if not (model / name).is_file():
            yield VerifiedFile(name, "", digests[name], "it is missing")


def _damage(path: Path, digest: str, expected: str | None) -> str | None:
    if expected is not None:
        return None if digest == expected else "its content differs from that of its source"
    if file_suffix(path) not in HEADED:
        return None
    from nodegraph.weights.joined_files import header_of

    try:
        header_of(path)
    except InvalidFile as error:
        return str(error)
    return None


def model_files(model: Path) -> list[Path]:
    """A model with the files beside it that belong to it: facts, notes, image."""
    if model.is_dir():
        return [model]
    named = [model.with_name(f"{model.name}.{FACTS}")]
    named += [_sidecar(model, ending) for ending in _SIDECARS]
    named += [_sidecar(model, f"{middle}{end}") for middle in ("", ".preview") for end in _PICTURES]
    # Another model of the same stem shares them: then they stay.
    stems = [path for path in model.parent.glob("*") if path.stem == model.stem]
    is_only = not any(file_suffix(each) in HEADED | PICKLES for each in stems if each != model)
    shared = named if is_only else named[:1]
    return [model, *(path for path in shared if os.path.lexists(path))]


def move_model(model: Path, folder: Path, name: str) -> Path:
    """Move a model to another name in its models folder, with what belongs to it.

    Args:
        folder: The models folder that it is in.
        name: New path below it; without an ending, the old one stays.
    Raises:
        InvalidValue: The name is not safe, or there is a model of that name.
        OutputError: It cannot be moved.
    """
    suffix = file_suffix(Path(name))
    if not model.is_dir() and suffix not in HEADED | PICKLES:
        name += model.suffix
    elif suffix != file_suffix(model) and not model.is_dir():
        # Names decide how files are opened: safetensors named as a pickle would be refused.
        raise InvalidValue(
            "the new name has the ending of another format",
            given=ascii(name[:80]),
            expected=f"a name that ends with {model.suffix}",
            hint="Leave the ending out of the name.",
        )
    target = folder / check_name(name)
    pairs = [
        (path, target if path == model else target.parent / _renamed(path, model, target))
        for path in model_files(model)
    ]
    for _, new in pairs:
        if os.path.lexists(new):
            raise InvalidValue(f"there is already a file {new}", given=name)
    make_folder(target.parent)
    for old, new in reversed(pairs):  # the model itself last: what is beside it is of no use alone
        try:
            old.rename(new)
        except OSError as error:
            raise OutputError(f"cannot move {old}: {error.strerror or error}") from error
    return target


def _renamed(path: Path, model: Path, target: Path) -> str:
    start = model.name if path.name.startswith(f"{model.name}.") else model.stem
    new = target.name if start == model.name else target.stem
    return new + path.name[len(start) :]


def remove_model(model: Path) -> int:
    """Remove a model, with what belongs to it; the number of bytes.

    Raises:
        OutputError: It cannot be removed.
    """
    freed = 0
    for path in model_files(model):
        try:
            if path.is_dir() and not path.is_symlink():
                freed += sum(each.lstat().st_size for each in path.rglob("*") if each.is_file())
                shutil.rmtree(path)
            else:
                freed += path.lstat().st_size
                path.unlink()
        except OSError as error:
            raise OutputError(f"cannot remove {path}: {error.strerror or error}") from error
    return freed


# Folders of other programs


def linkable_folders(path: Path) -> list[Path]:
    """The models folders of another program, from its folder or its list of folders.

    Args:
        path: Folder of ComfyUI, A1111 or InvokeAI, any folder of models, or ComfyUI's file
            ``extra_model_paths.yaml``.
    Raises:
        InvalidValue: There is no such folder, or it holds no models.
        InvalidFile: The file is damaged.
    """
    path = path.expanduser().absolute()
    if path.is_file() and path.suffix.lower() in (".yaml", ".yml"):
        return _listed_in_yaml(path)
    if not path.is_dir():
        raise InvalidValue(
            "there is no such folder", given=str(path), expected="a folder of models"
        )
    models, extra = path / "models", path / "extra_model_paths.yaml"
    if (path / "invokeai.yaml").is_file() or (path / "databases" / "invokeai.db").is_file():
        return [models] if models.is_dir() else [path]
    if (models / "Stable-diffusion").is_dir():
        return [each for each in (models, path / "embeddings") if each.is_dir()]
    if models.is_dir() and any((models / kind).is_dir() for kind in ("checkpoints", "loras")):
        return [models, *(_listed_in_yaml(extra) if extra.is_file() else ())]
    return [path]


def _listed_in_yaml(path: Path) -> list[Path]:
    """The folders in ComfyUI's ``extra_model_paths.yaml``; missing ones are left out.

    Source: ``utils/extra_config.py`` of ComfyUI.
    """
    yaml: Any = import_module("yaml")  # it has no types
    try:
        if path.stat().st_size > _LARGEST_SIDECAR:
            raise InvalidFile(f"{path} is too large for a list of folders")
        document = yaml.safe_load(path.read_text("utf-8"))
    except OSError as error:
        raise InvalidFile(f"cannot read {path}: {error.strerror or error}") from error
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        # Not its text, which quotes the file: whoever links folders may not read all files here.
        mark = getattr(error, "problem_mark", None)
        where = f", line {mark.line + 1}" if mark is not None else ""
        raise InvalidFile(f"{path}{where} is not valid YAML") from error
    if not isinstance(document, dict):
        raise InvalidFile(f"{path} is not a list of model folders", expected="sections with paths")
    folders: dict[Path, None] = {}
    for section in document.values():
        if not isinstance(section, dict):
            continue
        text = os.path.expandvars(str(section.get("base_path") or ""))
        base = path.parent / Path(text).expanduser()
        for kind, lines in section.items():
            if kind in ("base_path", "is_default", "custom_nodes") or not isinstance(lines, str):
                continue
            listed = [base / line.strip() for line in lines.splitlines() if line.strip()]
            folders.update((folder.absolute(), None) for folder in listed if folder.is_dir())
    if not folders:
        raise InvalidValue(f"no folder that {path} names is there")
    # A folder inside another one is searched with it.
    return [
        each for each in folders if not any(each.is_relative_to(o) for o in folders if o != each)
    ]


def with_links(linked: Sequence[Path], path: Path, folders: Sequence[Path]) -> list[Path]:
    """Linked folders with the models folders of another program.

    Args:
        linked: Those that are linked already.
        path: See `linkable_folders`.
        folders: All models folders.
    Raises:
        InvalidValue: There is no such folder, or it holds no models.
        InvalidFile: The file is damaged.
    """
    known = {*folders, *linked}
    return [*linked, *(each for each in linkable_folders(path) if each not in known)]


@contextmanager
def changing_links(file: Path) -> Iterator[None]:
    """Inside the `with`, no other thread or process changes the list of linked folders.

    Args:
        file: See `write_linked`.
    Raises:
        OutputError: Another process changes it for too long.
    """
    from nodegraph.store.claims import exclusive_lock

    with exclusive_lock(file.with_name(f"{file.name}.lock"), "the linked folders"):
        yield


def write_linked(file: Path, folders: Sequence[Path]) -> None:
    """Write the list of linked folders, which the settings read.

    Raises:
        OutputError: It cannot be written.
    """
    make_folder(file.parent)
    document = {"folders": [str(folder) for folder in folders]}
    write_file(file, json.dumps(document, indent=1).encode())
