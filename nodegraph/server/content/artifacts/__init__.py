"""Artifacts: the files that jobs gave, by the digest of their bytes."""

from __future__ import annotations

from nodegraph.server.content.artifacts.artifacts import Artifacts
from nodegraph.server.content.artifacts.search import Artifact, ArtifactFilter, ArtifactPage

__all__ = ["Artifact", "ArtifactFilter", "ArtifactPage", "Artifacts"]
