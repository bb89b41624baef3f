"""How often node types occur and are linked in shipped workflows, to rank what fits by use.

The counts come with the built-in pack and are made by ``python docs/generate_usage.py``. A count is
a number of workflows, so that one workflow with many samplers doesn't outweigh the others.
"""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

USAGE_FILE = "usage.json"
"""Its name in the folder of the built-in pack."""
ANY_FAMILY = ""
"""Stands for links of which no model family is known."""

Counts = Mapping[str, int]
"""Numbers of workflows, by model family."""


@dataclass(frozen=True)
class Usage:
    """Counts of workflows.

    Attributes:
        types: By node type.
        links: By output, then by input, then by the model family of what the link carries. A port
            is written ``KSampler.latent``.
    """

    types: Mapping[str, int] = field(default_factory=dict)
    links: Mapping[str, Mapping[str, Counts]] = field(default_factory=dict)

    @classmethod
    def load(cls, path: Path) -> Usage:
        """Read the counts of a file.

        Raises:
            OSError: It can't be read.
        """
        counts: Any = json.loads(path.read_bytes())
        return cls(counts["types"], counts["links"])

    def link(self, source: str, target: str, family: str | None = None) -> int:
        """How many workflows link an output to an input.

        Args:
            family: Count only links that carry what belongs to this model family.
        """
        counts = self.links.get(source, {}).get(target, {})
        return sum(counts.values()) if family is None else counts.get(family, 0)

    def output_count(self, source: str) -> int:
        """How often an output is linked."""
        return sum(sum(counts.values()) for counts in self.links.get(source, {}).values())

    def input_count(self, target: str) -> int:
        """How often an input is linked."""
        return self._into[target].total() if target in self._into else 0

    @cached_property
    def _into(self) -> Mapping[str, Counter[str]]:
        """By input, then by family."""
        by_input: defaultdict[str, Counter[str]] = defaultdict(Counter)
        for targets in self.links.values():
            for target, counts in targets.items():
                by_input[target].update(counts)
        return by_input

    def rank(self, source: str, target: str, family: str | None = None) -> tuple[int, int]:
        """A link's place among others into an input, the best one largest: in its family, then in
        all."""
        is_told = bool(family) and self._tells_families(target)
        return self.link(source, target, family) if is_told else 0, self.link(source, target)

    def _tells_families(self, target: str) -> bool:
        """Whether families say what to link to an input.

        They don't where most links are of none, as those of a VAE: few of the nodes that take one
        take a model too, and with the family those alone would be offered.
        """
        counts = self._into.get(target, Counter())
        return 2 * counts[ANY_FAMILY] <= counts.total()


NO_USAGE = Usage()
