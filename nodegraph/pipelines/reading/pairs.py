"""Which pipelines hand latents to one another: those whose folder holds one that asks for them."""

from __future__ import annotations

import re

from nodegraph.pipelines.reading.code import PipelineCode, arguments, defaults
from nodegraph.pipelines.reading.lineage import PipelineSource, pipeline_source
from nodegraph.pipelines.reading.modules import ClassSource, SourcePackage
from nodegraph.pipelines.reading.refusals import Refusals

_LATENTS = "latents"
_ASKS = re.compile(rb"\w is None and latents is None|\blatents is None and \w+ is None")
_REQUIRED = re.compile(rb"def __call__\(\s*self,\s*latents: [\w.]+,")
"""What a file must have to be worth parsing: it refuses a call without them, or demands them."""


class LatentPairs:
    """Folders of pipelines that exchange latents, each looked into once."""

    def __init__(self, package: SourcePackage) -> None:
        self._package = package
        self._known: dict[str, bool] = {}

    def exchanged(self, source: PipelineSource) -> bool:
        """Whether a pipeline beside this one, or this one, takes latents as what it works on."""
        folder = source.own.module.package
        if folder not in self._known:
            self._known[folder] = self._asked_for(folder)
        return self._known[folder]

    def _asked_for(self, folder: str) -> bool:
        place = self._package.path(folder)
        for path in sorted(place.parent.glob("*.py")) if place else ():
            try:
                text = path.read_bytes()
            except OSError:
                continue
            if _ASKS.search(text) or _REQUIRED.search(text):
                module = self._package.module(f"{folder}.{path.stem}")
                for name in module.definitions if module else ():
                    found = module and self._package.find_class(module, name)
                    if found and self._takes_latents(found):
                        return True
        return False

    def _takes_latents(self, found: ClassSource) -> bool:
        source = pipeline_source(self._package, found)
        if source is None:
            return False
        names = {item.arg for item in arguments(source.call)}
        if _LATENTS not in names:
            return False
        if _LATENTS not in defaults(source.call):
            return True
        return any(_LATENTS in group for group in Refusals(PipelineCode(source)).one_of())
