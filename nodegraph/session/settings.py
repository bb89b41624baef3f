"""Where things lie and what is allowed: defaults, a TOML file, ``NODEGRAPH_*`` variables, flags.

Later ones win. Reading the file or the variables costs an import, so it happens only if there are
any.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from nodegraph.core.context import Environment
from nodegraph.core.host_memory import total_memory
from nodegraph.core.places import Places
from nodegraph.core.quantities import parse_size
from nodegraph.core.suggest import did_you_mean
from nodegraph.errors import InvalidFile, InvalidValue

PREFIX = "NODEGRAPH_"
HOME = f"{PREFIX}HOME"
LEAVE_OUT = f"{PREFIX}LEAVE_OUT"
SERVER_TABLE = "server"
"""Of the file: settings of the server, which reads them itself."""
SERVER_PREFIX = f"{PREFIX}SERVER_"
_NO_SETTINGS = (HOME, f"{PREFIX}SERVER", f"{PREFIX}TOKEN")
"""Variables that are looked at elsewhere: the last two by those who ask a server."""

_UNKNOWN_MEMORY = 16 << 30
_MOST_MEMORY_CACHE = 4 << 30


def _no_boolean(value: Any) -> Any:
    """A number or its text; Python takes ``true`` for a 1."""
    if isinstance(value, bool):
        raise ValueError(f"a number is wanted here, not {str(value).lower()}")
    return value


NUMBER = BeforeValidator(_no_boolean)
"""For a field that takes a number."""


def _bytes(value: Any) -> Any:
    """Bytes of a size as people write it, such as ``20GB``."""
    if not isinstance(value, str):
        return _no_boolean(value)
    try:
        return parse_size(value, "it")
    except InvalidValue as error:
        raise ValueError(f"no size such as {2 << 30}, 500MB, 2GB or 1.5GiB") from error


def _default_memory_cache() -> int:
    """Bytes: a sixteenth of the memory there is."""
    return min((total_memory() or _UNKNOWN_MEMORY) // 16, _MOST_MEMORY_CACHE)


def _at_home(path: Path) -> Path:
    """A path whose ``~`` stands for the user's home: no shell has seen it."""
    try:
        return path.expanduser()
    except RuntimeError:
        return path  # nobody's home that is known


def _named(value: Any) -> Any:
    """Names of a text as variables have it: parted by commas, or a JSON list."""
    if not isinstance(value, str):
        return value
    if value.lstrip().startswith("["):
        return json.loads(value)
    return [part.strip() for part in value.split(",") if part.strip()]


def _left_out() -> tuple[str, ...]:
    """What the variable says, which holds for settings made by hand, too."""
    return tuple(_named(os.environ.get(LEAVE_OUT, "")))


def _listed(value: Any) -> Any:
    """Folders of a text as variables have it: parted as in ``PATH``, or a JSON list."""
    if not isinstance(value, str):
        return value
    if value.lstrip().startswith("["):
        return json.loads(value)
    return [part for part in value.split(os.pathsep) if part]


Bytes = Annotated[int, BeforeValidator(_bytes), Field(ge=0)]
FolderPath = Annotated[Path, AfterValidator(_at_home)]
Folders = Annotated[tuple[FolderPath, ...], BeforeValidator(_listed)]
Names = Annotated[tuple[str, ...], BeforeValidator(_named)]


class Settings(BaseModel):
    """Settings of one installation.

    Attributes:
        home: Folder of everything that nodegraph keeps; the platform's own folders if not set.
        models: Folders searched for models, first hit wins.
        packs: Folders whose sub-folders and files are node packs.
        leave_out: Names of installed packs that are as if they weren't, such as ``diffusers``.
        outputs: Where sinks write; ``output`` in the current folder if not set.
        inputs: Where relative paths of input files start; the workflow's folder if not set.
        readable: Folders in which files must lie that workflows name; any if not set. The server
            sets it to the inputs folder.
        uploads: Folder of files that are named by their digests; workflows in pictures call them by
            those. The server sets it to what its clients brought. What lies there is read only by
            jobs of those who did.
        cache: Folder of what can be made again.
        device: ``auto``, ``cpu``, ``cuda:0``, ….
        allow_pickle: Whether checkpoints in pickle format may be opened; opening one can run any
            code that it brings.
        memory_cache: Bytes of results kept in memory; sizes may be written as ``2GB``. A sixteenth
            of the memory if not set, but 4 GiB at most.
        disk_cache: Bytes of results kept on disk; 0 keeps nothing there.
        keep_cheap: Whether results are kept on disk, too, that are quicker to compute again than to
            write and read.
        store: Folder of results on disk; ``store`` in the cache folder if not set.
        stores: Folders of more stores, which are only read: a team's, another machine's.
        checkpoint_seconds: Between two checkpoints of a node that saves its state; 0 for each step.
        weights_budget: Bytes of model weights kept on the compute device. On an accelerator three
            quarters of its memory if not set, or all but 8 GiB if that is more; on the host what
            `host_weights_budget` says.
        host_weights_budget: Bytes of weights kept in the host's memory; six tenths of it if not
            set. Memory is what the machine has, or its container or service may take.
        import_seconds: That a pack's import may take in a process of a server, which then ends and
            leaves the pack out.
        cpu_threads: Threads for CPU work beside the compute device; the number of cores if not set,
            but at least 8.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    home: FolderPath | None = None
    models: Folders = ()
    packs: Folders = ()
    leave_out: Names = Field(default_factory=_left_out)
    outputs: FolderPath | None = None
    inputs: FolderPath | None = None
    readable: Folders | None = None
    uploads: FolderPath | None = None
    cache: FolderPath | None = None
    device: str = "auto"
    allow_pickle: bool = False
    memory_cache: Bytes = Field(default_factory=_default_memory_cache)
    disk_cache: Bytes = 20 << 30
    keep_cheap: bool = False
    store: FolderPath | None = None
    stores: Folders = ()
    checkpoint_seconds: Annotated[float, NUMBER, Field(ge=0)] = 2.0
    import_seconds: Annotated[float, NUMBER, Field(gt=0)] = 60.0
    weights_budget: Bytes | None = None
    host_weights_budget: Bytes | None = None
    cpu_threads: Annotated[int, NUMBER, Field(ge=1)] | None = None

    @property
    def model_folders(self) -> tuple[Path, ...]:
        """Folders searched for models: those set, then the one under home."""
        return (*self.models, self.data_folder / "models")

    @property
    def pack_folders(self) -> tuple[Path, ...]:
        """Folders of packs: those set, then the one under home."""
        return (*self.packs, self.data_folder / "packs")

    @property
    def data_folder(self) -> Path:
        if self.home is not None:
            return self.home
        from platformdirs import user_data_path

        return user_data_path("nodegraph", appauthor=False)

    @property
    def cache_folder(self) -> Path:
        if self.cache is not None:
            return self.cache
        if self.home is not None:
            return self.home / "cache"
        from platformdirs import user_cache_path

        return user_cache_path("nodegraph", appauthor=False)

    @property
    def store_folder(self) -> Path:
        """Folder of results on disk."""
        return self.store or self.cache_folder / "store"

    def environment(self, *, inputs: Path | None = None, device: str = "cpu") -> Environment:
        """The world around a run.

        Args:
            inputs: Where relative input paths start, unless the settings say.
        """
        return Environment(
            models=self.model_folders,
            inputs=self.inputs or inputs or Path.cwd(),
            outputs=self.outputs or Path.cwd() / "output",
            temporary=self.cache_folder / "temporary",
            allow_pickle=self.allow_pickle,
            device=device,
            readable=self.readable,
            uploads=None if self.uploads is None else self.uploads.parent,
            taught=self.data_folder / "taught",
        )


def places_of(settings: Settings) -> Places:
    """What a server calls its folders when it speaks to clients."""
    from tempfile import gettempdir  # the command line has no use for it

    folders = {
        "~": _at_home(Path("~")),
        "python": Path(sys.prefix),
        "nodegraph": Path(__file__).parents[1],
        "temporary": Path(gettempdir()),
        "home": settings.data_folder,
        "cache": settings.cache_folder,
        "store": settings.store_folder,
        "outputs": settings.outputs or settings.data_folder / "outputs",
        "inputs": settings.inputs or settings.data_folder / "inputs",
    }
    lists = {
        "readable": settings.readable or (),
        "models": settings.model_folders,
        "packs": settings.pack_folders,
        "stores": settings.stores,
    }
    for name, listed in lists.items():
        for number, folder in enumerate(listed):
            if folder not in folders.values():
                folders[f"{name}-{number + 1}" if number else name] = folder
    return Places(folders, settings.uploads)


def config_file(home: Path | None = None) -> Path:
    """The TOML file that settings are read from; it need not exist."""
    if home is not None:
        return home / "config.toml"
    from platformdirs import user_config_path

    return user_config_path("nodegraph", appauthor=False) / "config.toml"


def load_settings(flags: Mapping[str, Any] | None = None) -> Settings:
    """The settings in force.

    Args:
        flags: What was given explicitly; wins over everything else.
    Raises:
        InvalidFile: The config file or a variable has a wrong name or value; all are listed.
    """
    given = dict(flags or {})
    home = given.get("home") or os.environ.get(HOME)
    if home:
        given["home"] = _at_home(Path(home))
    file = config_file(given.get("home"))
    variables = {
        name
        for name in os.environ
        if name.startswith(PREFIX)
        and name not in _NO_SETTINGS
        and not name.startswith(SERVER_PREFIX)
    }
    try:
        if not (file.is_file() or variables):
            return Settings.model_validate(given)
        from nodegraph.session.settings_sources import read_settings

        # Where home isn't known the variable is empty, and says nothing.
        given.setdefault("home", None)
        others = (SERVER_TABLE,)
        return read_settings(Settings, given, file, variables, PREFIX, others=others)
    except ValidationError as error:
        lines = [
            *faults(error, Settings.model_fields),
            f"Settings come from {file} and {PREFIX}* variables.",
        ]
        raise InvalidFile("\n".join(lines)) from None


def faults(error: ValidationError, known: Collection[str]) -> list[str]:
    """What is wrong with which setting, a line each.

    Args:
        known: The settings there are.
    """
    lines = []
    for item in error.errors(include_url=False):
        name = ".".join(map(str, item["loc"]))
        if item["type"] == "extra_forbidden":
            lines.append(f"there is no setting `{name}`. {did_you_mean(name, known)}".rstrip())
        else:
            lines.append(f"setting `{name}`: {item['msg']} (given: {item['input']!r})")
    return lines
