"""Files that clients bring: images, masks, workflows."""

from __future__ import annotations

from nodegraph.server.content.uploads.index import Upload, UploadPage
from nodegraph.server.content.uploads.kinds import UploadRules
from nodegraph.server.content.uploads.uploads import Uploads
from nodegraph.server.settings import UploadType

__all__ = ["Upload", "UploadPage", "UploadRules", "UploadType", "Uploads"]
