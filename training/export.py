"""Write the model as a diffusers folder that stock `StableDiffusionPipeline` loads."""

import json
import platform
import shutil
import textwrap
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from training.config import ROOT, Config, command_line
from training.fonts import require_font, sha256_of
from training.sampling import assemble

_PACKAGES = ("torch", "diffusers", "transformers", "tokenizers", "pillow", "numpy", "safetensors")
_STAGES = ("vae", "unet", "decoder", "classifier")
_TOKENIZER_FILES = (
    "vocab.json",
    "merges.txt",
    "tokenizer_config.json",
    "special_tokens_map.json",
)


def export(config: Config, work: Path, folder: Path) -> None:
    """Write the diffusers folder, its NOTICE and its `train.json`; `folder` is made anew."""
    shutil.rmtree(folder, ignore_errors=True)
    pipeline = assemble(config, work)
    for part in (pipeline.vae, pipeline.text_encoder, pipeline.unet):
        part.half()
    pipeline.save_pretrained(folder)
    # Recent transformers write only tokenizer.json; older ones and other programs read these.
    for name in _TOKENIZER_FILES:
        shutil.copyfile(work / "tokenizer" / name, folder / "tokenizer" / name)
    _load_in_float32(folder / "text_encoder" / "config.json")
    (folder / "NOTICE").write_text(notice(config), encoding="utf-8")
    record = json.dumps(training_record(config, work), indent=2)
    (folder / "train.json").write_text(record + "\n")


def _load_in_float32(path: Path) -> None:
    """Files hold float16, but a CPU computes in float32, and all parts must agree."""
    settings = json.loads(path.read_text())
    settings.pop("torch_dtype", None)
    settings["dtype"] = "float32"
    path.write_text(json.dumps(settings, indent=2, sort_keys=True) + "\n")


def training_record(config: Config, work: Path) -> dict[str, Any]:
    """What the model was made from: settings, samples and seconds per stage, versions, digests."""
    settings = asdict(config)
    settings["data"]["font"] = ""  # a path on one machine says nothing to others
    return {
        "config": settings,
        "stages": {stage: _progress(work / stage) for stage in _STAGES},
        "versions": {"python": platform.python_version(), **{p: version(p) for p in _PACKAGES}},
        "device": "cuda" if torch.cuda.is_available() else "cpu",
        "font": {
            "file": require_font(config.data.font).name,
            "sha256": sha256_of(require_font(config.data.font)),
        },
        "sha256": {
            "objects": sha256_of(ROOT / config.data.objects),
            "vocabulary": sha256_of(work / "tokenizer" / "vocab.json"),
        },
    }


def _progress(folder: Path) -> dict[str, float] | None:
    path = folder / "checkpoint.pt"
    if not path.exists():
        return None
    state = torch.load(path, map_location="cpu", weights_only=True)
    progress: dict[str, float] = state["progress"]
    return {name: round(value, 4) for name, value in progress.items()}


def notice(config: Config) -> str:
    """The licence notice of the artwork that the model was trained on."""
    head = f'nodegraph embedded model "{config.name}"'
    body = (
        "Trained from scratch on scenes drawn with the font Noto Color Emoji (Debian package "
        "fonts-noto-color-emoji, https://github.com/googlefonts/noto-emoji).",
        "The font is Copyright 2013-2017 Google Inc. and Arjen Nienhuis, licensed under the SIL "
        "Open Font License, Version 1.1 (https://openfontlicense.org). Its artwork and tools are "
        "Copyright 2013-2017 Google Inc. and Arjen Nienhuis, licensed under the Apache License, "
        "Version 2.0 (https://www.apache.org/licenses/LICENSE-2.0).",
        "The font itself is not part of this folder. The model reproduces the look of its glyphs "
        "by design. Noto is a trademark of Google LLC; Google has no part in this model and does "
        "not endorse it.",
        "Captions are made from character names of the Unicode Character Database, Copyright "
        "Unicode, Inc. (https://www.unicode.org/license.txt).",
    )
    return "\n\n".join([head, *(textwrap.fill(part, 80) for part in body)]) + "\n"


def main() -> None:
    """Write the trained model to `model`/ in the work folder."""
    config, work = command_line(main.__doc__)
    export(config, work, work / "model")
    files = [path for path in (work / "model").rglob("*") if path.is_file()]
    print(f"{sum(path.stat().st_size for path in files) / 1e6:.2f} MB in {len(files)} files")


if __name__ == "__main__":
    main()
