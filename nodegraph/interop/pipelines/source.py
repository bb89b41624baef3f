"""Every pipeline class of the installed diffusers, from its source files alone.

Neither diffusers nor torch is imported: all of them are read in seconds, and those that an absent
package keeps from being imported are there too, with its name.
"""

from __future__ import annotations

import hashlib
import importlib.util
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

from nodegraph.errors import InvalidValue
from nodegraph.interop.pipelines.classes import PipelineClass, PipelineDataclass
from nodegraph.interop.pipelines.reading.modules import SourcePackage, collector_paused
from nodegraph.interop.pipelines.reading.reader import PipelineReader

_PACKAGE = "diffusers"


def diffusers_folder() -> Path:
    """The folder of the installed diffusers.

    Raises:
        InvalidValue: It isn't installed.
    """
    spec = importlib.util.find_spec(_PACKAGE)
    if spec is None or not spec.origin:
        raise InvalidValue("diffusers isn't installed", hint="Run `pip install diffusers`.")
    return Path(spec.origin).parent


def diffusers_stamp(folder: Path | None = None) -> str:
    """What changes when another diffusers is installed: its version and place, and the time and
    size of two of its files. Takes some tenths of a millisecond.

    Raises:
        InvalidValue: It isn't installed.
    """
    folder = folder or diffusers_folder()
    try:
        version = distribution(_PACKAGE).version
    except PackageNotFoundError:
        version = ""
    parts = [version, str(folder)]
    for path in (folder / "__init__.py", folder / "pipelines" / "__init__.py"):
        if path.is_file():
            state = path.stat()
            parts.append(f"{state.st_size} {state.st_mtime_ns}")
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:24]


def pipeline_classes(folder: Path | None = None) -> Mapping[str, PipelineClass]:
    """All concrete pipeline classes by name, in the order of the alphabet. Takes three seconds.

    A file that can't be parsed is left out; the others are read all the same.

    Args:
        folder: A package that is laid out as diffusers is; the installed one by default.

    Raises:
        InvalidValue: diffusers isn't installed.
    """
    return _all(folder)[0]


def pipeline_dataclasses(folder: Path | None = None) -> Mapping[str, PipelineDataclass]:
    """Classes that inputs of kind ``dataclass`` are made of, by name. Reads everything, as
    `pipeline_classes` does; `pipelines_and_dataclasses` gives both at once."""
    return _all(folder)[1]


def pipelines_and_dataclasses(
    folder: Path | None = None,
) -> tuple[Mapping[str, PipelineClass], Mapping[str, PipelineDataclass]]:
    """What `pipeline_classes` and `pipeline_dataclasses` give, read once."""
    return _all(folder)[:2]


def pipelines_and_faults(
    folder: Path | None = None,
) -> tuple[Mapping[str, PipelineClass], Mapping[str, PipelineDataclass], Mapping[str, str]]:
    """The same, and what is wrong with files and classes that were left out, by their names."""
    return _all(folder)


def pipeline_class(name: str, folder: Path | None = None) -> PipelineClass | None:
    """One pipeline class, read without the rest: in some tenths of a second.

    Returns:
        None if there is no pipeline of that name.

    Raises:
        InvalidValue: diffusers isn't installed.
    """
    if not name.isidentifier():
        return None
    with collector_paused():
        return PipelineReader(SourcePackage(folder or diffusers_folder())).named(name)


def pipeline_dataclass(name: str, folder: Path | None = None) -> PipelineDataclass | None:
    """One of `pipeline_dataclasses`, read without the rest; None if there is none of that name.

    Raises:
        InvalidValue: diffusers isn't installed.
    """
    if not name.isidentifier():
        return None
    with collector_paused():
        return PipelineReader(SourcePackage(folder or diffusers_folder())).read_dataclass(name)


def _all(
    folder: Path | None,
) -> tuple[Mapping[str, PipelineClass], Mapping[str, PipelineDataclass], Mapping[str, str]]:
    with collector_paused():
        package = SourcePackage(folder or diffusers_folder())
        reader = PipelineReader(package)
        pipelines = {item.name: item for item in reader.every()}
    faults = {**package.broken, **reader.faults}
    return dict(sorted(pipelines.items())), dict(sorted(reader.dataclasses.items())), faults
