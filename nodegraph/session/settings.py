"""Where things lie and what is allowed: defaults, a TOML file, ``NODEGRAPH_*`` variables, flags.

Later ones win. Reading the file or the variables, and checking what they say, costs imports, so it
happens only if there are any.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Collection, Iterable, Mapping
from dataclasses import Field, dataclass, field, fields
from pathlib import Path
from typing import Any, Literal

from nodegraph.core.context import (
    MAX_IMAGE_PIXELS,
    CpuDevice,
    CpuPrecision,
    Environment,
    MetadataAmount,
    ServiceAccess,
)
from nodegraph.core.file_access import PathRedactor
from nodegraph.errors import InvalidFile, InvalidValue

PREFIX = "NODEGRAPH_"
HOME = f"{PREFIX}HOME"
LEAVE_OUT = f"{PREFIX}LEAVE_OUT"
SERVER_TABLE = "server"
"""Table of the config file with the settings of the server, which reads them itself."""
SERVER_PREFIX = f"{PREFIX}SERVER_"
SECRET_PREFIX = f"{PREFIX}SECRET_"
"""Of variables with secrets, which `nodegraph.store.secrets` reads."""
NODE_CACHE = f"{PREFIX}NODE_CACHE"
"""Variable of a cluster's node: its own cache folder instead of the workers' setting."""
_NO_SETTINGS = (HOME, NODE_CACHE, f"{PREFIX}SERVER", f"{PREFIX}TOKEN")
"""Variables that are read elsewhere: the last two by clients of a server."""

_UNKNOWN_MEMORY = 16 << 30
_MOST_MEMORY_CACHE = 4 << 30


def _at_home(path: Path) -> Path:
    """Return a path with ``~`` replaced by the user's home, as a shell does."""
    try:
        return path.expanduser()
    except RuntimeError:
        return path  # a home that is not known


def _excluded_packs() -> tuple[str, ...]:
    """Return the packs in the variable, which also applies to settings made in code."""
    names = os.environ.get(LEAVE_OUT)
    if not names:
        return ()
    from nodegraph.core.text_format import split_names

    return tuple(split_names(names))


# Values from outside are read and checked in `settings_kinds`.
FolderPath = Path
FilePath = Path
Folders = tuple[Path, ...]
Names = tuple[str, ...]
Bytes = int
Count = int
Seconds = float
Interval = float
MergeSteps = Literal["off", "exact", "tolerance"]
Margin = float
Signing = Literal["off", "export"]
TrainingUse = Literal["notAllowed", "allowed", "constrained"]


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Settings of one installation.

    Values may be written as in the file: ``Settings(home="~/nodegraph", disk_cache="50GB")``.

    Attributes:
        home: Folder of all data of nodegraph; the default folders of the platform if not set.
        models: Folders searched for models; the first match is used.
        packs: Folders whose sub-folders and files are node packs.
        pack_index: Indexes that `nodegraph pack add NAME` looks in: addresses of JSON files, or
            folders. No other address is contacted.
        leave_out: Names of installed packs that are not loaded, such as ``diffusers``.
        outputs: Folder that sinks write to; ``output`` in the current folder if not set.
        inputs: Folder for relative paths of input files; the workflow's folder if not set.
        readable: Folders that contain the files that workflows may name; any folder if not set. The
            server sets it to the inputs folder.
        uploads: Folder of files that are named by their digests, which workflows in images refer
            to. The server sets it to the folder of its clients' uploads. Only the jobs of the
            client that uploaded a file can read it.
        cache: Folder of data that can be made again.
        device: ``auto``, ``cpu``, ``cuda:0``, ….
        allow_pickle: Whether checkpoints in pickle format may be opened. Opening one can run any
            code that it contains.
        memory_cache: Bytes of results kept in memory; sizes may be written as ``2GB``. If not set,
            a sixteenth of the memory, but at most 4 GiB.
        disk_cache: Bytes of results kept on disk; 0 keeps no results there.
        keep_cheap: Whether results are also kept on disk if computing them again is faster than
            writing and reading them.
        store: Folder of results on disk; ``store`` in the cache folder if not set.
        stores: Folders of additional read-only stores, such as those of a team or another machine.
        remote_store: URL of a bucket or mounted folder that several machines share, behind the
            store: ``s3://bucket/folder``, ``gs://…``, ``az://…``, ``file:///mnt/shared/folder``.
        remote_models: URL of a bucket or mounted folder with models that are not in the folders.
            They are fetched when needed. Written as `remote_store`.
        model_cache: Folder of fetched models; ``models`` in the cache folder if not set.
        model_cache_budget: Bytes of fetched models; the least recently used are removed first.
        download_hosts: Hosts that models are downloaded from, such as ``*.example.org``; those of
            Hugging Face and Civitai if not set. Private and loopback addresses are refused unless
            a range such as ``10.0.0.0/8`` contains them.
        service_hosts: Hosts of language models and image services that nodes may call, such as
            ``api.openai.com``, ``*.fal.run`` or ``192.168.1.5:11434``. If not set, well-known
            services, and for local users also the usual ports of local servers such as Ollama.
            Empty allows none.
        model_catalogue: File with the starter catalogue of models; the one that ships with
            nodegraph if not set.
        checkpoint_seconds: Seconds between two checkpoints of a node that saves its state; 0 saves
            after each step.
        weights_budget: Bytes of model weights kept on the compute device. If not set, on an
            accelerator three quarters of its memory, or all but 8 GiB if that is more; on the host
            `host_weights_budget`.
        host_weights_budget: Bytes of weights kept in the host's memory; six tenths of it if not
            set. A memory limit of a container or service counts as the memory.
        import_seconds: Seconds that the import of a pack may take in a process of a server, or in
            the pack's own. After that the process ends, and the pack is not loaded.
        pack_idle_seconds: Seconds without work after which the process of a pack with an
            environment of its own ends; the next call starts it again.
        untrusted_call_seconds: Seconds that one call of an untrusted pack's node may take. After
            that the pack's process ends, and the node fails.
        cpu_threads: Threads for CPU work in addition to the compute device. If not set, the number
            of cores, but at least 8.
        max_image_pixels: Largest width times height of images that are read; larger files are
            refused.
        infotext: Whether SaveImage also writes prompt, seed and model as text in the form of A1111,
            which other programs and sites show.
        metadata: What files of results carry to be made again: ``none``; ``minimal``, digests and
            versions; or ``full``, also the workflow. See docs/provenance.md.
        metadata_prompts: Whether files of results contain prompts.
        sidecar: Whether the manifest of a result is also written as a JSON file next to it.
        cpu_precision: What the dtype ``auto`` of models is on a CPU: ``float32``; ``bfloat16``;
            ``mixed``, bfloat16 for models of at least 200 million parameters and float32 for
            others; or ``auto``: ``mixed`` if it is measured to be faster on this CPU, else
            ``float32``. See docs/speed.md.
        merge_steps: Whether samplings with the same weights and size share batches of steps:
            ``off``; ``exact``, if measured to be faster and identical in every bit; or
            ``tolerance``, if faster and different only by rounding. See docs/speed.md.
        merge_margin: Share of a step's time that merging must save.
        merge_most: Largest number of samplings that run at the same time.
        sign: ``export`` signs the copies of results that are exported: downloads from a
            server. ``off`` signs only where
            a command or a request asks for it. Files in the output folder never change. Needs the
            extra ``c2pa``; see docs/authorship.md.
        sign_certificate, sign_key: PEM files of the certificate and its private key; those of
            `nodegraph credentials certificate` if not set.
        sign_training: Whether signed files may be used for training: ``notAllowed``, ``allowed`` or
            ``constrained``.
        sign_watermark: Whether signed images also get an invisible watermark.
        time_authority: Address of a time stamp authority (RFC 3161) that is asked for the time of
            each signature. None is asked if empty.
        trusted_certificates: PEM files with the certificates of signers or authorities that are
            trusted when files are verified, in addition to the own one.
        check_credentials: Whether nodes that load files warn of signed ones that were changed
            since. Without the extra ``c2pa``, they do not look.
    Raises:
        InvalidValue: Settings have invalid values; all are listed.
    """

    home: FolderPath | None = None
    models: Folders = ()
    packs: Folders = ()
    pack_index: Names = ()
    leave_out: Names = field(default_factory=_excluded_packs)
    outputs: FolderPath | None = None
    inputs: FolderPath | None = None
    readable: Folders | None = None
    uploads: FolderPath | None = None
    cache: FolderPath | None = None
    device: str = "auto"
    allow_pickle: bool = False
    memory_cache: Bytes | None = None
    disk_cache: Bytes = 20 << 30
    keep_cheap: bool = False
    store: FolderPath | None = None
    stores: Folders = ()
    remote_store: str = ""
    remote_models: str = ""
    model_cache: FolderPath | None = None
    model_cache_budget: Bytes = 100 << 30
    download_hosts: Names | None = None
    service_hosts: Names | None = None
    model_catalogue: FilePath | None = None
    checkpoint_seconds: Interval = 2.0
    import_seconds: Seconds = 60.0
    pack_idle_seconds: Seconds = 300.0
    untrusted_call_seconds: Seconds = 600.0
    weights_budget: Bytes | None = None
    host_weights_budget: Bytes | None = None
    cpu_threads: Count | None = None
    max_image_pixels: Count = MAX_IMAGE_PIXELS
    infotext: bool = False
    metadata: MetadataAmount = "full"
    metadata_prompts: bool = True
    sidecar: bool = False
    cpu_precision: CpuPrecision = "auto"
    merge_steps: MergeSteps = "off"
    merge_margin: Margin = 0.05
    merge_most: Count = 8
    sign: Signing = "off"
    sign_certificate: FilePath | None = None
    sign_key: FilePath | None = None
    sign_training: TrainingUse = "notAllowed"
    sign_watermark: bool = False
    time_authority: str = ""
    trusted_certificates: Folders = ()
    check_credentials: bool = True

    def __post_init__(self) -> None:
        if not _is_plain(vars(self)):
            from nodegraph.session.settings_kinds import validate_settings

            for name, value in validate_settings(Settings, vars(self)).items():
                object.__setattr__(self, name, value)
        for name, value in vars(self).items():
            if isinstance(value, Path):
                object.__setattr__(self, name, _at_home(value))
            elif isinstance(value, tuple):
                paths = (_at_home(item) if isinstance(item, Path) else item for item in value)
                object.__setattr__(self, name, tuple(paths))

    @property
    def memory_budget(self) -> int:
        """Bytes of results kept in memory."""
        if self.memory_cache is not None:
            return self.memory_cache
        from nodegraph.core.host_memory import total_memory

        return min((total_memory() or _UNKNOWN_MEMORY) // 16, _MOST_MEMORY_CACHE)

    @property
    def model_folders(self) -> tuple[Path, ...]:
        """Folders searched for models: those set, the one under home, then linked ones."""
        return (*self.models, self.own_models, *read_linked_folders(self.linked_models))

    @property
    def searched_models(self) -> tuple[Path, ...]:
        """All folders that runs search for models: remote ones last."""
        remote = (self.remote_models_folder,) if self.remote_models else ()
        return (*self.model_folders, *remote)

    @property
    def own_models(self) -> Path:
        """Folder under home that models are downloaded to."""
        return self.data_folder / "models"

    @property
    def linked_models(self) -> Path:
        """File with the folders of other programs that `nodegraph models link` added."""
        return self.own_models / ".linked.json"

    @property
    def model_cache_folder(self) -> Path:
        """Folder of fetched remote models."""
        return self.model_cache or self.cache_folder / "models"

    @property
    def remote_models_folder(self) -> Path:
        """Folder that represents the remote models among the model folders."""
        from urllib.parse import quote

        return self.model_cache_folder / "outlines" / quote(self.remote_models, safe="")

    @property
    def pack_folders(self) -> tuple[Path, ...]:
        """Folders of packs: those set, then the one under home."""
        return (*self.packs, self.data_folder / "packs")

    @property
    def uploaded_files(self) -> Path:
        """Folder of the files that clients of this home's server brought, named by digests."""
        return self.uploads or self.data_folder / "uploads" / "files"

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

    @property
    def measurements_folder(self) -> Path:
        """Folder of what was measured of this machine."""
        return self.data_folder / "measured"

    def environment(self, *, inputs: Path | None = None, device: str = "cpu") -> Environment:
        """Return the folders and permissions of a run.

        Args:
            inputs: Folder for relative input paths, if the settings do not name one.
        """
        return Environment(
            models=self.searched_models,
            inputs=self.inputs or inputs or Path.cwd(),
            outputs=self.outputs or Path.cwd() / "output",
            temporary=self.cache_folder / "temporary",
            allow_pickle=self.allow_pickle,
            device=self._run_device(device),
            readable=self.readable,
            uploads=None if self.uploads is None else self.uploads.parent,
            trained=self.data_folder / "taught",
            max_image_pixels=self.max_image_pixels,
            infotext=self.infotext,
            metadata=self.metadata,
            metadata_prompts=self.metadata_prompts,
            sidecar=self.sidecar,
            cache=self.cache_folder,
            measured=self.measurements_folder,
            check_credentials=self.check_credentials,
            services=ServiceAccess(
                self.service_hosts,
                self.data_folder / "secrets.json",
                self.data_folder / "services",
            ),
        )

    def _run_device(self, device: str) -> str:
        if device != "cpu":
            return device
        folder = self.measurements_folder

        def decide(measures: bool) -> str:
            from nodegraph.weights.numerics import decided_precision  # most runs need none

            return decided_precision(folder, measures=measures)

        return CpuDevice(self.cpu_precision, decide)


def read_linked_folders(file: Path) -> tuple[Path, ...]:
    """Return the folders in a list of linked folders; none if it cannot be read."""
    try:
        text = file.read_text("utf-8")
    except OSError:
        return ()
    import json  # most installations have no linked folders

    try:
        return tuple(Path(str(folder)) for folder in json.loads(text)["folders"])
    except (ValueError, TypeError, KeyError):
        return ()


def _is_plain(values: Mapping[str, Any]) -> bool:
    """Return whether all values are valid without a check, which would import pydantic."""
    known = {item.name: item for item in fields(Settings)}
    return all(name in known and _has_annotated_type(known[name], values[name]) for name in values)


def _has_annotated_type(setting: Field[Any], value: Any) -> bool:
    if value is setting.default or (type(value), value) == (type(setting.default), setting.default):
        return True
    kind = str(setting.type)
    if kind.startswith("FolderPath"):
        return isinstance(value, Path)
    inside = {"Folders": Path, "Names": str}.get(kind.partition(" ")[0])
    if inside is not None:
        return isinstance(value, tuple) and all(isinstance(item, inside) for item in value)
    if kind.startswith("Bytes"):
        return type(value) is int and value >= 0
    return kind == "str" and type(value) is str


def _from_json(name: str, value: Any) -> Any:
    """A setting that may be as JSON has it, in its own type; others as they are."""
    kind = str(Settings.__annotations__.get(name)).partition(" ")[0]
    if kind == "FolderPath" and isinstance(value, str):
        return Path(value)
    if kind == "Names" and isinstance(value, list):
        return tuple(value)
    if kind == "Folders" and isinstance(value, list):
        return tuple(Path(item) if isinstance(item, str) else item for item in value)
    return value


def path_redactor(settings: Settings, database: str | None = None) -> PathRedactor:
    """Return the redactor that replaces a server's paths in messages to clients.

    Args:
        database: Address of the database of its jobs.
    """
    from tempfile import gettempdir  # the command line has no use for it

    folders = {
        "~": _at_home(Path("~")),
        "python": Path(sys.prefix),
        "nodegraph": Path(__file__).parents[1],
        "temporary": Path(gettempdir()),
        "home": settings.data_folder,
        "cache": settings.cache_folder,
        "store": settings.store_folder,
        "model-cache": settings.model_cache_folder,
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
    return PathRedactor(folders, settings.uploads, database=database)


def config_file(home: Path | None = None) -> Path:
    """Return the path of the TOML file with the settings, which may not exist."""
    if home is not None:
        return home / "config.toml"
    from platformdirs import user_config_path

    return user_config_path("nodegraph", appauthor=False) / "config.toml"


def load_settings(flags: Mapping[str, Any] | None = None) -> Settings:
    """Return the current settings, from flags, environment variables and the config file.

    Args:
        flags: Explicit values, which override all others. Paths and lists may be as in JSON.
    Raises:
        InvalidFile: The config file or a variable has a wrong name or value; all are listed.
    """
    explicit = {name: _from_json(name, value) for name, value in (flags or {}).items()}
    home = explicit.get("home") or os.environ.get(HOME)
    if home:
        explicit["home"] = _at_home(Path(home))
    file = config_file(explicit.get("home"))
    variables = {
        name
        for name in os.environ
        if name.startswith(PREFIX)
        and name not in _NO_SETTINGS
        and not name.startswith((SERVER_PREFIX, SECRET_PREFIX))
    }
    if not (file.is_file() or variables) and _is_plain(explicit):
        return Settings(**explicit)
    from pydantic import ValidationError

    from nodegraph.session.settings_kinds import error_lines, pydantic_model

    model = pydantic_model(Settings)
    # Where home is not known, the variable is empty and has no effect.
    explicit.setdefault("home", None)
    try:
        if file.is_file() or variables:
            from nodegraph.session.settings_kinds import read_settings

            others = (SERVER_TABLE,)
            validated = read_settings(model, explicit, file, variables, PREFIX, others=others)
        else:
            validated = model.model_validate(explicit)
    except ValidationError as error:
        lines = [
            *error_lines(error, model.model_fields),
            f"Settings come from {file} and {PREFIX}* variables.",
        ]
        raise InvalidFile("\n".join(lines)) from None
    return Settings(**vars(validated))


def check_kinds(settings: object, packs: object, nodes: object) -> None:
    """Check the types of the arguments of a session.

    Raises:
        InvalidValue: An argument has a wrong type, such as one pack instead of a list.
    """
    if settings is not None and not isinstance(settings, Settings):
        raise InvalidValue(
            "these are not settings",
            given=type(settings).__name__,
            expected='a `Settings`, as in nodegraph.Settings(device="cpu")',
        )
    if isinstance(packs, (str, Path)):
        raise InvalidValue("packs must be a list", given=repr(packs), expected=f"[{packs!r}]")
    if callable(nodes):
        name = getattr(nodes, "__name__", repr(nodes))
        raise InvalidValue("nodes must be a list", given=name, expected=f"[{name}]")
    for what, argument in (("packs", packs), ("nodes", nodes)):
        if not isinstance(argument, Iterable):
            raise InvalidValue(f"{what} must be a list", given=repr(argument))
    for pack in packs if isinstance(packs, Collection) else ():  # a generator can be read only once
        if not _names_pack(pack):
            raise InvalidValue(
                "this is not a pack",
                given=repr(pack),
                expected='the path of a folder or a file, as in packs=["my_pack"]',
            )


def _names_pack(candidate: object) -> bool:
    if isinstance(candidate, (str, Path)):
        return True
    from nodegraph.packs.pack import Pack  # most sessions have no additional packs

    return isinstance(candidate, Pack)


def input_folder(inputs: str | Path | None) -> Path | None:
    """Return the absolute path of the folder for relative input paths.

    Raises:
        InvalidValue: It is not a path.
    """
    if inputs is not None and not isinstance(inputs, (str, Path)):
        raise InvalidValue("`inputs` must be a folder", given=repr(inputs), expected="its path")
    return None if inputs is None else Path(inputs).absolute()
