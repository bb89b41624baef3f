"""What is wished of the session that runs something, so that those who wish alike share one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nodegraph.session.settings import Settings, check_kinds, input_folder, load_settings


@dataclass(frozen=True)
class SessionOptions:
    """What a session has to be like.

    Attributes:
        inputs: Where relative input paths start, unless the settings say.
        working_folder: The current folder, below which outputs lie unless the settings say.
    """

    settings: Settings
    packs: tuple[Path, ...] = ()
    nodes: tuple[Callable[..., Any], ...] = ()
    inputs: Path | None = None
    working_folder: Path | None = None

    @classmethod
    def of(
        cls,
        settings: Settings | None,
        packs: Sequence[str | Path],
        nodes: Sequence[Callable[..., Any]],
        inputs: str | Path | None,
    ) -> SessionOptions:
        """What a call wishes for, with settings as file and environment say them now.

        Raises:
            InvalidFile: The settings are wrong.
            InvalidValue: Something is of another kind.
        """
        check_kinds(settings, packs, nodes)
        pack_paths = tuple(Path(path).absolute() for path in packs)
        folder = input_folder(inputs)
        return cls(settings or load_settings(), pack_paths, tuple(nodes), folder, Path.cwd())

    def can_reuse(self, other: SessionOptions) -> bool:
        """Whether a session made for another wish will do, once it takes nodes and folders."""
        return (self.settings, self.packs) == (other.settings, other.packs)
