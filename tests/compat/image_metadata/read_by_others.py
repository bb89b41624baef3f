"""Record how `sd-parsers`, `sd-prompt-reader` (both MIT) and `invokeai` (Apache) read the samples.

    pip install sd-parsers==0.6 sd-prompt-reader==1.3.4.post2 piexif numpy
    python -m tests.compat.image_metadata.read_by_others

It runs in an environment of its own: nodegraph and its tests need none of the packages. The record
is beside this file; `test_other_readers.py` compares it with what nodegraph reads. Readings of a
package that is not installed stay as they are: `invokeai` pins other versions, so run the same with
``pip install invokeai==6.14.2`` in another environment. Its metadata are read by its own models.
"""

from __future__ import annotations

import contextlib
import io
import json
import tempfile
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from tests.compat.image_metadata.samples import SAMPLES

RECORD = Path(__file__).with_name("other_readers.json")
Reading = dict[str, Any]


def by_sd_parsers(path: Path) -> Reading | None:
    from sd_parsers import Eagerness, ParserManager  # type: ignore[import-not-found]

    info = ParserManager(eagerness=Eagerness.EAGER).parse(str(path))
    if info is None or not info.samplers:
        return None
    sampler = info.samplers[0]
    return {
        "prompt": [prompt.value for prompt in sampler.prompts],
        "negative": [prompt.value for prompt in sampler.negative_prompts],
        "sampler": sampler.name,
        "model": sampler.model.name if sampler.model else None,
        "seed": sampler.parameters.get("seed"),
        "steps": sampler.parameters.get("steps"),
        "cfg": sampler.parameters.get("cfg_scale"),
    }


def by_sd_prompt_reader(path: Path) -> Reading | None:
    from sd_prompt_reader.image_data_reader import (  # type: ignore[import-not-found]
        ImageDataReader,
    )

    reader = ImageDataReader(str(path))
    if not reader.tool or reader.positive.startswith("{"):
        return None  # it takes JSON of Fooocus for a text of A1111's form
    values = reader.parameter
    return {
        "prompt": [reader.positive],
        "negative": [reader.negative],
        "sampler": values.get("sampler"),
        "model": values.get("model"),
        "seed": values.get("seed"),
        "steps": values.get("steps"),
        "cfg": values.get("cfg"),
    }


def by_invokeai(path: Path) -> Reading | None:
    from invokeai.app.invocations.metadata import (  # type: ignore[import-not-found]
        CoreMetadataInvocation,
    )
    from PIL import Image

    with Image.open(path) as image:
        text = image.info.get("invokeai_metadata")
    if text is None:
        return None
    # Unlike its models, its interface writes null for what does not apply, such as FLUX's scale.
    values = {name: value for name, value in json.loads(text).items() if value is not None}
    read = CoreMetadataInvocation.model_validate({"id": "0", **values})
    return {
        "prompt": [read.positive_prompt],
        "negative": [read.negative_prompt],
        "sampler": read.scheduler,
        "model": read.model.name if read.model else None,
        "seed": read.seed,
        "steps": read.steps,
        "cfg": read.cfg_scale,
        "width": read.width if not read.hrf_enabled else None,
        "height": read.height if not read.hrf_enabled else None,
        "loras": [[lora.model.name, lora.weight] for lora in read.loras or ()],
        "vae": read.vae.name if read.vae else None,
        "refiner": read.refiner_model.name if read.refiner_model else None,
        "controls": [
            [unit.control_model.name, unit.control_weight, unit.begin_step_percent]
            for unit in read.controlnets or ()
        ],
    }


READERS: dict[str, Callable[[Path], Reading | None]] = {
    "sd-parsers": by_sd_parsers,
    "sd-prompt-reader": by_sd_prompt_reader,
    "invokeai": by_invokeai,
}
MODULES = {"sd-parsers": "sd_parsers", "sd-prompt-reader": "sd_prompt_reader"}


def read_all() -> dict[str, dict[str, Reading]]:
    """What each package reads of each sample; nothing where it reads nothing or fails."""
    record: dict[str, dict[str, Reading]] = json.loads(RECORD.read_text("utf-8"))
    readers = {name: read for name, read in READERS.items() if find_spec(MODULES.get(name, name))}
    record |= {name: {} for name in readers}
    with tempfile.TemporaryDirectory() as folder:
        for sample in SAMPLES:
            path = Path(folder) / f"{sample.name}{sample.suffix}"
            sample.write(path)
            for name, read in readers.items():
                with contextlib.suppress(Exception), contextlib.redirect_stdout(io.StringIO()):
                    reading = read(path)
                    if reading is not None:
                        record[name][sample.name] = reading
    return record


if __name__ == "__main__":
    text = json.dumps(read_all(), indent=1, ensure_ascii=False, sort_keys=True)
    RECORD.write_text(f"{text}\n", encoding="utf-8")
