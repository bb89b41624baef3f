"""Files that clients bring: pictures, masks, workflows."""

from __future__ import annotations

from nodegraph.server.settings import UploadType
from nodegraph.server.uploads.index import Upload, UploadPage
from nodegraph.server.uploads.rules import UploadRules
from nodegraph.server.uploads.uploads import Uploads

__all__ = ["Upload", "UploadPage", "UploadRules", "UploadType", "Uploads"]
