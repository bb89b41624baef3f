"""What changes when a model would be opened as something else, from its files' stamps alone.

Imports no torch, and reads no weights.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from nodegraph.core.digests import digest_value
from nodegraph.families import diffusers_folder as layout
from nodegraph.families.registry import family_release, get_family
from nodegraph.models.model_files import Options, further_files, port_files, scheduler_files
from nodegraph.models.model_sources import locate_model
from nodegraph.weights.file_kinds import file_stamp
from nodegraph.weights.numerics import cpu_has_float16


def computed_dtype(dtype: str, device: str) -> str:
    """The precision to take where one is asked for: float32 for float16 on a CPU that lacks it."""
    return "float32" if dtype == "float16" and lacks_float16(device) else dtype


def lacks_float16(device: str) -> bool:
    """Whether a device can't compute in float16."""
    return device == "cpu" and not cpu_has_float16()


def model_stamp(
    name: str, folders: Sequence[Path], *, allow_pickle: bool = False, device: str = "cpu"
) -> str:
    """Text that changes when `open_model` would give something else for the same name.

    It is made from the files' sizes and times, without reading them.

    Raises:
        NodegraphError: See `locate_model`.
    """
    source = locate_model(name, folders, allow_pickle=allow_pickle)
    family = get_family(source.family)
    ports = port_files(source, family, folders, allow_pickle=allow_pickle)
    files = {path for port in ports for part in port for path in part.files}
    files |= set(scheduler_files(source))
    if source.is_folder:
        index = layout.read_config(source.path / layout.INDEX)
        files |= {source.path / layout.INDEX, *further_files(source, index)}
    return files_stamp(files, device, [family_release(family)])


def files_stamp(files: Iterable[Path], device: str, releases: Iterable[Options]) -> str:
    """Text that changes when one of the files does, or what they would be loaded as on a device.

    Args:
        releases: Of the families that they may be of; see `family_release`.
    Raises:
        InvalidFile: One isn't there.
    """
    return digest_value(
        [*map(file_stamp, sorted(files)), device, lacks_float16(device), list(releases)]
    )
