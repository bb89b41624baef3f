"""Write docs/manifest.schema.json, the JSON Schema of the manifests of results.

python docs/generate_manifest.py
"""

from __future__ import annotations

import json
from pathlib import Path

from nodegraph.core.json_schema import manifest_json_schema

FILE = Path(__file__).parent / "manifest.schema.json"


def schema() -> str:
    """The file's text, as the code has it now."""
    return json.dumps(manifest_json_schema(), indent=2) + "\n"


if __name__ == "__main__":
    FILE.write_text(schema(), encoding="utf-8")
