"""Packages laid out as diffusers is: what tomorrow's brings, and what is broken in it."""

from __future__ import annotations

import pytest

from nodegraph.interop.pipelines.classes import PipelineClass, PipelineInput
from nodegraph.interop.pipelines.source import (
    diffusers_stamp,
    pipeline_class,
    pipeline_classes,
    pipelines_and_faults,
)
from tests.pipelines.reading.conftest import Package, Reader

FOX = '''
class FoxPipeline(DiffusionPipeline):
    """Makes a fox of words. It runs.

    Args:
        unet ([`UNet2DModel`]): Sees foxes.
    """

    _optional_components = ["guard"]
    _callback_tensor_inputs = ["latents"]

    def __init__(self, unet: UNet2DModel, guard: Guard, tail: Tail | None = None, size: int = 8):
        super().__init__()
        self.register_modules(unet=unet, guard=guard, tail=tail)
        self.register_to_config(size=size)

    def __call__(
        self,
        prompt: Union[str, List[str]] = None,
        fur: Optional[PipelineImageInput] = None,
        length: float = 1.5,
        generator: Optional[torch.Generator] = None,
        callback_on_step_end: Callable | None = None,
        output_type: str = "pil",
        **kwargs,
    ) -> ImagePipelineOutput | tuple:
        for step in self.progress_bar(range(3)):
            callback_on_step_end(self, step, fur, {})
        _ = prompt, length, generator, output_type
        return ImagePipelineOutput(images=[])
'''


def _input(found: PipelineClass, name: str) -> PipelineInput:
    return next(item for item in found.inputs if item.name == name)


def _kinds(found: PipelineClass) -> dict[str, str]:
    return {item.name: item.kind for item in found.inputs}


def test_a_class_of_tomorrow_is_read_without_a_list_of_names(package: Package) -> None:
    package.pipeline(FOX)
    found = pipeline_classes(package.folder)["FoxPipeline"]
    assert found.module == "diffusers.pipelines.fox.pipeline_fox"
    assert (found.makes, found.follows) == ("image", "callback_on_step_end")
    assert (found.summary, found.help) == (
        "Makes a fox of words.",
        "Makes a fox of words. It runs.",
    )
    assert _kinds(found) == {
        "prompt": "text",
        "fur": "image",
        "length": "number",
        "generator": "seed",
    }
    assert set(found.hidden) == {"callback_on_step_end", "output_type", "kwargs"}
    assert [(part.name, part.optional) for part in found.parts] == [
        ("unet", False),
        ("guard", True),
        ("tail", True),
    ]
    assert found.config == ("size",)
    assert [(item.name, item.kind, item.help) for item in found.outputs] == [
        ("images", "image", "Those that were made.")
    ]
    assert found.settings["tensor_inputs"] == ["latents"]


def test_a_pipeline_may_stand_on_one_of_another_file(package: Package) -> None:
    package.pipeline(FOX)
    package.pipeline(
        """
        from .pipeline_fox import FoxPipeline as Animal

        class CubPipeline(Animal):
            '''A small one.'''
        """,
        name="pipeline_cub",
    )
    found = pipeline_class("CubPipeline", package.folder)
    assert found is not None
    assert "fur" in _kinds(found)
    assert found.summary == "A small one."
    assert [part.name for part in found.parts] == ["unet", "guard", "tail"]


def test_names_are_followed_through_what_folders_offer(package: Package) -> None:
    package.write(
        "pipelines/hound/__init__.py",
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    try:\n        pass\n"
        "    except ImportError:\n        pass\n    else:\n"
        "        from .pipeline_hound import HoundPipeline\n",
    )
    package.write(
        "pipelines/hound/pipeline_hound.py",
        "from ..pipeline_utils import *\n\nclass HoundPipeline(DiffusionPipeline):\n"
        "    def __call__(self, scent: str): return scent\n",
    )
    package.pipeline("from ..hound import HoundPipeline\nclass PupPipeline(HoundPipeline): ...")
    found = pipeline_class("PupPipeline", package.folder)
    assert found is not None
    assert _kinds(found) == {"scent": "text"}


def test_what_can_not_be_called_or_is_no_pipeline_is_none(package: Package) -> None:
    package.pipeline(
        """
        class MutePipeline(DiffusionPipeline): ...

        class Loose:
            def __call__(self, prompt): ...

        class FlaxThing(FlaxDiffusionPipeline):
            def __call__(self, prompt): ...
        """
    )
    assert pipeline_classes(package.folder) == {}


@pytest.mark.parametrize(
    "text",
    [
        "class BadPipeline(DiffusionPipeline:\n",
        "\0",
        "def f(:\n",
        "é\udcff".encode("utf-8", "replace").decode(),
    ],
)
def test_a_broken_file_hurts_no_other(package: Package, text: str) -> None:
    package.pipeline(FOX)
    file = package.folder / "pipelines/fox/pipeline_bad.py"
    file.write_bytes(text.encode() + b"class BadPipeline(DiffusionPipeline): (\xff")
    found, _, faults = pipelines_and_faults(package.folder)
    assert list(found) == ["FoxPipeline"]
    assert list(faults) == ["diffusers.pipelines.fox.pipeline_bad"]
    assert pipeline_class("BadPipeline", package.folder) is None


def test_modules_that_import_each_other_end(package: Package) -> None:
    package.pipeline(
        "from .pipeline_b import Kind\n" + FOX.replace("length: float", "length: Kind")
    )
    package.write("pipelines/fox/pipeline_b.py", "from .pipeline_fox import Kind\n")
    package.write(
        "pipelines/fox/pipeline_c.py", "class APipeline(APipeline): ...\nPipeline = Pipeline\n"
    )
    assert list(pipeline_classes(package.folder)) == ["FoxPipeline"]


def test_a_package_without_pipelines_has_none(package: Package) -> None:
    assert pipeline_classes(package.folder) == {}
    assert pipeline_class("FoxPipeline", package.folder) is None


def test_the_stamp_changes_with_the_package(package: Package) -> None:
    before = diffusers_stamp(package.folder)
    package.write("pipelines/__init__.py", "# another one")
    assert diffusers_stamp(package.folder) != before


def test_a_package_that_is_used_unasked_is_needed(package: Package) -> None:
    package.pipeline(
        "from ...utils import is_ears_available, is_eyes_available, is_nose_available\n"
        "import whiskers.long\n"
        "if is_ears_available():\n    import ears\n"
        "if is_eyes_available():\n    import eyes\n    SEES = True\nelse:\n    SEES = False\n"
        "if is_nose_available():\n    from nose.tip import sniff\n"
        "def hear(): return ears.hear()\n"
        "def see(): return eyes.see() if SEES else None\n"
        "def smell():\n    if is_nose_available(): sniff()\n" + FOX
    )
    found = pipeline_class("FoxPipeline", package.folder)
    assert found is not None
    assert found.needs == ("ears", "whiskers")


def test_a_class_that_a_folder_hides_needs_what_it_asks_for(package: Package) -> None:
    package.pipeline(FOX)
    package.write(
        "pipelines/__init__.py",
        "_s = {}\ntry:\n    if not (is_torch_available() and is_opencv_available()):\n"
        "        raise OptionalDependencyNotAvailable()\n"
        "except OptionalDependencyNotAvailable:\n    pass\n"
        "else:\n    _s['fox'] = ['FoxPipeline']\n",
    )
    found = pipeline_class("FoxPipeline", package.folder)
    assert found is not None
    assert found.needs == ("cv2",)


def test_latents_show_where_a_neighbour_asks_for_them(package: Package) -> None:
    package.pipeline(
        """
        class MakerPipeline(DiffusionPipeline):
            def __call__(self, prompt: str, latents: torch.Tensor = None, output_type="pil"):
                if output_type == "latent":
                    return ImagePipelineOutput(images=latents)
                return ImagePipelineOutput(images=prompt)

        class UpscalePipeline(DiffusionPipeline):
            def __call__(self, image: PipelineImageInput = None, latents: torch.Tensor = None):
                if image is None and latents is None:
                    raise ValueError("one of them")
                return ImagePipelineOutput(images=image or latents)
        """
    )
    found = pipeline_classes(package.folder)
    maker, upscaler = found["MakerPipeline"], found["UpscalePipeline"]
    assert [item.name for item in maker.outputs] == ["images", "latents"]
    assert _input(maker, "output_type").choices == ("pil", "latent")
    assert _input(maker, "latents").advanced
    assert not _input(upscaler, "latents").advanced
    assert upscaler.settings["one_of"] == [["image", "latents"]]


def test_a_combined_pipeline_gives_what_its_last_one_does(package: Package) -> None:
    package.pipeline(
        FOX
        + """
class BothPipeline(DiffusionPipeline):
    def __init__(self, unet):
        self.prior_pipe = PriorPipeline(unet)
        self.decoder_pipe = FoxPipeline(unet)

    def __call__(self, prompt: str):
        return self.decoder_pipe(prompt)
"""
    )
    found = pipeline_class("BothPipeline", package.folder)
    assert found is not None
    assert [item.name for item in found.outputs] == ["images"]
    assert found.settings["pipelines"] == ["decoder_pipe"]


def test_a_dataclass_that_is_taken_is_read_by_its_fields(package: Package) -> None:
    package.pipeline(
        """
        from dataclasses import dataclass

        @dataclass
        class Spot:
            '''
            A place.

            Attributes:
                image (`PIL.Image.Image`): Is put there.
            '''
            image: PIL.Image.Image
            at: int = 3
            _seen: bool = False

        class SpotPipeline(DiffusionPipeline):
            def __call__(self, spots: Spot | List[Spot]):
                return ImagePipelineOutput(images=spots)
        """
    )
    classes, records, _ = pipelines_and_faults(package.folder)
    assert (_input(classes["SpotPipeline"], "spots").dataclass, list(records)) == ("Spot", ["Spot"])
    spot = records["Spot"]
    assert [(item.name, item.kind, item.default) for item in spot.inputs] == [
        ("image", "image", None),
        ("at", "integer", 3),
    ]
    assert spot.inputs[0].help == "Is put there."
    assert set(spot.hidden) == {"_seen"}


def test_without_an_annotation_words_and_defaults_decide(read_call: Reader) -> None:
    found = read_call(
        '''
        def __call__(self, photo, size=3, share=0.5, sure=True, mood="good", where=None, much=None):
            """
            Args:
                photo (`PIL.Image.Image`): Seen.
                where (`List[int]`, *optional*): Places.
            """
            use(photo, size, share, sure, mood, where, much)
            return ImagePipelineOutput(images=photo)
        '''
    )
    kinds = {item.name: (item.kind, item.many) for item in found.inputs}
    assert kinds == {
        "photo": ("image", False),
        "size": ("integer", False),
        "share": ("number", False),
        "sure": ("flag", False),
        "mood": ("text", False),
        "where": ("integer", True),
        "much": ("any", False),
    }


def test_words_that_others_are_refused_for_are_choices(read_call: Reader) -> None:
    found = read_call(
        """
        def __call__(self, mode: str = "fast", how: str = "up", why: str = "so"):
            if mode not in ("fast", "slow"):
                raise ValueError(mode)
            if how not in ["up", "down"] and why:
                raise ValueError(how)
        """
    )
    assert (_input(found, "mode").kind, _input(found, "mode").choices) == (
        "choice",
        ("fast", "slow"),
    )
    assert (_input(found, "how").kind, _input(found, "how").choices) == ("text", ())


def test_enums_and_literals_are_choices(package: Package) -> None:
    package.pipeline(
        """
        from enum import Enum
        from typing import Literal

        class Pace(str, Enum):
            WALK = "walk"
            RUN = "run"

        class FoxPipeline(DiffusionPipeline):
            def __call__(self, pace: Pace = Pace.RUN, way: Literal["home", "away"] = "home"):
                use(pace, way)
        """
    )
    found = pipeline_class("FoxPipeline", package.folder)
    assert found is not None
    pace, way = _input(found, "pace"), _input(found, "way")
    assert (pace.choices, pace.default) == (("walk", "run"), "run")
    assert (way.choices, way.default) == (("home", "away"), "home")


def test_a_size_is_a_multiple_only_where_others_are_refused(read_call: Reader) -> None:
    found = read_call(
        """
        def __call__(self, height: int = 64, width: int = 64):
            if height % 16 != 0:
                raise ValueError(height)
            if width % 16 != 0:
                width = width // 16 * 16
        """
    )
    assert (_input(found, "height").multiple_of, _input(found, "width").multiple_of) == (16, None)
    assert found.settings["divisors"] == {"height": "16"}


def test_what_is_asked_under_a_condition_holds_only_there(read_call: Reader) -> None:
    found = read_call(
        """
        def __call__(self, a: str = None, b: str = None, c: str = None, d: str = None):
            self.check_inputs(a, b, c, d)

        def check_inputs(self, a, b, c, d):
            if a is not None and b is not None:
                raise ValueError("one of them")
            elif a is None and b is None:
                raise ValueError("either")
            if a:
                if c is None:
                    raise ValueError("c")
        """
    )
    assert found.settings["one_of"] == [["a", "b"]]


def test_older_callbacks_and_bars_are_found_where_they_are_used(read_call: Reader) -> None:
    older = read_call("def __call__(self, callback=None):\n    callback(1, 2, 3)\n")
    unused = read_call("def __call__(self, callback=None):\n    self.loop()\n")
    bar = read_call(
        "def __call__(self):\n    self.loop()\ndef loop(self):\n    self.progress_bar(total=3)\n"
    )
    assert (older.follows, unused.follows, bar.follows) == ("callback", "modules", "progress")


def test_the_locals_that_callbacks_see_read_no_parameter(read_call: Reader) -> None:
    shown = read_call("def __call__(self, a: int = 1):\n    return locals()[name]\n")
    whole = read_call("def __call__(self, a: int = 1):\n    return self.go(**locals())\n")
    assert list(shown.hidden) == ["a"]
    assert _kinds(whole) == {"a": "integer"}


def test_a_plain_result_is_what_it_is_prepared_as(read_call: Reader) -> None:
    video = read_call("def __call__(self):\n    return self.video_processor.postprocess_video(x)\n")
    unknown = read_call("def __call__(self):\n    return 3\n")
    assert [(item.name, item.kind) for item in video.outputs] == [("", "video")]
    assert [(item.name, item.kind) for item in unknown.outputs] == [("", "any")]


def test_the_order_of_axes_is_read_where_it_is_said(read_call: Reader) -> None:
    found = read_call(
        '''
        def __call__(
            self, clip: torch.Tensor, waveform: torch.Tensor, video: torch.Tensor, image: Tensor
        ):
            """
            Args:
                waveform: Of shape `(batch, channels, samples)`.
            """
            batch_size, channels, num_frames, height_video, width_video = clip.shape
            self.processor.preprocess_video(video)
            rows, columns = image.shape
            use(waveform)
            return self.postprocess_video(video)
        '''
    )
    axes = {item.name: item.axes for item in found.inputs}
    assert axes == {"clip": "bcfhw", "waveform": "bcn", "video": "", "image": ""}
    assert "list[PIL]" in _input(found, "video").forms
    assert _input(found, "clip").forms == ("Tensor",)


def test_a_size_that_the_call_makes_fit_is_refused_nowhere(read_call: Reader) -> None:
    found = read_call(
        """
        def __call__(self, height: int = None, width: int = None, round_up: bool = True):
            if not height:
                height = 512
                height = height * self.scale
            if round_up:
                width = self.nearest(width)
            self.check_inputs(height, width)

        def check_inputs(self, height, width):
            if height % 8 != 0 or width % 8 != 0:
                raise ValueError("sizes")
        """
    )
    assert (_input(found, "height").multiple_of, _input(found, "width").multiple_of) == (8, None)


def test_a_method_that_has_to_be_called_before_is_known(read_call: Reader) -> None:
    found = read_call(
        """
        def __init__(self):
            self.noise = None

        def invert(self, image):
            self.noise = image

        def __call__(self, prompt: str):
            if self.noise is None:
                raise ValueError("invert first")
            return self.noise
        """
    )
    assert found.settings["first"] == "invert"
