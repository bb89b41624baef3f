# Made by `nodegraph stubs` of what the node types declare: don't edit.
"""Node types as functions, for editors and type checkers."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple, TypeAlias

from torch import Tensor

from nodegraph.core.plots import Plot
from nodegraph.core.training_values import Dataset, Preprocessor, TrainedWeights
from nodegraph.core.values import (
    Audio,
    Conditioning,
    ControlNet,
    DiffusionModel,
    ImageEncoder,
    Latent,
    Mesh,
    Molecule,
    PointCloud,
    TextEncoder,
    Vae,
    Video,
)
from nodegraph.media.images.pillow_conversion import Picture

_mode: TypeAlias = Literal['none', 'pose', 'depth', 'soft edges', 'scribble', 'edges', 'lines', 'normal', 'segments', 'tile', 'repaint', 'blur', 'grey', 'low quality']

_schedule: TypeAlias = Literal['normal', 'karras', 'exponential', 'sgm_uniform', 'simple', 'beta', 'kl_optimal', 'linear_quadratic', 'ddim_uniform', 'align_your_steps', 'gits', 'leading', 'trailing', 'linspace']

_mode_: TypeAlias = Literal['normal', 'multiply', 'screen', 'overlay', 'darken', 'lighten', 'color dodge', 'color burn', 'hard light', 'soft light', 'difference', 'exclusion', 'add', 'subtract', 'divide', 'hue', 'saturation', 'color', 'luminosity']

_how: TypeAlias = Literal['union', 'intersect', 'subtract', 'xor', 'multiply', 'add']

_reference_sampler: TypeAlias = Literal['euler', 'euler_ancestral', 'heun', 'heunpp2', 'restart', 'dpm_2', 'dpm_2_ancestral', 'dpmpp_2s', 'dpmpp_2s_ancestral', 'dpmpp_sde', 'dpmpp_2m', 'dpmpp_2m_sde', 'dpmpp_2m_sde_heun', 'dpmpp_3m', 'dpmpp_3m_sde', 'res_multistep', 'res_multistep_ancestral', 'exp_heun_2_x0', 'exp_heun_2_x0_sde', 'seeds_2', 'seeds_3', 'er_sde', 'sa_solver', 'sa_solver_pece', 'gradient_estimation', 'euler_cfg_pp', 'euler_ancestral_cfg_pp', 'dpmpp_2s_ancestral_cfg_pp', 'dpmpp_2m_cfg_pp', 'gradient_estimation_cfg_pp', 'uni_pc', 'uni_pc_bh1', 'deis', 'lms', 'ipndm', 'ipndm_v', 'ddim', 'ddpm', 'pndm', 'lcm', 'tcd']

_how_: TypeAlias = Literal['is', 'contains', 'starts with', 'ends with', 'matches']

_anchor: TypeAlias = Literal['top left', 'top', 'top right', 'left', 'center', 'right', 'bottom left', 'bottom', 'bottom right']

_below: TypeAlias = Literal['caption', 'label', 'tags', 'name', 'split', 'nothing']

_method: TypeAlias = Literal['luma', 'luminance', 'average', 'lightness', 'red', 'green', 'blue']

_family: TypeAlias = Literal['auto', 'sd1', 'sd2', 'sdxl', 'sdxl-refiner', 'sd3', 'pixart-sigma', 'flux', 'sana', 'ltx', 'lumina2', 'wan', 'chroma', 'hidream', 'wan22-5b', 'qwen-image', 'qwen-image-edit', 'qwen-image-edit-plus', 'hunyuan-image', 'flux2', 'z-image', 'flux2-klein', 'molecules', 'shapes', 'sounds', 'motions', 'auraflow']

_channel: TypeAlias = Literal['auto', 'brightness', 'transparency', 'red', 'green', 'blue']

_family_: TypeAlias = Literal['sd1', 'sd2', 'sdxl', 'sdxl-refiner', 'sd3', 'pixart-sigma', 'flux', 'sana', 'ltx', 'lumina2', 'wan', 'chroma', 'hidream', 'wan22-5b', 'qwen-image', 'qwen-image-edit', 'qwen-image-edit-plus', 'hunyuan-image', 'flux2', 'z-image', 'flux2-klein']

_latents: TypeAlias = Literal['auto', 'sd', 'sdxl', 'sd3', 'flux', 'wan', 'qwen-image']

_channel_: TypeAlias = Literal['luminance', 'red', 'green', 'blue', 'alpha', 'saturation', 'value']

_motion: TypeAlias = Literal['left', 'right', 'up', 'down', 'bounce', 'turn', 'grow', 'shrink', 'still']

_order: TypeAlias = Literal['reversed', 'sorted', 'sorted downwards', 'shuffled']

_family__: TypeAlias = Literal['tiny', 'sd1', 'sd2', 'sdxl', 'sd3', 'pixart-sigma', 'flux', 'flux-kontext', 'sana', 'ltx', 'lumina2', 'wan', 'chroma', 'hidream', 'wan22-5b', 'qwen-image', 'hunyuan-image', 'flux2', 'z-image', 'auraflow']

_aspect: TypeAlias = Literal['1:1', '5:4', '4:3', '3:2', '16:10', '16:9', '2:1', '21:9']

_by: TypeAlias = Literal['factor', 'longer side', 'shorter side', 'width', 'height', 'megapixels']

_kind: TypeAlias = Literal['canny edges', 'soft edges', 'line art', 'scribble', 'tile', 'color blocks', 'blur', 'posterize', 'normal map']

_solid: TypeAlias = Literal['ball', 'box', 'cylinder', 'cone', 'pyramid', 'torus', 'capsule', 'tube', 'table', 'chair', 'cross', 'dumbbell']

_color: TypeAlias = Literal['red', 'orange', 'yellow', 'green', 'blue', 'purple', 'white', 'black']

_kind_: TypeAlias = Literal['any', 'bell', 'drum', 'bird', 'engine', 'plucked string', 'harp', 'flute', 'organ', 'violin', 'clarinet', 'trumpet', 'piano', 'marimba', 'siren', 'laser', 'alarm', 'whistle', 'frog', 'wind', 'rattle']

_attention: TypeAlias = Literal['auto', 'math', 'sliced', 'flash', 'efficient', 'cudnn']

_schedule_: TypeAlias = Literal['constant', 'linear', 'cosine', 'cosine_with_restarts', 'polynomial']

class _ApplyControlNet(NamedTuple):
    positive: Conditioning
    negative: Conditioning

class _ApplyIPAdapter(NamedTuple):
    model: DiffusionModel
    positive: Conditioning
    negative: Conditioning

class _ApplyWeights(NamedTuple):
    model: DiffusionModel
    text_encoder: TextEncoder

class _AttentionMaps(NamedTuple):
    words: list[str]
    maps: list[Tensor]

class _AudioStatistics(NamedTuple):
    seconds: float
    peak: float
    loudness: float
    pitch: float
    note: str
    brightness: float
    text: str

class _ChooseLine(NamedTuple):
    text: str
    number: int

class _ClassifyImages(NamedTuple):
    labels: list[str]
    confidences: list[float]

class _ClassifyLatents(NamedTuple):
    labels: list[str]
    backgrounds: list[str]
    confidences: list[float]

class _CompareAudio(NamedTuple):
    spectral: float
    cepstral: float
    cents: float
    louder: float
    text: str

class _CompareDistributions(NamedTuple):
    plot: Plot
    differences: Plot
    card: str
    chance: float

class _CompareImages(NamedTuple):
    psnr: float
    ssim: float
    ms_ssim: float
    gmsd: float
    mae: float
    text: str

class _CompareSamplings(NamedTuple):
    images: list[Tensor]
    text: str
    plot: Plot
    times: Plot
    distances: list[float]
    psnr: list[float]

class _CompareSets(NamedTuple):
    frechet: float
    precision: float
    recall: float
    coverage: float
    plot: Plot
    report: str

class _CropToMask(NamedTuple):
    image: Tensor
    mask: Tensor
    region: Any

class _CrossLists(NamedTuple):
    first: list[Any]
    second: list[Any]

class _DatasetImages(NamedTuple):
    images: list[Tensor]
    masks: list[Tensor]
    captions: list[str]
    labels: list[str]
    names: list[str]

class _DatasetReport(NamedTuple):
    report: str
    plot: Plot
    counts: dict[str, Any]

class _DecodeMolecules(NamedTuple):
    molecules: list[Molecule]
    valid: int
    sampled: int

class _DetectThings(NamedTuple):
    boxes: str
    mask: Tensor
    number: int

class _Distill(NamedTuple):
    model: DiffusionModel
    text_encoder: TextEncoder
    weights: TrainedWeights
    losses: Plot

class _DominantColors(NamedTuple):
    colors: list[str]
    image: Tensor

class _DreamBooth(NamedTuple):
    model: DiffusionModel
    text_encoder: TextEncoder
    weights: TrainedWeights
    losses: Plot

class _FilterDataset(NamedTuple):
    matching: Dataset
    others: Dataset

class _FineTune(NamedTuple):
    model: DiffusionModel
    weights: TrainedWeights
    losses: Plot

class _Fold(NamedTuple):
    result: Any
    results: list[Any]

class _ForegroundMask(NamedTuple):
    mask: Tensor
    image: Tensor

class _Formula(NamedTuple):
    number: float
    integer: int
    truth: bool

class _GridSweep(NamedTuple):
    image: Tensor
    images: list[Any]

class _ImageConditioning(NamedTuple):
    conditioning: Conditioning
    latent: Latent

class _ImageDifference(NamedTuple):
    image: Tensor
    rms: float

class _ImageSize(NamedTuple):
    width: int
    height: int
    batch: int
    channels: int

class _ImageStatistics(NamedTuple):
    mean: float
    deviation: float
    minimum: float
    maximum: float
    text: str

class _ImageToVideoConditioning(NamedTuple):
    conditioning: Conditioning
    latent: Latent

class _ImagesFromVideo(NamedTuple):
    image: Tensor
    rate: float
    audio: Audio

class _InpaintConditioning(NamedTuple):
    conditioning: Conditioning
    latent: Latent

class _LabelDistribution(NamedTuple):
    plot: Plot
    card: str
    labels: list[str]
    shares: list[float]

class _LatentStatistics(NamedTuple):
    mean: float
    deviation: float
    least: float
    largest: float

class _LoadDataset(NamedTuple):
    dataset: Dataset
    skipped: str

class _LoadImage(NamedTuple):
    image: Tensor
    mask: Tensor

class _LoadImageFrames(NamedTuple):
    image: Tensor
    mask: Tensor
    rate: float

class _LoadImages(NamedTuple):
    images: list[Tensor]
    masks: list[Tensor]
    names: list[str]

class _LoadLora(NamedTuple):
    model: DiffusionModel
    text_encoder: TextEncoder

class _LoadModel(NamedTuple):
    model: DiffusionModel
    text_encoder: TextEncoder
    vae: Vae

class _MaskBounds(NamedTuple):
    x: int
    y: int
    width: int
    height: int
    share: float

class _MoleculeProperties(NamedTuple):
    logp: float
    qed: float
    rings: int
    atoms: int
    mass: float

class _MoleculeStatistics(NamedTuple):
    text: str
    distinct: float
    novel: float
    plot: Plot

class _PadForOutpaint(NamedTuple):
    image: Tensor
    mask: Tensor

class _PathParts(NamedTuple):
    folder: str
    name: str
    stem: str
    suffix: str

class _PredictOnce(NamedTuple):
    clean: Latent
    noise: Latent
    positive: Latent
    negative: Latent
    difference: Latent

class _RandomNumber(NamedTuple):
    number: float
    integer: int

class _RemoveBackground(NamedTuple):
    image: Tensor
    mask: Tensor

class _RemoveDuplicates(NamedTuple):
    dataset: Dataset
    removed: Dataset
    report: str
    plot: Plot

class _Repeat(NamedTuple):
    state: Any
    states: list[Any]

class _Resolution(NamedTuple):
    width: int
    height: int

class _SampleCustom(NamedTuple):
    latent: Latent
    denoised: Latent

class _SegmentAnything(NamedTuple):
    mask: Tensor
    score: float

class _SplitChannels(NamedTuple):
    first: Tensor
    second: Tensor
    third: Tensor

class _SplitSchedule(NamedTuple):
    high: Any
    low: Any

class _SplitScheduleAtDenoise(NamedTuple):
    high: Any
    low: Any

class _SplitTiles(NamedTuple):
    tiles: list[Tensor]
    tiling: Any

class _Superpixels(NamedTuple):
    image: Tensor
    borders: Tensor

class _TextualInversion(NamedTuple):
    text_encoder: TextEncoder
    weights: TrainedWeights
    losses: Plot

class _TrainClassifier(NamedTuple):
    classifier: TrainedWeights
    accuracy: float
    losses: Plot

class _TrainControlNet(NamedTuple):
    control_net: ControlNet
    weights: TrainedWeights
    losses: Plot

class _TrainLoRA(NamedTuple):
    model: DiffusionModel
    text_encoder: TextEncoder
    weights: TrainedWeights
    losses: Plot

class _While(NamedTuple):
    state: Any
    iterations: int

class BuiltinFunctions:
    """Node types as methods."""

    def AdaptiveGuider(
        self,
        *,
        positive: Conditioning,
        negative: Conditioning | None = None,
        cfg: float = 7.0,
        threshold: float = 0.99,
    ) -> Any:
        """Adaptive guidance: ends once it makes no difference, which saves up to half of the time.

        positive: What the picture is to show.
        negative: What it is to stay away from; the empty prompt if not linked.
        cfg: How strongly prompts lead; 1 and below leaves the negative prompt out.
        threshold: How alike both answers have to be (the cosine of the angle between them) for the positive prompt to lead alone from there on; at 1 guidance never ends.
        """

    def AddGrain(
        self,
        *,
        image: Picture,
        strength: float = 0.08,
        size: float = 1.0,
        seed: int = 0,
        in_color: bool = False,
    ) -> Tensor:
        """Put film grain on pictures.

        image: Each of a batch gets grain of its own.
        strength: How strong it is in middle tones.
        size: Of the grains, in pixels.
        seed: Another one gives other grain.
        in_color: Coloured grain instead of grey.
        """

    def AddLatents(
        self,
        *,
        first: Latent,
        second: Latent,
        scale: float = 1.0,
    ) -> Latent:
        """Add a latent to another, times a number.

        first: That is added to.
        second: As large and of the same model.
        scale: What the second is multiplied by; -1 subtracts it.
        """

    def AddNegative(
        self,
        *,
        guider: Any,
        negative: Conditioning,
        scale: float = 1.0,
        perpendicular: bool = False,
        start: float = 0.0,
        end: float = 1.0,
    ) -> Any:
        """One more negative prompt, with a scale of its own.

        guider: What leads besides.
        negative: What the picture is to stay away from.
        scale: How strongly.
        perpendicular: Only away from what it doesn't share with the positive prompt (Perp-Neg).
        start: Part of the sampling in which it does, 0 to 1.
        end: Part of the sampling in which it does, 0 to 1.
        """

    def AddNoise(
        self,
        *,
        model: DiffusionModel,
        latent: Latent,
        timestep: int = 500,
        seed: int = 0,
    ) -> Latent:
        """Forward diffusion: a latent with the noise that it has at a training timestep.

        model: Whose noise schedule to follow.
        latent: Of a picture.
        timestep: 0 is nearly clean; the last, mostly 999, is nearly noise alone.
        seed: Of the noise of the first item; the next ones count up from it.
        """

    def AdjustCurves(
        self,
        *,
        image: Picture,
        points: str = '0,0 0.25,0.18 0.75,0.82 1,1',
        channel: Literal['all', 'red', 'green', 'blue'] = 'all',
    ) -> Tensor:
        """Bend tones by a smooth curve through points.

        image: Of any size.
        points: Old and new value of each, from 0 to 1, such as 0,0 0.5,0.6 1,1. The curve never overshoots them.
        channel: All alike, or one alone.
        """

    def AdjustExposure(
        self,
        *,
        image: Picture,
        stops: float = 0.0,
        gamma: float = 1.0,
    ) -> Tensor:
        """Expose pictures longer or shorter, and bend their middle tones by a gamma.

        image: Of any size.
        stops: Each doubles the light, below 0 each halves it.
        gamma: Above 1 brightens middle tones, below 1 darkens them; black and white stay.
        """

    def AdjustLevels(
        self,
        *,
        image: Picture,
        black: float = 0.0,
        white: float = 1.0,
        gamma: float = 1.0,
        output_black: float = 0.0,
        output_white: float = 1.0,
        channel: Literal['all', 'red', 'green', 'blue'] = 'all',
    ) -> Tensor:
        """Set which values become black and white, and bend those between.

        image: Of any size.
        black: This value and those below become black.
        white: This value and those above become white.
        gamma: Above 1 brightens middle tones, below 1 darkens them.
        output_black: What black comes out as.
        output_white: What white comes out as; below output_black it is a negative.
        channel: All alike, or one alone.
        """

    def AllPrompts(
        self,
        *,
        text: str,
        most: int = 1000,
        syntax: Literal['dynamic prompts', 'comfyui'] = 'dynamic prompts',
    ) -> list[str]:
        """List all prompts that RandomPrompt could draw; a node that is linked to it runs for each.

        text: What is drawn from, as of RandomPrompt; weights don't count, but for those of 0.
        most: More than so many are refused.
        syntax: As of RandomPrompt.
        """

    def AmplifyAudio(
        self,
        *,
        audio: Audio,
        decibels: float = 0.0,
        normalize: bool = False,
    ) -> Audio:
        """Make audio louder or softer.

        audio: What is to be changed.
        decibels: 6 doubles what samples are, -6 halves it.
        normalize: Bring the loudest sample to 1 first.
        """

    def ApplyControlNet(
        self,
        *,
        positive: Conditioning,
        negative: Conditioning | None = None,
        control_net: ControlNet,
        image: Picture,
        vae: Vae | None = None,
        mask: Picture | None = None,
        strength: float = 1.0,
        start: float = 0.0,
        end: float = 1.0,
        mode: _mode = 'none',
        guess: bool = False,
    ) -> _ApplyControlNet:
        """Let a picture lead beside the prompts: its edges, depth, pose, or what the network knows.

        Put several behind each other to be led by several pictures.

        positive: What the picture is to show.
        negative: What it is to stay away from. Where none is linked, the picture leads beside what stands in for it, too, and that is handed on.
        control_net: Of LoadControlNet; for models of the same family.
        image: As the network knows them, such as white edges on black: one, or one for each picture that is sampled. Another size than the latent's is scaled until it covers that, and cut off evenly; networks that see latents want the latent's very size.
        vae: Of the model, for networks that see latents: those of Stable Diffusion 3, Flux.1 and Qwen-Image.
        mask: Of networks that fill masked pictures: what is 1 is filled. As large as the picture.
        strength: How strongly it leads; 1 is as it was trained.
        start: Part of the sampling that it leads: steps that lie between the two whole.
        end: Part of the sampling that it leads: steps that lie between the two whole.
        mode: What kind of picture it is, for networks that know several (unions).
        guess: Lead the positive prompt alone, and that less in the first blocks of the model. For networks beside a UNet.
        """

    def ApplyIPAdapter(
        self,
        *,
        model: DiffusionModel,
        positive: Conditioning,
        negative: Conditioning | None = None,
        ip_adapter: Any,
        image: Picture,
        mask: Picture | None = None,
        weight: float = 1.0,
    ) -> _ApplyIPAdapter:
        """Let what pictures show lead beside the prompts, as if it were said.

        All prompts of a sampling go through it, together with the model. Put several behind each other
        for pictures that lead apart, each through all that was put before it.

        model: To be led.
        positive: What the picture is to show.
        negative: What it is to stay away from; no picture stands beside it. Where none is linked, what stands in for it is handed on.
        ip_adapter: Of LoadIPAdapter; for models of this kind.
        image: One picture, or several that lead together. Of each its middle square is seen, small.
        mask: Where they lead, one for all or one for each: from a half up. Not linked: everywhere.
        weight: How strongly; 1 is as it was trained, 0.5 leaves room for the prompt.
        """

    def ApplyLut(
        self,
        *,
        image: Picture,
        path: str,
        amount: float = 1.0,
    ) -> Tensor:
        """Grade colours by a look-up table from a file.

        image: Of any size; its values are taken as they are stored, in sRGB.
        path: A .cube file, 1D or 3D; relative paths start from the inputs folder.
        amount: How much of it; 0 leaves the picture.
        """

    def ApplyRedux(
        self,
        *,
        conditioning: Conditioning,
        redux: ImageEncoder,
        image: Picture,
        strength: float = 1.0,
    ) -> Conditioning:
        """Let prompts of Flux.1 go on with what Redux says of pictures.

        conditioning: The prompt; an empty one leaves it to the pictures.
        redux: Of LoadRedux.
        image: One or several; of each all is seen, small and square.
        strength: What it says is multiplied by this: less leaves more to the words.
        """

    def ApplyWeights(
        self,
        *,
        model: DiffusionModel,
        text_encoder: TextEncoder,
        weights: TrainedWeights,
        strength: float = 1.0,
    ) -> _ApplyWeights:
        """Put what was taught on a model, at any strength.

        model: Of the family that it was taught on.
        text_encoder: Of the same model; a learned word is put on it.
        weights: A LoRA, a whole model, or a word.
        strength: How strongly a LoRA applies; 1 is as it was taught.
        """

    def AreaConditioning(
        self,
        *,
        conditioning: Conditioning,
        x: float = 0.0,
        y: float = 0.0,
        width: float = 0.5,
        height: float = 1.0,
        unit: Literal['shares', 'pixels'] = 'shares',
        feather: float = 0.0,
        sampled: Literal['picture', 'area'] = 'picture',
    ) -> Conditioning:
        """Keep a prompt to a rectangle of the picture. CombineConditioning brings several together.

        Where no prompt applies, the empty one does. Of an area that a prompt has already, what lies in
        both is left.

        conditioning: The prompt.
        x: Where the rectangle begins, from the left.
        y: Where it begins, from above.
        width: Of the rectangle.
        height: Of the rectangle.
        unit: What all of these are in: shares of the picture's width and height, or pixels.
        feather: How far it fades in from its edges inside of the picture: a share of the picture's shorter side, or pixels; where the area is sampled alone always pixels.
        sampled: What the model is shown: the whole picture, or the area alone, in whole cells of the latent, as in ComfyUI; beside a control picture always the whole.
        """

    def AttentionBroadcast(
        self,
        *,
        model: DiffusionModel,
        own: int = 2,
        cross: int = 3,
        noisiest: float = 0.8,
        cleanest: float = 0.1,
    ) -> DiffusionModel:
        """Use attention's outputs for several steps (Pyramid Attention Broadcast, arXiv:2408.12588).

        For all models, UNets too. What is kept takes memory: the outputs of all attention layers.

        model: To be sped up.
        own: Calls that an output of self-attention is used for; 1 computes it at each.
        cross: The same of cross-attention, which changes less.
        noisiest: Outputs are used again from this part of the training timesteps on,
        cleanest: down to this one.
        """

    def AttentionMaps(
        self,
        *,
        model: DiffusionModel,
        encoder: TextEncoder,
        latent: Latent,
        text: str = '',
        levels: int = 4,
        scale: Literal['each word', 'all words'] = 'each word',
        seed: int = 0,
    ) -> _AttentionMaps:
        """Record where in a picture a UNet looks for each word of a prompt: its cross-attention.

        The picture gets noise at some levels, the model is asked about each, and attention is averaged
        over levels, layers and heads.

        model: Of Stable Diffusion 1, 2 or XL.
        encoder: Of the same model.
        latent: Of the picture: sampled, or of VAEEncode.
        text: The prompt.
        levels: How many noise levels it is asked at.
        scale: Whether the brightest place of each word is 1, or that of all words together.
        seed: Of the noise.
        """

    def AudioStatistics(
        self,
        *,
        audio: Audio,
    ) -> _AudioStatistics:
        """Tell how long, loud and high audio is: peak, LUFS, pitch and note, brightness.

        Peak is in decibels, 0 for a full sine; pitch is the median of all moments that have one, 0
        where none has; brightness is the spectral centroid in Hz.

        audio: One instrument or voice, for its pitch to say something.
        """

    def AugmentDataset(
        self,
        *,
        dataset: Dataset,
        flip: float = 0.5,
        crop: float = 1.0,
        rotate: float = 0.0,
        brightness: float = 0.0,
        contrast: float = 0.0,
        saturation: float = 0.0,
        hue: float = 0.0,
        seed: int = 0,
        flip_vertical: float = 0.0,
        shuffle_tags: bool = False,
        drop_caption: float = 0.0,
    ) -> Dataset:
        """Say what is changed at random in pictures to learn from, anew in each epoch.

        dataset: What it said before is replaced; its splits validation and test stay as they are.
        flip: Share of the pictures that are mirrored.
        crop: Smallest share of a picture that is cut out; 1 cuts nothing more.
        rotate: Degrees, at most, to either side.
        brightness: More or less of it, as a share, at most.
        contrast: The same of contrast.
        saturation: The same of colours.
        hue: Degrees, at most, to either side.
        seed: The same one gives the same changes.
        flip_vertical: Share of the pictures that are turned upside down, as in a mirror.
        shuffle_tags: Let tags change places, where they stand in for a caption.
        drop_caption: Share of the captions that are left out, which guidance needs.
        """

    def AutoContrast(
        self,
        *,
        image: Picture,
        method: Literal['stretch', 'stretch channels', 'equalize', 'local'] = 'stretch',
        cutoff: float = 0.005,
        limit: float = 3.0,
        tiles: int = 8,
    ) -> Tensor:
        """Use all tones from black to white.

        image: Of any size.
        method: Stretch keeps the colours, by channels it takes casts away; equalize makes all brightnesses as frequent, local does so place by place (CLAHE).
        cutoff: Of stretch: the share of pixels that may become black, and that may become white.
        limit: Of local: how far contrast may rise.
        tiles: Of local: places in each direction.
        """

    def AutoGuidance(
        self,
        *,
        guider: Any,
        weaker: DiffusionModel,
        scale: float = 1.0,
        start: float = 0.0,
        end: float = 1.0,
    ) -> Any:
        """Lead away from what a weaker model says: a smaller one, or one that was trained less.

        Both are in memory at once. With a BasicGuider, a scale of 1 is a guidance scale of 2.

        guider: What leads besides.
        weaker: Of the same family as the model, such as one with a LoRA less.
        scale: How strongly it leads.
        start: Part of the sampling in which it does, 0 to 1.
        end: Part of the sampling in which it does, 0 to 1.
        """

    def AverageConditioning(
        self,
        *,
        first: Conditioning,
        second: Conditioning,
        share: float = 0.5,
        method: Literal['linear', 'spherical'] = 'linear',
    ) -> Conditioning:
        """Blend two prompts into one between them: embeddings and pooled prompts are interpolated.

        Where they are of different lengths, the prompts of Stable Diffusion 1, 2 and XL are repeated
        up to one length, which says the same; zeros stand at the end of other models' shorter one.

        first: A prompt.
        second: Another.
        share: Of the second: 0 is the first alone, 1 the second alone.
        method: Straight from one to the other, or along the arc between each pair of vectors.
        """

    def BasicGuider(
        self,
        *,
        conditioning: Conditioning,
    ) -> Any:
        """One prompt alone, without guidance: for models that were distilled from it.

        conditioning: What the picture is to show.
        """

    def BasicSchedule(
        self,
        *,
        schedule: _schedule = 'karras',
        steps: int = 20,
        denoise: float = 1.0,
        denoise_steps: Literal['share', 'all'] = 'share',
        drop_last: bool = False,
    ) -> Any:
        """The noise levels of a name, as KSampler takes them.

        schedule: How they are laid, whatever the model's own are.
        steps: Of the whole schedule.
        denoise: Part of the schedule that is walked, from its end: int(steps × denoise) steps.
        denoise_steps: Where denoise is below 1, that share of the steps is walked; with all, all are, the last of int(steps / denoise), as in ComfyUI.
        drop_last: Lay one step more and leave the last level above 0 out, as ComfyUI's KSampler does with dpm_2, dpm_2_ancestral and uni_pc.
        """

    def BetaSchedule(
        self,
        *,
        steps: int = 20,
        alpha: float = 0.6,
        beta: float = 0.6,
    ) -> Any:
        """Noise levels at quantiles of a beta distribution over the model's timesteps.

        steps: How many.
        alpha: The lower, the denser they are at the clean end.
        beta: The lower, the denser they are at the noisy end.
        """

    def BlendImages(
        self,
        *,
        image: Picture,
        other: Picture,
        mode: _mode_ = 'normal',
        opacity: float = 0.5,
        mask: Picture | None = None,
    ) -> Tensor:
        """Lay a picture over another one by a blend mode.

        image: Below.
        other: Above; one of another size is scaled to it, and what is too much is cut off.
        mode: As in Photoshop and CSS.
        opacity: How much of the upper one shows.
        mask: 1 where it shows; all of it if left out.
        """

    def BlendLatents(
        self,
        *,
        first: Latent,
        second: Latent,
        share: float = 0.5,
        method: Literal['spherical', 'linear'] = 'spherical',
    ) -> Latent:
        """Mix two latents, such as of two pictures: then sample a little over it.

        first: Of a picture, or with noise left in it.
        second: As large and of the same model; of one of them a single one may go with a batch.
        share: Of the second: 0 is the first alone, 1 the second alone.
        method: Spherical goes along the arc between the two (slerp), which keeps the spread of noise and contrast; linear is the mean.
        """

    def BlurImage(
        self,
        *,
        image: Picture,
        radius: float = 4.0,
        kind: Literal['gaussian', 'box', 'motion', 'median', 'surface'] = 'gaussian',
        angle: float = 0.0,
        edge: float = 0.1,
    ) -> Tensor:
        """Blur pictures.

        image: Of any size.
        radius: In pixels; 0 leaves the picture. Of median and surface it counts up to 8.
        kind: Motion blurs along a line; median takes specks away; surface smooths and keeps edges.
        angle: Of motion, in degrees: 0 is level, 90 upright.
        edge: Of surface: differences that count as edges.
        """

    def Boolean(
        self,
        *,
        value: bool = True,
    ) -> bool:
        """True or false, for several inputs at once.

        value: Which of them.
        """

    def BrightnessContrast(
        self,
        *,
        image: Picture,
        brightness: float = 1.0,
        contrast: float = 1.0,
    ) -> Tensor:
        """Make pictures brighter or darker, harder or softer.

        image: Of any size.
        brightness: What values are multiplied by; 1 leaves them.
        contrast: How far they are spread about middle grey; 0 is grey alone, 1 leaves them.
        """

    def CFGGuider(
        self,
        *,
        positive: Conditioning,
        negative: Conditioning | None = None,
        cfg: float = 7.0,
        rescale: float = 0.0,
        start: float = 0.0,
        end: float = 1.0,
    ) -> Any:
        """Classifier-free guidance: away from one prompt, towards another.

        positive: What the picture is to show.
        negative: What it is to stay away from; the empty prompt if not linked.
        cfg: How strongly prompts lead; 1 and below leaves the negative prompt out.
        rescale: How far the guided answer is brought to the spread of the positive prompt's, which keeps strongly led pictures from glaring; 0.7 for models trained to zero SNR.
        start: Part of the sampling that is guided, 0 to 1; in the rest the positive prompt leads alone, which takes half the time.
        end: Part of the sampling that is guided, 0 to 1; in the rest the positive prompt leads alone, which takes half the time.
        """

    def Calculate(
        self,
        *,
        a: float,
        operation: Literal['+', '-', '*', '/', '%', 'min', 'max'] = '+',
        b: float = 0.0,
    ) -> float:
        """A sum, a product and so on of two numbers.

        a: What stands left of the sign.
        operation: The sign; % is the remainder, min and max the smaller and the greater.
        b: What stands right of it.
        """

    def CannyEdges(
        self,
        *,
        image: Picture,
        low: float = 0.045,
        high: float = 0.105,
    ) -> Tensor:
        """Find thin edges: white on black.

        The embedded edge ControlNet was trained on them, with the thresholds as they are here.

        image: Any.
        low: The weakest change per pixel that goes on with an edge; less finds more.
        high: The weakest change per pixel that begins an edge.
        """

    def ChangeCase(
        self,
        *,
        text: str,
        to: Literal['lower', 'upper', 'title', 'sentence', 'swapped'] = 'lower',
        trim: bool = False,
    ) -> str:
        """Write a text in small letters, in capitals, or with capitals where words or sentences begin.

        text: The text.
        to: How; sentence makes the first letter a capital and leaves the others.
        trim: Whether space at its ends is left out, and several spaces become one.
        """

    def ChangingGuidance(
        self,
        *,
        guider: Any,
        cfg: float = 1.0,
        law: Literal['linear', 'cosine', 'late', 'within'] = 'linear',
        start: float = 0.0,
        end: float = 1.0,
    ) -> Any:
        """Let the guidance scale go from the guider's to another one on the way.

        Steps in which it is 1 take half the time, as the positive prompt then leads alone.

        guider: What leads; its scale is that of the first step.
        cfg: The scale of the last step, smaller or larger.
        law: How it goes: evenly, gently at both ends, or mostly in the last steps. With within, it is the other one from start to end, and the guider's before and after.
        start: Part of the sampling in which it changes, 0 to 1.
        end: Part of the sampling in which it changes, 0 to 1.
        """

    def ChooseLine(
        self,
        *,
        lines: str,
        choice: str = '',
    ) -> _ChooseLine:
        """One of the lines of a text, and its number counted from 0.

        lines: What there is to choose from, one a line; space around it and empty lines don't count.
        choice: The line; empty for the first.
        """

    def ChromaticAberration(
        self,
        *,
        image: Picture,
        amount: float = 3.0,
    ) -> Tensor:
        """Give pictures the coloured fringes of a simple lens.

        image: Of any size.
        amount: Pixels that red is moved outwards at the corners, and blue inwards.
        """

    def ChunkList(
        self,
        *,
        items: list[Any] | Sequence[Any],
        size: int = 4,
    ) -> list[list[Any]]:
        """A list in parts: a list of lists, each of so many items and the last of what is left.

        Linked to a list input, such as that of ImageStrip, the node runs once for each part.

        items: The list.
        size: Items of a part.
        """

    def ClassifierGuidance(
        self,
        *,
        guider: Any,
        classifier: Any,
        label: str = '',
        background: str = '',
        scale: float = 3.0,
        start: float = 0.0,
        end: float = 1.0,
    ) -> Any:
        """Lead by the gradient of a classifier: towards pictures that it takes for what is wished.

        guider: What leads besides; with a BasicGuider of an empty prompt the classifier alone.
        classifier: Of LoadClassifier, trained on the noisy latents of the same model.
        label: Name of the object that is wished for, as the classifier has it; empty for any.
        background: Name of the background colour; empty for any.
        scale: How strongly it leads.
        start: Part of the sampling in which it does, 0 to 1.
        end: Part of the sampling in which it does, 0 to 1.
        """

    def ClassifyImages(
        self,
        *,
        image: Picture,
        classifier: TrainedWeights,
    ) -> _ClassifyImages:
        """Say which class each picture of a batch is of, by a classifier that was taught.

        image: Of any size.
        classifier: Of TrainClassifier.
        """

    def ClassifyLatents(
        self,
        *,
        latent: Sequence[Latent],
        classifier: Any,
    ) -> _ClassifyLatents:
        """Say what latents show, and on what background, without decoding them.

        latent: One or several, of batches of any size; without noise.
        classifier: Of LoadClassifier: tiny/guidance_classifier knows the things and the background colours of the model tiny.
        """

    def ClearNoiseMask(
        self,
        *,
        latent: Latent,
    ) -> Latent:
        """Let sampling change all of a latent again.

        latent: With or without a noise mask.
        """

    def ClipSkip(
        self,
        *,
        encoder: TextEncoder,
        skip: int = 2,
    ) -> TextEncoder:
        """Let prompts be taken from an earlier layer of CLIP, as some models were trained with.

        Counted as people do: 1 is the last layer, which Stable Diffusion 1 and 2 take by themselves,
        2 the one before it, which Stable Diffusion XL and 3 take (-1 and -2 in ComfyUI).

        encoder: Of such a model.
        skip: The layer that prompts are taken from, counted from the last.
        """

    def ColorBlocks(
        self,
        *,
        image: Picture,
        size: int = 32,
    ) -> Tensor:
        """Reduce a picture to squares of one colour each.

        image: Any.
        size: Of a square's side, in pixels.
        """

    def CombineConditioning(
        self,
        *,
        first: Conditioning,
        second: Conditioning,
        third: Conditioning | None = None,
        fourth: Conditioning | None = None,
    ) -> Conditioning:
        """Let several prompts lead: the model is asked for each, and its answers are averaged.

        What each counts for is said by StrengthConditioning, and where and when by AreaConditioning,
        MaskConditioning and SpanConditioning before this node.

        first: A prompt.
        second: Another.
        third: One more.
        fourth: And one more; for others put two of these nodes in a row.
        """

    def CombineMasks(
        self,
        *,
        first: Picture,
        second: Picture,
        how: _how = 'union',
        fit: Literal['stretch', 'place'] = 'stretch',
        x: int = 0,
        y: int = 0,
    ) -> Tensor:
        """Make one mask of two.

        first: Any.
        second: It is scaled to the first one's size, or placed on it.
        how: Union: in either; intersect: in both; subtract: the first without the second; xor: in one alone; multiply and add the values.
        fit: Stretch scales the second; place keeps its size, and the first one beside it.
        x: Where the second's upper left corner is placed, in pixels.
        y: Where the second's upper left corner is placed, in pixels.
        """

    def Compare(
        self,
        *,
        a: float,
        comparison: Literal['<', '<=', '==', '!=', '>=', '>'] = '<',
        b: float = 0.0,
    ) -> bool:
        """Whether one number is less than, equal to or greater than another.

        a: What stands left of the sign.
        comparison: The sign.
        b: What stands right of it.
        """

    def CompareAudio(
        self,
        *,
        audio: Audio,
        other: Audio,
    ) -> _CompareAudio:
        """Measure how far two pieces of audio are apart: spectrum, timbre, pitch, loudness.

        Log-spectral distance and mel-cepstral distortion are in decibels, 0 for the same audio; by how
        many cents and LU the other one is higher and louder; 0 cents where one has no pitch.

        audio: What it is measured against.
        other: Of the same rate; both are compared from their beginnings on.
        """

    def CompareDistributions(
        self,
        *,
        first: list[str] | Sequence[str],
        second: list[str] | Sequence[str],
        categories: list[str] | Sequence[str] | None = None,
        first_groups: list[str] | Sequence[str] | None = None,
        second_groups: list[str] | Sequence[str] | None = None,
        first_name: str = 'first',
        second_name: str = 'second',
        title: str = '',
        level: float = 0.95,
        seed: int = 0,
    ) -> _CompareDistributions:
        """Compare which labels two models or prompts give: differences with intervals, and a test.

        Pictures of one prompt are alike. Where there are several of each, link their prompts as groups:
        without, the test finds differences where there are none.

        first: Labels of the pictures of one model or prompt.
        second: Of the other; as many or not.
        categories: All labels there are.
        first_groups: What each picture of the first was made of, such as its prompt: the test then permutes groups whole, and intervals are of drawing groups anew. Not linked: pictures are taken for independent.
        second_groups: The same of the second; prompts that both have are compared with each other.
        first_name: What the first is called.
        second_name: What the second is called.
        title: Above the plots and the card.
        level: How sure intervals are: 0.95 misses one time in twenty.
        seed: Of the permutations that are drawn, and of the bootstrap.
        """

    def CompareImages(
        self,
        *,
        image: Picture,
        other: Picture,
    ) -> _CompareImages:
        """Measure how alike two pictures are: PSNR, SSIM, MS-SSIM, GMSD.

        PSNR is in decibels, 100 for equal pictures; SSIM and MS-SSIM are 1 for those; GMSD is 0, and
        goes by edges, as eyes do. Of a batch it is the mean.

        image: Any.
        other: As large; one for all, or as many.
        """

    def CompareSamplings(
        self,
        *,
        reference: DiffusionModel,
        model: DiffusionModel,
        text_encoder: TextEncoder,
        vae: Vae,
        second: DiffusionModel | None = None,
        third: DiffusionModel | None = None,
        classifier: TrainedWeights | None = None,
        prompts: str = 'a fox face\na red apple',
        names: str = '',
        pictures: int = 1,
        seed: int = 0,
        reference_steps: int = 20,
        reference_cfg: float = 4.0,
        reference_sampler: _reference_sampler = 'dpmpp_2m',
        reference_schedule: _schedule = 'karras',
        steps: int = 20,
        cfg: float = 4.0,
        sampler: _reference_sampler = 'dpmpp_2m',
        schedule: _schedule = 'karras',
        width: int = 0,
        height: int = 0,
    ) -> _CompareSamplings:
        """Measure how far models are from another one: same prompts, same seeds, as a table and plots.

        For a few-step student against its teacher, a model in few bits against itself, a step cache.

        reference: What the others are held against.
        model: Sampled as said below; its weights count in the memory that is told.
        text_encoder: Of all of them.
        vae: Of all of them.
        second: Another one, sampled as model.
        third: And another.
        classifier: Of TrainClassifier: says for how many pictures it sees what it sees in the reference's.
        prompts: One a line.
        names: What the models are called, the reference first; one a line.
        pictures: Of each prompt.
        seed: Of the first picture; the next ones count up from it.
        reference_steps: Of the reference.
        reference_cfg: Of the reference.
        reference_sampler: Of the reference.
        reference_schedule: Of the reference.
        steps: Of the others.
        cfg: Of the others.
        sampler: Of the others; lcm for students.
        schedule: Of the others; normal for students.
        width: In pixels; 0: as the models were trained on.
        height: In pixels; 0: as the models were trained on.
        """

    def CompareSets(
        self,
        *,
        reference: Sequence[Picture],
        made: Sequence[Picture],
        classifier: Any = None,
        vae: Vae | None = None,
        encoder: ImageEncoder | None = None,
        name: str = '',
        neighbours: int = 3,
        side: int = 128,
    ) -> _CompareSets:
        """Measure how a set of pictures is beside real ones: Fréchet distance, precision, recall.

        Take as many of each, a hundred at least, and compare the reference with other real pictures,
        too: that is as good as it gets.

        reference: Real pictures.
        made: Pictures of a model.
        classifier: By what it looks at pictures are compared; with the vae of its model.
        vae: Of the model that the classifier is for.
        encoder: Or by what this sees, such as CLIP's, which knows all kinds of pictures.
        name: Of the model, in the plot.
        neighbours: How far a picture's surroundings reach.
        side: Pixels of the squares that the classifier is shown.
        """

    def CompareTexts(
        self,
        *,
        text: str,
        how: _how_ = 'contains',
        other: str = '',
        ignore_case: bool = True,
    ) -> bool:
        """Whether a text is, contains, starts or ends with another one, or matches a pattern.

        text: The text.
        how: How they are compared; matches takes the other one as a regular expression.
        other: What it is compared with.
        ignore_case: Whether capitals count as small letters.
        """

    def CompositeImage(
        self,
        *,
        image: Picture,
        layer: Picture,
        mask: Picture | None = None,
        anchor: _anchor = 'top left',
        x: int = 0,
        y: int = 0,
        opacity: float = 1.0,
        mode: _mode_ = 'normal',
    ) -> Tensor:
        """Put a picture onto another one, at a place.

        image: Below; the result is as large.
        layer: What is put on it, as large as it is. Its alpha is heeded.
        mask: 1 where the layer shows, scaled to it; all of it if left out.
        anchor: Edge, corner or middle that it lies at.
        x: Pixels from there: from an edge inwards, from the middle to the right and down.
        y: Pixels from there: from an edge inwards, from the middle to the right and down.
        opacity: How much of it shows.
        mode: Blend mode, as in Photoshop and CSS.
        """

    def CompositeLatent(
        self,
        *,
        destination: Latent,
        source: Latent,
        x: int = 0,
        y: int = 0,
        feather: int = 0,
        mask: Picture | None = None,
    ) -> Latent:
        """Paste a latent into another. Where it isn't pasted, nothing changes.

        destination: What is pasted into; an empty one is all zeros.
        source: What is pasted; what lies beyond the destination is left out.
        x: Where its upper left corner comes, in pixels: whole cells, of 8 pixels mostly.
        y: Where its upper left corner comes, in pixels: whole cells, of 8 pixels mostly.
        feather: Pixels over which it fades at its edges, but where they are the destination's own.
        mask: 1 takes the source, 0 keeps the destination; it is scaled to the source's size.
        """

    def CompositeMasked(
        self,
        *,
        base: Picture,
        overlay: Picture,
        mask: Picture,
    ) -> Tensor:
        """Put one picture over another where a mask says; all else stays bit for bit.

        base: What is seen where the mask is 0.
        overlay: What is seen where the mask is 1; scaled to the base.
        mask: Scaled to the base.
        """

    def ConcatenateConditioning(
        self,
        *,
        first: Conditioning,
        second: Conditioning,
    ) -> Conditioning:
        """Put the tokens of a prompt after those of another: words of one colour the other's less.

        For models that read prompts of any length: Stable Diffusion 1 to 3, XL, Flux.1 and Chroma.

        first: Its pooled prompt and all else is kept.
        second: Its tokens come after.
        """

    def CropImage(
        self,
        *,
        image: Picture,
        width: int = 512,
        height: int = 512,
        anchor: _anchor = 'center',
        x: int = 0,
        y: int = 0,
    ) -> Tensor:
        """Cut a part out of pictures.

        image: Of any size; what lies outside of it isn't there.
        width: Of the part, in pixels; 0 is all from there.
        height: Of the part, in pixels; 0 is all from there.
        anchor: Where it lies.
        x: Pixels from there: from an edge inwards, from the middle to the right and down.
        y: Pixels from there: from an edge inwards, from the middle to the right and down.
        """

    def CropLatent(
        self,
        *,
        latent: Latent,
        x: int = 0,
        y: int = 0,
        width: int = 512,
        height: int = 512,
    ) -> Latent:
        """Keep a part of a latent.

        latent: Any, also an empty one; its noise mask comes along.
        x: Where the part begins, in pixels from the left and from the top: whole cells, of 8 pixels mostly.
        y: Where the part begins, in pixels from the left and from the top: whole cells, of 8 pixels mostly.
        width: Of the part, in pixels.
        height: Of the part, in pixels.
        """

    def CropToMask(
        self,
        *,
        image: Picture,
        mask: Picture,
        margin: int = 32,
        width: int = 0,
        height: int = 0,
        multiple_of: int = 8,
        empty: Literal['error', 'whole picture'] = 'error',
    ) -> _CropToMask:
        """Cut out the part of a picture that is masked, to work on it at full size.

        StitchCrop puts it back. A batch is cut at the place that holds all of its masks.

        image: Any.
        mask: What is to change; scaled to the picture.
        margin: Pixels around the mask, for the model to see what is there.
        width: What the part is scaled to: the size that the model likes. 0 follows from the mask; both 0 keep its pixels.
        height: What the part is scaled to: the size that the model likes. 0 follows from the mask; both 0 keep its pixels.
        multiple_of: What its sides are made multiples of.
        empty: What an empty mask is: an error, or the whole picture, to which StitchCrop then changes nothing.
        """

    def CrossLists(
        self,
        *,
        first: list[Any] | Sequence[Any],
        second: list[Any] | Sequence[Any],
    ) -> _CrossLists:
        """Every item of a list with every item of another: two lists of the same length.

        Linked to two inputs of a node, it runs for each pair. They come row by row: the first item of
        the first list with all of the second, then its next one.

        first: What changes slowly.
        second: What changes from pair to pair.
        """

    def CutLatentFrames(
        self,
        *,
        latent: Latent,
        start: int = 0,
        count: int = 0,
    ) -> Latent:
        """Keep some of the latent frames of a video, or layers of a picture in layers.

        The VAE makes several frames of most of them, such as Wan's four of each but the first.

        latent: Of a video; its noise mask comes along.
        start: The first that is kept, counted from 0; below 0 from the end, -1 being the last.
        count: How many at most; 0 is all from there.
        """

    def CutText(
        self,
        *,
        text: str = '',
        start: int = 0,
        end: int | None = None,
    ) -> str:
        """A part of a text, by the places of its letters.

        text: The text.
        start: Its first letter, counted from 0; below 0 from the end, -1 being the last.
        end: The letter after its last, counted likewise; left out, all up to the end.
        """

    def DatasetFromImages(
        self,
        *,
        images: Sequence[Picture],
        captions: list[str] | Sequence[str] | None = None,
        labels: list[str] | Sequence[str] | None = None,
        masks: Sequence[Picture] | None = None,
        boxes: bool = False,
        name: str = '',
    ) -> Dataset:
        """Make a dataset of pictures that the workflow made.

        images: Of any sizes; each picture of a batch is an example.
        captions: One a picture, or one for all.
        labels: Classes, one a picture, or one for all.
        masks: Where the thing is in each picture.
        boxes: Put a box around each mask, with the picture's label.
        name: Of the dataset.
        """

    def DatasetImages(
        self,
        *,
        dataset: Dataset,
        resized: bool = False,
        epoch: int = -1,
    ) -> _DatasetImages:
        """Take a dataset apart into lists, such as for a language model to write captions.

        dataset: All of its pictures are brought into memory.
        resized: At the sizes that they are learned from.
        epoch: From 0: with what is changed at random in that epoch.
        """

    def DatasetReport(
        self,
        *,
        dataset: Dataset,
        by: Literal['label', 'tag', 'split', 'size', 'box label'] = 'label',
    ) -> _DatasetReport:
        """Count a dataset's examples, and tell how evenly they are spread.

        dataset: What is counted through.
        by: What is counted; sizes are those that pictures are learned from.
        """

    def DatasetSheet(
        self,
        *,
        dataset: Dataset,
        count: int = 16,
        columns: int = 0,
        size: int = 128,
        below: _below = 'caption',
        parts: bool = True,
        epoch: int = -1,
    ) -> Tensor:
        """Show a dataset's first pictures in one, with captions, boxes and masks.

        dataset: What is shown.
        count: How many.
        columns: Pictures in a row; 0 makes about a square.
        size: Longer side of each in pixels.
        below: What stands under each.
        parts: Draw boxes, and darken what masks leave out.
        epoch: From 0: as they are learned from in that epoch; -1: as they are kept.
        """

    def DecodeMolecules(
        self,
        *,
        latent: Sequence[Latent],
        invalid: Literal['leave out', 'refuse'] = 'leave out',
        distinct: bool = False,
        conformers: int = 0,
        seed: int = 0,
    ) -> _DecodeMolecules:
        """Read the molecules from latents that a model of molecules has sampled; nothing is mended.

        latent: One or several, of a KSampler with a model such as tiny/molecules.
        invalid: Whether those are left out that are no molecules (an atom with too many bonds, or several pieces), or the first of them is an error.
        distinct: Keep one of several that are the same molecule.
        conformers: How many ways to lay each in space, with its hydrogens; 0 leaves out where atoms are. Those for which there is no such way are left out, too.
        seed: Of how they are laid.
        """

    def DecodeMotion(
        self,
        *,
        latent: Sequence[Latent],
        vae: Vae,
    ) -> list[Video]:
        """Make videos of latents that a model of pictures in motion has sampled: one of each.

        They have 16 frames of 64 x 64 pixels, 8 a second.

        latent: One or several, of a KSampler with a model such as tiny/motions.
        vae: Of the model tiny.
        """

    def DecodeShapes(
        self,
        *,
        latent: Sequence[Latent],
        smooth: float = 0.7,
        largest: bool = True,
    ) -> list[Mesh]:
        """Meshes of shapes that were sampled, each closed and in its colour.

        latent: One or several, of a KSampler with a model such as tiny/shapes.
        smooth: Cells of the 32 a side over which surfaces are evened, as models leave seams; 0 for none.
        largest: Leave crumbs beside the largest piece out.
        """

    def DecodeSound(
        self,
        *,
        latent: Sequence[Latent],
        rounds: int = 32,
        seed: int = 0,
    ) -> list[Audio]:
        """Make sounds of latents that a model of sounds has sampled: one of each.

        latent: One or several, of a KSampler with a model such as tiny/sounds.
        rounds: How often phases are fitted to the spectrogram (Griffin-Lim); few sound hoarse.
        seed: Of the phases that it begins with.
        """

    def DenoisingSteps(
        self,
        *,
        model: DiffusionModel,
        positive: Conditioning,
        negative: Conditioning | None = None,
        latent: Latent,
        seed: int = 0,
        steps: int = 20,
        cfg: float = 7.0,
        sampler: _reference_sampler = 'dpmpp_2m',
        schedule: _schedule = 'karras',
        denoise: float = 1.0,
        denoise_steps: Literal['share', 'all'] = 'share',
        draw: Literal['per item', 'per batch', 'per batch, one seed'] = 'per item',
        convention: Literal['diffusers', 'comfyui'] = 'diffusers',
    ) -> list[Latent]:
        """What the model takes the finished latent to be, after each step of a sampling.

        The inputs are those of KSampler, which walks the same steps.

        model: What removes the noise.
        positive: What the picture is to show.
        negative: What it is to stay away from; the empty prompt if not linked.
        latent: Empty for a picture from noise alone, or the picture to start from.
        seed: Of the noise of the first item; the next ones count up from it.
        steps: Of the whole schedule.
        cfg: How strongly prompts lead; 1 and below leaves the negative prompt out.
        sampler: The method.
        schedule: The noise levels it walks down. simple, sgm_uniform and beta are ComfyUI's, the others diffusers'; normal is what the model's scheduler file says.
        denoise: Below 1 a part of the latent is kept: int(steps × denoise) steps are walked.
        denoise_steps: Where denoise is below 1, that share of the steps is walked; with all, all are, the last of int(steps / denoise), as in ComfyUI.
        draw: Noise for each item from a seed of its own; or for the batch in one draw from seed, and what is drawn on the way from seed + 1, as in ComfyUI, or with one seed from that itself, as in older versions of it.
        convention: How levels are laid, begun at and asked for, what a mask keeps, and parts of the sampling are told; docs/comfyui.md has what ComfyUI does.
        """

    def DetectThings(
        self,
        *,
        model: Any,
        image: Picture,
        labels: str = '',
        threshold: float = 0.5,
        most: int = 100,
        unit: Literal['shares', 'pixels'] = 'shares',
    ) -> _DetectThings:
        """Find boxes round things of classes that a model knows, such as people.

        The boxes go to SegmentAnything, EstimatePose or MaskFromBoxes.

        model: Of LoadVisionModel: RT-DETR, D-FINE or YOLOS.
        image: Of a batch, boxes and number are those of the first picture; masks are of each.
        labels: Names of classes, with commas between them; empty for all that it knows.
        threshold: How sure it is to be of each.
        most: Boxes in a picture, the surest first.
        unit: What boxes are told in: shares of the picture's sides, 0 to 1, or pixels.
        """

    def Distill(
        self,
        *,
        model: DiffusionModel,
        text_encoder: TextEncoder,
        vae: Vae,
        dataset: Dataset | None = None,
        prompts: str = '',
        pictures: int = 4,
        kind: Literal['trajectory', 'consistency'] = 'trajectory',
        cfg: float = 4.0,
        negative: str = '',
        steps: int = 500,
        batch: int = 4,
        learning_rate: float = 0.0001,
        rank: int = 16,
        layers: Literal['attention', 'attention and feed-forward', 'all'] = 'all',
        teacher_steps: int = 0,
        huber: float = 0.03,
        seed: int = 0,
        options: Any = None,
        samples: Any = None,
    ) -> _Distill:
        """Teach a model to paint in few steps and without guidance, as a LoRA, by itself as teacher.

        Sample what comes out in 2 to 8 steps, by the sampler lcm with the schedule normal and cfg 1.

        model: What learns, and its teacher; its own weights stay as they are.
        text_encoder: What reads the prompts; of the same model.
        vae: What encodes the pictures; of the same model.
        dataset: Pictures with captions: what it is to paint later. If not linked, the model paints them itself from the prompts.
        prompts: One a line, where there is no dataset.
        pictures: Painted of each prompt.
        kind: trajectory: it learns where the teacher's guided way ends. consistency: it learns to say the same at two neighbouring places of that way (LCM): a step is cheaper, and it takes far more of them.
        cfg: Guidance of the teacher, which is built in.
        negative: What the teacher is led away from; the empty prompt if empty.
        steps: Changes of the weights.
        batch: Pictures for each of them.
        learning_rate: How large they are; 1e-4 for large models, up to 2e-3 for small ones.
        rank: How much the LoRA can hold; 64 is usual for large models.
        layers: Where it is put.
        teacher_steps: Of the teacher to the end, from wherever it begins; with consistency from noise to picture, of which it walks one. 0: 4, with consistency 50.
        huber: Where the loss turns from squared to absolute; 0.001 in LCM's scripts.
        seed: Of all that is drawn.
        options: More of it: TrainingSettings.
        samples: Pictures to watch meanwhile: WatchTraining, with few steps and cfg 1.
        """

    def DistilledGuider(
        self,
        *,
        positive: Conditioning,
        negative: Conditioning | None = None,
        guidance: float = 3.5,
        cfg: float = 1.0,
    ) -> Any:
        """The scale for models that take it as an input, such as Flux.1-dev and LCM.

        positive: What the picture is to show.
        negative: What it is to stay away from; the empty prompt if not linked.
        guidance: What the model is told: how strongly the prompt leads.
        cfg: True guidance on top of it, which takes twice the time; 1 and below is none, and leaves the negative prompt out.
        """

    def DominantColors(
        self,
        *,
        image: Picture,
        count: int = 5,
        width: int = 256,
        height: int = 64,
    ) -> _DominantColors:
        """Find the colours that a picture is mostly of.

        image: Of a batch the first; what is transparent doesn't count.
        count: How many, the most frequent first.
        width: Of the picture of them, each as wide as its share.
        height: Of the picture of them, each as wide as its share.
        """

    def DrawAudio(
        self,
        *,
        audio: Audio,
        width: int = 1024,
        height: int = 256,
    ) -> Tensor:
        """Draw the waveform of audio.

        audio: Its channels are drawn below each other.
        width: In pixels.
        height: In pixels.
        """

    def DrawBoxes(
        self,
        *,
        image: Picture,
        boxes: str = '[[0.25, 0.25, 0.5, 0.5]]',
        labels: str = '',
        unit: Literal['shares', 'pixels'] = 'shares',
        color: str = 'red',
        line: float = 3.0,
        size: float = 16.0,
    ) -> Tensor:
        """Draw boxes that are written as text, such as a detector's, and what they are of.

        image: Each of a batch gets the same boxes.
        boxes: As [[x, y, width, height], ...], or four numbers a line; empty for none.
        labels: What the boxes are of, one a line in their order; empty for none.
        unit: Shares of the picture's sides, 0 to 1, or pixels.
        color: One that isn't opaque lets the picture through.
        line: Pixels of the boxes' lines; 0 fills them.
        size: Height of the labels' letters, in pixels.
        """

    def DrawHeat(
        self,
        *,
        image: Picture,
        mask: Picture,
        opacity: float = 0.65,
    ) -> Tensor:
        """Draw a mask over a grey picture as heat: dark where it is 0, bright yellow where it is 1.

        image: What is below.
        mask: Such as of AttentionMaps; scaled to the picture.
        opacity: How much of the heat shows.
        """

    def DrawLatent(
        self,
        *,
        latent: Latent,
        shown: Literal['colors', 'channels'] = 'colors',
    ) -> Tensor:
        """Show the cells of a latent as they are, without decoding it.

        latent: Of pictures; of videos the frame in the middle is shown.
        shown: Its colours, as far as they are known of its format; or its channels one by one in a grid, black to white over three standard deviations on both sides of their means.
        """

    def DrawMesh(
        self,
        *,
        mesh: Mesh | PointCloud,
        size: int = 512,
        angle: float = 30.0,
        elevation: float = 20.0,
    ) -> Tensor:
        """Draw a mesh or points from one side.

        mesh: What is drawn, so large that it fits.
        size: Of the square picture, in pixels.
        angle: Degrees by which it is turned.
        elevation: Degrees from which it is seen from above.
        """

    def DrawMolecule(
        self,
        *,
        molecule: Molecule,
        width: int = 512,
        height: int = 512,
    ) -> Tensor:
        """Draw a molecule: its structure in the plane, or of a large one its atoms in space.

        molecule: Above 300 atoms, a cloud of them is drawn, as wide as high.
        width: In pixels.
        height: In pixels.
        """

    def DrawPlot(
        self,
        *,
        plot: Plot,
        width: int = 640,
        height: int = 400,
    ) -> Tensor:
        """Draw a plot as a picture.

        plot: What is drawn; long series are thinned, their extremes kept.
        width: In pixels.
        height: In pixels.
        """

    def DrawShape(
        self,
        *,
        image: Picture,
        shape: Literal['rectangle', 'ellipse', 'line'] = 'rectangle',
        x: float = 16.0,
        y: float = 16.0,
        width: float = 64.0,
        height: float = 64.0,
        color: str = 'red',
        line: float = 3.0,
        radius: float = 0.0,
    ) -> Tensor:
        """Draw a box, an ellipse or a line on pictures.

        image: Of any size.
        shape: A line goes from the corner at x, y to the one across.
        x: Left and top, in pixels.
        y: Left and top, in pixels.
        width: In pixels; those of a line may be below 0.
        height: In pixels; those of a line may be below 0.
        color: One that isn't opaque lets the picture through.
        line: Pixels of its line; 0 fills it.
        radius: Of a rectangle's round corners, in pixels.
        """

    def DrawSpectrogram(
        self,
        *,
        audio: Audio,
        width: int = 1024,
        height: int = 256,
        decibels: float = 60.0,
    ) -> Tensor:
        """Draw which frequencies audio has over time, low ones at the bottom, as ears space them.

        audio: Its channels are drawn below each other.
        width: In pixels.
        height: In pixels.
        decibels: How far below a full sine it is drawn as silence.
        """

    def DrawText(
        self,
        *,
        image: Picture,
        text: str = 'nodegraph',
        size: float = 32.0,
        color: str = 'white',
        anchor: _anchor = 'bottom',
        x: int = 0,
        y: int = 8,
        outline: str = 'black',
        outline_width: int = 2,
        background: str = '',
        margin: int = 4,
        align: Literal['left', 'center', 'right'] = 'center',
        line_spacing: float = 1.2,
        wrap: bool = True,
        font: str = '',
    ) -> Tensor:
        """Write words on pictures.

        image: Each of a batch gets the same words.
        text: One or several lines.
        size: Height of the letters, in pixels.
        color: Of the letters; one that isn't opaque lets the picture through.
        anchor: Edge, corner or middle that the text lies at.
        x: Pixels from there: from an edge inwards, from the middle to the right and down.
        y: Pixels from there: from an edge inwards, from the middle to the right and down.
        outline: Colour of the line around letters.
        outline_width: Its pixels.
        background: Colour of a box behind the text; empty for none.
        margin: Pixels around the text in its box.
        align: Of several lines.
        line_spacing: Height of lines, as a share of the size.
        wrap: Break lines that are longer than the picture is wide.
        font: A .ttf or .otf file; empty for the one that comes along.
        """

    def DreamBooth(
        self,
        *,
        model: DiffusionModel,
        text_encoder: TextEncoder,
        vae: Vae,
        dataset: Dataset,
        prompt: str = 'a photo of sks dog',
        class_prompt: str = 'a photo of a dog',
        class_pictures: int = 50,
        steps: int = 400,
        batch: int = 2,
        learning_rate: float = 0.0001,
        rank: int = 16,
        layers: Literal['attention', 'attention and feed-forward', 'all'] = 'attention and feed-forward',
        seed: int = 0,
        options: Any = None,
        samples: Any = None,
    ) -> _DreamBooth:
        """Teach a model a subject from a few pictures of it, as a LoRA, and let it keep its class.

        The model first paints pictures of the class, and learns beside the subject to paint them still
        (prior preservation). Their weight is `kept_weight` of TrainingSettings.

        model: What learns; its own weights stay as they are.
        text_encoder: What reads the prompts; of the same model.
        vae: What encodes the pictures; of the same model.
        dataset: Pictures of the subject; their captions aren't heeded.
        prompt: Stands for the subject: its class with a rare word before it.
        class_prompt: Stands for the class.
        class_pictures: So many are painted; 0 for none: then the class becomes the subject.
        steps: Changes of the weights.
        batch: Pictures of the subject for each of them; as many are of the class.
        learning_rate: How large they are.
        rank: How much the LoRA can hold.
        layers: Where it is put.
        seed: Of all that is drawn.
        options: More of it: TrainingSettings.
        samples: Pictures to watch meanwhile: WatchTraining.
        """

    def DualCFGGuider(
        self,
        *,
        positive: Conditioning,
        second: Conditioning,
        negative: Conditioning | None = None,
        cfg: float = 7.0,
        second_cfg: float = 1.5,
    ) -> Any:
        """Two ways of guidance: from the negative prompt to a second one, and on to the positive.

        positive: What the picture is to show.
        second: Half way to it, such as the picture to be edited without the instruction.
        negative: What both stay away from; the empty prompt if not linked.
        cfg: How strongly the positive prompt leads away from the second.
        second_cfg: How strongly the second leads away from the negative one.
        """

    def EditCaptions(
        self,
        *,
        dataset: Dataset,
        template: str = '{caption}',
        find: str = '',
        replacement: str = '',
        is_pattern: bool = False,
        tags: Literal['keep', 'from captions'] = 'keep',
    ) -> Dataset:
        """Write captions anew: with a trigger word before them, from tags or labels, words replaced.

        dataset: Its captions; in files they stay as they are.
        template: What each caption becomes; {caption}, {tags}, {label} and {name} are filled in, as in sks style, {caption}.
        find: A text in what came of that.
        replacement: What is put in its place.
        is_pattern: It is a regular expression.
        tags: Also make tags of captions that are lists with commas.
        """

    def EmbossImage(
        self,
        *,
        image: Picture,
        strength: float = 1.0,
        angle: float = 135.0,
    ) -> Tensor:
        """Turn pictures into reliefs.

        image: Of any size.
        strength: How high they are.
        angle: Degrees from which light falls: 0 is from the right, 90 from above.
        """

    def EmptyImage(
        self,
        *,
        width: int = 512,
        height: int = 512,
        color: str = 'black',
        batch: int = 1,
    ) -> Tensor:
        """Make pictures of one colour.

        width: In pixels.
        height: In pixels.
        color: One that isn't opaque, such as #00000000, gives pictures alpha.
        batch: How many.
        """

    def EmptyItems(
        self,
        *,
        model: DiffusionModel,
        batch_size: int = 16,
    ) -> Latent:
        """So many things that are no pictures, to be made of noise: molecules, sounds, shapes, clips.

        model: That is to make them, such as tiny/molecules; it says how large their latents are.
        batch_size: How many.
        """

    def EmptyLatent(
        self,
        *,
        width: int = 512,
        height: int = 512,
        batch_size: int = 1,
        multiple_of: int = 1,
    ) -> Latent:
        """The size of pictures that are to be made from noise alone.

        It takes the shape of a model's latents once that model samples it.

        width: In pixels.
        height: In pixels.
        batch_size: How many pictures.
        multiple_of: What sides are made multiples of, the next smaller one; for linked sizes.
        """

    def EmptyVideoLatent(
        self,
        *,
        width: int = 832,
        height: int = 480,
        frames: int = 81,
        batch_size: int = 1,
    ) -> Latent:
        """The size of videos that are to be made from noise alone.

        It takes the shape of a model's latents once that model samples it.

        width: In pixels; Wan 2.2 5B and LTX-Video take multiples of 32.
        height: In pixels; Wan 2.2 5B and LTX-Video take multiples of 32.
        frames: Of each video: a multiple of 4 and one more for Wan, of 8 and one more for LTX-Video.
        batch_size: How many videos.
        """

    def EncodeEditPrompt(
        self,
        *,
        encoder: TextEncoder,
        images: Sequence[Picture],
        text: str = '',
    ) -> Conditioning:
        """Turn what is to be made of pictures into what leads a model that edits.

        The encoder of such a model sees the pictures beside the words. The model itself sees them
        through ReferenceLatents. A negative prompt is made of the same pictures.

        encoder: Of Qwen-Image-Edit, which looks at one picture, or Edit Plus.
        images: What it looks at; a batch counts as that many pictures.
        text: What to make of them.
        """

    def EncodePrompt(
        self,
        *,
        encoder: TextEncoder,
        text: str = '',
        syntax: Literal['auto', 'on', 'off', 'comfyui'] = 'auto',
    ) -> Conditioning:
        """Turn a prompt into what leads a model.

        (words:1.3) weighs words more, (words) is 1.1 times, [words] divides by 1.1. [from:to:0.5]
        changes words after half of the steps, [from:to:8] after eight; [to:0.5] has nothing before and
        [from::0.5] nothing after. [one|two] takes turns at each step. one AND two :0.5 lets two prompts
        lead. BREAK begins the next part of a long prompt. \\( \\[ \\: \\| are plain characters. A prompt
        longer than the encoder takes at once is encoded in parts. docs/prompts.md tells more.

        encoder: Of the model that is to be led.
        text: What the picture is to show.
        syntax: Whether such markup is read: by auto in models that weigh words (Stable Diffusion 1 and 2, XL); others are given the text as it is. With on they read all but weights and BREAK; with off nobody reads any. With comfyui it means what it does there: (words:1.3) is 1.3 in any brackets, (words) 1.1 times, and all else is text.
        """

    def EncodePromptApart(
        self,
        *,
        encoder: TextEncoder,
        text: str = '',
        clip_l: str | None = None,
        clip_g: str | None = None,
        t5: str | None = None,
        llama: str | None = None,
        syntax: Literal['auto', 'on', 'off', 'comfyui'] = 'auto',
    ) -> Conditioning:
        """Turn a prompt into what leads a model, with a text of its own for each text encoder.

        Stable Diffusion XL has clip_l and clip_g, Stable Diffusion 3 clip_l, clip_g and t5, Flux.1
        clip_l and t5, HiDream all four.

        encoder: Of the model that is to be led.
        text: What all those encoders read that are given nothing else.
        clip_l: For CLIP-L, the first.
        clip_g: For CLIP-G, whose pooled prompt leads Stable Diffusion XL, too.
        t5: For T5, which reads sentences best.
        llama: For Llama 3.
        syntax: As for EncodePrompt, but for AND.
        """

    def EstimateDepth(
        self,
        *,
        model: Any,
        image: Picture,
    ) -> Tensor:
        """Tell how near things are: the nearest white, the furthest black.

        model: Of LoadVisionModel: Depth Anything, DPT or GLPN.
        image: Any; each of a batch has its own nearest and furthest.
        """

    def EstimatePose(
        self,
        *,
        model: Any,
        image: Picture,
        boxes: str = '',
        unit: Literal['shares', 'pixels'] = 'shares',
        threshold: float = 0.3,
        thickness: float = 1.0,
    ) -> Tensor:
        """Draw people's skeletons on black, for a ControlNet for poses.

        model: Of LoadVisionModel: ViTPose.
        image: Any; the boxes are the same in all of a batch.
        boxes: x, y, width and height of a box round each person; empty for one person in all of the picture.
        unit: Shares of the picture's sides, 0 to 1, or pixels.
        threshold: How sure the model is to be of a joint that is drawn.
        thickness: Of limbs; 1 is what control networks were trained on, at 512 pixels.
        """

    def ExponentialSchedule(
        self,
        *,
        steps: int = 20,
        sigma_max: float | None = None,
        sigma_min: float | None = None,
    ) -> Any:
        """Noise levels evenly spaced in log sigma.

        steps: How many.
        sigma_max: The greatest and the least; the model's own if left out.
        sigma_min: The greatest and the least; the model's own if left out.
        """

    def FadeMaskBorders(
        self,
        *,
        mask: Picture,
        left: int = 0,
        top: int = 0,
        right: int = 0,
        bottom: int = 0,
    ) -> Tensor:
        """Let a mask fall evenly towards the borders of its picture, such as to blend what is pasted.

        mask: Any.
        left: Pixels over which it falls; 0 leaves that side as it is.
        top: Pixels over which it falls; 0 leaves that side as it is.
        right: Pixels over which it falls; 0 leaves that side as it is.
        bottom: Pixels over which it falls; 0 leaves that side as it is.
        """

    def FeatherMask(
        self,
        *,
        mask: Picture,
        radius: float = 8.0,
        method: Literal['gaussian', 'linear'] = 'gaussian',
        side: Literal['both', 'inward', 'outward'] = 'both',
    ) -> Tensor:
        """Make a mask's edges soft.

        mask: Any.
        radius: Pixels that it fades over, to each side.
        method: Gaussian blurs it, with half the radius as deviation; linear fades evenly with the distance from the edge.
        side: Inward stays inside the mask, so that nothing outside it changes; outward keeps all of it.
        """

    def FillMaskHoles(
        self,
        *,
        mask: Picture,
        most: int = 0,
    ) -> Tensor:
        """Mask what is enclosed by a mask.

        mask: Counts as masked from a half up.
        most: Pixels of the largest hole that is filled; 0 fills all.
        """

    def FilterDataset(
        self,
        *,
        dataset: Dataset,
        split: Literal['any', 'train', 'validation', 'test'] = 'any',
        labels: str = '',
        tags: str = '',
        caption: str = '',
        min_side: int = 0,
        max_side: int = 0,
        max_aspect: float = 0.0,
    ) -> _FilterDataset:
        """Sort out a dataset's examples by split, label, tag, caption or size.

        dataset: All of the examples.
        split: Theirs.
        labels: One of these, with commas between; cat* fits cats, too.
        tags: All of these, with commas between, as tags or as words of the caption.
        caption: A text in the caption.
        min_side: Pixels of the shorter side, at least.
        max_side: Pixels of the longer side, at most; 0 is any.
        max_aspect: The longer side in shorter ones, at most; 0 is any.
        """

    def FilterMolecules(
        self,
        *,
        molecules: Sequence[Molecule],
        contains: str = '',
        without: str = '',
        property: Literal['logp', 'qed', 'rings', 'atoms', 'mass'] = 'logp',
        low: float | None = None,
        high: float | None = None,
    ) -> list[Molecule]:
        """Keep the molecules of a list that have a pattern, lack one, or have a property in a range.

        molecules: What is chosen from.
        contains: SMARTS pattern that must be there, such as c1ccccc1; empty for any.
        without: SMARTS pattern that must not be there, such as [F,Cl]; empty for none.
        property: Which is looked at.
        low: Its least value.
        high: Its largest value.
        """

    def FindEdges(
        self,
        *,
        image: Picture,
        strength: float = 1.0,
    ) -> Tensor:
        """Show where pictures change: bright edges on black.

        image: Of any size; each channel has edges of its own.
        strength: What they are multiplied by.
        """

    def FindText(
        self,
        *,
        text: str,
        pattern: str,
        group: int = 0,
        ignore_case: bool = False,
        most: int = 0,
    ) -> list[str]:
        """Find all parts of a text that a pattern (a regular expression) matches.

        text: The text.
        pattern: Such as [0-9]+ for numbers.
        group: Of each match, what stands within its so many brackets; 0 is the whole.
        ignore_case: Whether capitals count as small letters.
        most: How many are found, from the first on; 0 for all.
        """

    def FineTune(
        self,
        *,
        model: DiffusionModel,
        text_encoder: TextEncoder,
        vae: Vae,
        dataset: Dataset,
        kept: Dataset | None = None,
        steps: int = 500,
        batch: int = 4,
        learning_rate: float = 1e-05,
        seed: int = 0,
        options: Any = None,
        samples: Any = None,
    ) -> _FineTune:
        """Teach all weights of a model: for small models, or much data. A LoRA takes far less memory.

        model: What learns: a copy of it, in float32.
        text_encoder: What reads the captions; of the same model.
        vae: What encodes the pictures; of the same model.
        dataset: Pictures with captions.
        kept: Pictures that are to look as they do now; see TrainLoRA.
        steps: Changes of the weights.
        batch: Pictures for each of them.
        learning_rate: How large they are; 1e-6 to 1e-5 for large models.
        seed: Of all that is drawn.
        options: More of it: TrainingSettings.
        samples: Pictures to watch meanwhile: WatchTraining.
        """

    def FirstBlockCache(
        self,
        *,
        model: DiffusionModel,
        threshold: float = 0.1,
    ) -> DiffusionModel:
        """Leave out a step's blocks where the first one does nearly what it did at the step before.

        What the others added then is added again (ParaAttention's first-block cache, by the hooks of
        diffusers). For transformers; which ones, docs/speed.md says.

        model: To be sped up.
        threshold: Relative change of what the first block adds, above which all are computed. 0 computes all; 0.05 to 0.15 is usual.
        """

    def FlattenImage(
        self,
        *,
        image: Picture,
        color: str = 'white',
    ) -> Tensor:
        """Put transparent pictures onto a colour.

        image: One without alpha stays as it is.
        color: What shows through.
        """

    def FlipImage(
        self,
        *,
        image: Picture,
        axis: Literal['horizontal', 'vertical', 'both'] = 'horizontal',
    ) -> Tensor:
        """Mirror pictures.

        image: Of any size.
        axis: Horizontal exchanges left and right, vertical top and bottom.
        """

    def FlipLatent(
        self,
        *,
        latent: Latent,
        axis: Literal['horizontal', 'vertical'] = 'horizontal',
    ) -> Latent:
        """Mirror a latent.

        What it decodes to is the mirrored picture about; sample a little over it.

        latent: Any, also an empty one; its noise mask comes along.
        axis: Horizontal swaps left and right, vertical top and bottom.
        """

    def FlipSchedule(
        self,
        *,
        schedule: Any,
    ) -> Any:
        """The same noise levels in the other order: from a picture to its noise, with euler.

        schedule: What is turned round; turned round twice it is as it was.
        """

    def Flux2Schedule(
        self,
        *,
        steps: int = 20,
        width: int = 1024,
        height: int = 1024,
    ) -> Any:
        """The noise levels that Flux.2 takes for a size and a number of steps.

        steps: How many.
        width: Of the picture, in pixels.
        height: Of the picture, in pixels.
        """

    def Fold(
        self,
        *,
        items: list[Any] | Sequence[Any],
        initial: Any,
        body: Any,
        **inputs: Any,
    ) -> _Fold:
        """Run a subgraph for each item of a list, each time on what it gave for the one before.

        The subgraph takes what is `accumulated` so far, an `item`, and if it likes its number as
        `index`; it gives what is `accumulated` then. Its other inputs are inputs of this node. The
        outputs are what is accumulated in the end, and after each item.

        items: What to go through.
        initial: What is accumulated before the first item.
        body: Name of the subgraph.
        """

    def ForEach(
        self,
        *,
        items: list[Any] | Sequence[Any],
        body: Any,
        **inputs: Any,
    ) -> list[Any]:
        """Run a subgraph once for each item of a list.

        The subgraph takes an `item`, and if it likes its number as `index`, and gives a `result`. Its
        other inputs are inputs of this node. Each run is cached by itself.

        items: What to go through.
        body: Name of the subgraph.
        """

    def ForegroundMask(
        self,
        *,
        model: Any,
        image: Picture,
        resolution: int = 0,
    ) -> _ForegroundMask:
        """Mask what stands before the background, by BiRefNet, RMBG and others; removes any background.

        model: Of LoadVisionModel: BiRefNet, RMBG, ISNet or U²-Net.
        image: Any; it is seen at one size, stretched to a square.
        resolution: Pixels of that square's side; 0 is 1024, or what the model's folder says. 2048 is right for BiRefNet-HR.
        """

    def FormatText(
        self,
        *,
        template: str = '{a}, {b}',
        a: str | int | float | bool | None = None,
        b: str | int | float | bool | None = None,
        c: str | int | float | bool | None = None,
        d: str | int | float | bool | None = None,
        e: str | int | float | bool | None = None,
        f: str | int | float | bool | None = None,
    ) -> str:
        """Put values into a text: {a} is the value of the input a, {a:.2f} a number with two digits.

        template: The text. {a:04d} writes a number with four digits; {{ is a plain bracket.
        a: What comes into its places: texts, numbers, true or false; with a list the node runs for each item. ToText makes a text of anything else.
        b: What comes into its places: texts, numbers, true or false; with a list the node runs for each item. ToText makes a text of anything else.
        c: What comes into its places: texts, numbers, true or false; with a list the node runs for each item. ToText makes a text of anything else.
        d: What comes into its places: texts, numbers, true or false; with a list the node runs for each item. ToText makes a text of anything else.
        e: What comes into its places: texts, numbers, true or false; with a list the node runs for each item. ToText makes a text of anything else.
        f: What comes into its places: texts, numbers, true or false; with a list the node runs for each item. ToText makes a text of anything else.
        """

    def Formula(
        self,
        *,
        expression: str = 'a + b',
        a: float | int = 0.0,
        b: float | int = 0.0,
        c: float | int = 0.0,
        d: float | int = 0.0,
        whole: Literal['nearest', 'cut off'] = 'nearest',
    ) -> _Formula:
        """Work out an expression of numbers, such as (a + b) / 2 or min(a, 4) if b > 1 else c.

        + - * / // (whole) % (remainder) ** (power); < <= == != >= > and or not; x if test else y;
        abs min max clamp round floor ceil int float sqrt pow exp log log2 log10 sin cos tan; pi tau e
        true false; & | ~ of the bits of whole numbers.
        Gives the number, the whole number nearest to it, and whether it is other than 0.

        expression: What to work out.
        a: What the letters stand for.
        b: What the letters stand for.
        c: What the letters stand for.
        d: What the letters stand for.
        whole: Which whole number is given: the nearest one, or what stands before the point.
        """

    def FrameRateConditioning(
        self,
        *,
        conditioning: Conditioning,
        rate: float = 25.0,
    ) -> Conditioning:
        """Tell LTX-Video how many frames a second a video is to have.

        It is told 25 without this node. Other models aren't told.

        conditioning: The positive prompt.
        rate: Frames a second, as VAEDecodeVideo is to be told, too.
        """

    def FreeU(
        self,
        *,
        model: DiffusionModel,
        b1: float = 1.3,
        b2: float = 1.4,
        s1: float = 0.9,
        s2: float = 0.2,
        version: Literal['v2', 'v1', 'diffusers'] = 'v2',
    ) -> DiffusionModel:
        """Let a UNet heed shapes more and fine texture less (arXiv:2309.11497). Costs hardly any time.

        model: Stable Diffusion 1, 2 or XL, or another UNet.
        b1: Factor of what comes from the level below, at the deepest stage and at the next: 1.3 and 1.4 are usual, 1.1 and 1.2 for SDXL.
        b2: Factor of what comes from the level below, at the deepest stage and at the next: 1.3 and 1.4 are usual, 1.1 and 1.2 for SDXL.
        s1: Factor of the coarse part of what comes across, at these stages: 0.9 and 0.2 are usual.
        s2: Factor of the coarse part of what comes across, at these stages: 0.9 and 0.2 are usual.
        version: With v2 b counts where features are strong, with v1 everywhere; diffusers is v1 at the first two stages, whatever their width.
        """

    def FrequencyGuider(
        self,
        *,
        positive: Conditioning,
        negative: Conditioning | None = None,
        low_cfg: float = 5.0,
        high_cfg: float = 10.0,
        levels: int = 2,
    ) -> Any:
        """Frequency-decoupled guidance: one scale for composition and colours, one for details.

        positive: What the picture is to show.
        negative: What it is to stay away from; the empty prompt if not linked.
        low_cfg: How strongly prompts lead in the large: low keeps variety and calm colours. 1 and below leaves the negative prompt out.
        high_cfg: How strongly they lead in details and edges: high makes them clear.
        levels: Of the pyramid: the more, the more is taken for a detail.
        """

    def Gate(
        self,
        *,
        value: Any,
        open: bool = True,
    ) -> Any:
        """A value that is passed on, or held back: then what depends on it is skipped silently.

        value: What to pass on. What only this node needs of it never runs while it is closed.
        open: Whether to pass it on.
        """

    def GenerateText(
        self,
        *,
        encoder: Any,
        prompt: str = '',
        images: Sequence[Picture] | None = None,
        system: str = '',
        max_tokens: int = 512,
        sampling: bool = True,
        seed: int = 0,
        temperature: float = 0.7,
        top_k: int = 64,
        top_p: float = 0.95,
        min_p: float = 0.05,
        repetition_penalty: float = 1.05,
        presence_penalty: float = 0.0,
        thinking: bool = False,
        chat: bool = True,
    ) -> str:
        """Let a language model write: an answer, a better prompt, what is on a picture.

        Such are the text encoders of Qwen-Image, Z-Image, Flux.2, Lumina 2, Sana, HiDream and
        HunyuanImage, where their file has the head that writes, too; and those of LoadLanguageModel.

        encoder: Of such a model, or a language model by itself.
        prompt: What it is asked.
        images: What it looks at besides, by Qwen 2.5-VL; a batch counts as that many pictures.
        system: What it is told beforehand of how to answer.
        max_tokens: Of its answer, at most; a word has one or two.
        sampling: Draw each word by its chance; else it is always the likeliest.
        seed: Of the draws.
        temperature: Low keeps to likely words, high is more surprising.
        top_k: Draw from so many of the likeliest words; 0 for all.
        top_p: Draw from the likeliest words that together have this chance.
        min_p: Leave out words that are less likely than this beside the likeliest.
        repetition_penalty: How much less likely words become that were there; 1 for not at all.
        presence_penalty: The same for words of its answer, whatever their chance; 0 for not at all.
        thinking: Let it think first, as Qwen 3 can; what it thinks isn't in the answer.
        chat: Put around the prompt what such models were trained to be asked by; else it goes on with the text as it is.
        """

    def GlowImage(
        self,
        *,
        image: Picture,
        strength: float = 0.6,
        radius: float = 12.0,
        threshold: float = 0.6,
    ) -> Tensor:
        """Let light spread from bright parts.

        image: Of any size.
        strength: How much light.
        radius: Pixels that it spreads.
        threshold: Brightness from which on parts glow.
        """

    def GradientImage(
        self,
        *,
        width: int = 512,
        height: int = 512,
        colors: str = 'black white',
        kind: Literal['linear', 'radial', 'angular', 'diamond'] = 'linear',
        angle: float = 0.0,
    ) -> Tensor:
        """Make a picture of colours that lead into each other.

        width: In pixels.
        height: In pixels.
        colors: Two or more, evenly spaced, such as black #ff8800 white.
        kind: Along a line, from the middle outwards, or around it.
        angle: Degrees, clockwise: 0 leads to the right, 90 down.
        """

    def GradientMap(
        self,
        *,
        image: Picture,
        colors: str = '#1a1108 #8a6136 #fff4de',
        amount: float = 1.0,
    ) -> Tensor:
        """Colour pictures by their brightness: sepia, duotones, false colours.

        image: Of any size.
        colors: From that of black to that of white, evenly spaced, such as black #ff8800 white.
        amount: How much of it; 0 leaves the picture.
        """

    def GradientMask(
        self,
        *,
        image: Picture | None = None,
        width: int = 512,
        height: int = 512,
        kind: Literal['linear', 'radial'] = 'linear',
        angle: float = 0.0,
        start: float = 0.0,
        end: float = 1.0,
    ) -> Tensor:
        """A mask that rises evenly from 0 to 1.

        image: The mask is as large as this picture; without it, width and height say.
        width: In pixels, without a picture.
        height: In pixels, without a picture.
        kind: Linear rises along a line; radial falls off from the middle to the sides.
        angle: Degrees, clockwise: 0 rises to the right, 90 downwards. Of linear ones.
        start: Where on the way it begins and ends to rise; an end before the start turns it round.
        end: Where on the way it begins and ends to rise; an end before the start turns it round.
        """

    def GradualMask(
        self,
        *,
        latent: Latent,
        strength: float = 1.0,
    ) -> Latent:
        """Let a mask say how much is changed: gray parts begin to change in later steps.

        So details change where the mask is dark gray, and everything where it is white: Differential
        Diffusion. Without it, gray mixes the old and the new at each step.

        latent: With a noise mask, such as SetNoiseMask's or InpaintConditioning's.
        strength: 0 mixes as without this node, 1 doesn't mix at all.
        """

    def Grayscale(
        self,
        *,
        image: Picture,
        method: _method = 'luma',
    ) -> Tensor:
        """Take the colours out of pictures.

        image: Of any size; has as many channels afterwards.
        method: Luma is what Pillow and JPEG take, luminance is how bright the light is; red, green and blue are as filters before the lens.
        """

    def GridSweep(
        self,
        *,
        x: list[Any] | Sequence[Any],
        y: list[Any] | Sequence[Any],
        body: Any,
        x_title: str = '',
        y_title: str = '',
        gap: int = 4,
        **inputs: Any,
    ) -> _GridSweep:
        """Run a subgraph for each pair of two lists' values, and put its pictures into a labelled grid.

        The subgraph takes `x` and `y`, which may lead to any two inputs, and gives an `image`. Its
        other inputs are inputs of this node. Each run is cached by itself.

        x: Values from left to right: numbers, texts such as names of samplers, anything.
        y: Values from top to bottom.
        body: Name of the subgraph.
        x_title: What the values are of, written along the grid.
        y_title: What the values are of, written along the grid.
        gap: Pixels between pictures.
        """

    def GrowMask(
        self,
        *,
        mask: Picture,
        pixels: int = 8,
        corners: Literal['round', 'square', 'diamond'] = 'round',
    ) -> Tensor:
        """Make a mask reach further, or less far with a negative number.

        It doesn't shrink away from the picture's border.

        mask: Any; soft edges move as they are.
        pixels: How far; below 0 it shrinks.
        corners: Within a circle of so many pixels, within a square, or within so many steps along rows and columns.
        """

    def GuidanceConditioning(
        self,
        *,
        conditioning: Conditioning,
        guidance: float = 3.5,
    ) -> Conditioning:
        """Tell a model that was distilled from guidance how strongly the prompt is to lead.

        Such are Flux.1 dev, Flux.2 dev, HunyuanImage and LCM; others aren't told. The sampler's cfg is
        then 1. What a DistilledGuider says comes before it.

        conditioning: The positive prompt.
        guidance: The scale: low is photographic and varied, high keeps close to the words.
        """

    def HighPass(
        self,
        *,
        image: Picture,
        radius: float = 5.0,
    ) -> Tensor:
        """Keep details alone, about middle grey: what a blur would take away.

        image: Of any size.
        radius: Pixels of the largest details that are kept.
        """

    def HueSaturation(
        self,
        *,
        image: Picture,
        hue: float = 0.0,
        saturation: float = 1.0,
        lightness: float = 0.0,
        vibrance: float = 0.0,
    ) -> Tensor:
        """Turn hues, and make colours stronger, weaker, lighter or darker.

        image: Of any size; grey has no hue to turn.
        hue: Degrees around the wheel: red becomes green at 120 and blue at 240.
        saturation: A factor; 0 is grey, 1 leaves colours.
        lightness: Towards white above 0, towards black below.
        vibrance: Like saturation, but strong colours change less.
        """

    def ImageConditioning(
        self,
        *,
        conditioning: Conditioning,
        vae: Vae,
        image: Picture,
        shown: bool = True,
        crop: bool = False,
    ) -> _ImageConditioning:
        """Show a picture to a model that was made to follow one, such as its edges or its depth.

        These are Flux.1 Canny and Depth, and InstructPix2Pix, which edits it. Its latent is empty, of
        the picture's size. With others use a control network, or ReferenceLatents.

        conditioning: What the picture is to show. A negative prompt takes that of the positive one.
        vae: Of the model.
        image: One picture: edges, a depth map, or what is to be edited.
        shown: Whether the model sees it; off for the negative prompt of a DualCFGGuider, whose second prompt is an empty one with the picture: so InstructPix2Pix was trained.
        crop: Cut off what doesn't fill a cell of the VAE, as much on either side; else such sizes are refused.
        """

    def ImageDifference(
        self,
        *,
        image: Picture,
        other: Picture,
        gain: float = 4.0,
    ) -> _ImageDifference:
        """Show where two pictures differ: black where they don't.

        Gives the root of the mean squared difference of their values, too, 0 to 1.

        image: Any.
        other: As large; one for all, or as many.
        gain: What the differences are multiplied by, so that small ones show.
        """

    def ImageFromBatch(
        self,
        *,
        image: Picture,
        index: int = 0,
        length: int = 1,
        every: int = 1,
        reverse: bool = False,
    ) -> Tensor:
        """Take some pictures of a batch.

        image: The batch.
        index: The first one, counted from 0; -1 is the last.
        length: How many at the most; 0 is all from there.
        every: 2 takes every other one, 3 every third.
        reverse: Turn their order around.
        """

    def ImageGrid(
        self,
        *,
        images: Sequence[Picture],
        columns: int = 0,
        gap: int = 4,
        captions: list[str] | Sequence[str] | None = None,
        column_labels: list[str] | Sequence[str] | None = None,
        row_labels: list[str] | Sequence[str] | None = None,
        column_title: str = '',
        row_title: str = '',
        background: str = 'white',
        text_color: str = '#1f2328',
    ) -> Tensor:
        """Put pictures into rows, in one picture.

        images: Each in a cell as large as the largest; a batch counts as that many pictures.
        columns: Pictures in a row; 0 makes as many as there are labels of columns, else it is about square.
        gap: Pixels between them.
        captions: Texts under the pictures, in their order.
        column_labels: Texts above the columns.
        row_labels: Texts before the rows.
        column_title: What those are of.
        row_title: What those are of.
        background: Colour of what is between them.
        text_color: Colour of the texts.
        """

    def ImageHistogram(
        self,
        *,
        image: Picture,
        height: int = 128,
        logarithmic: bool = False,
    ) -> Tensor:
        """Draw how often each value is, from black at the left to white at the right.

        image: Each of a batch gets its own.
        height: Of the drawing, in pixels; it is 256 wide.
        logarithmic: Let rare values show.
        """

    def ImageList(
        self,
        *,
        image: Picture,
    ) -> list[Tensor]:
        """Take a batch apart into a list, so that what follows runs for each picture by itself.

        image: The batch.
        """

    def ImageSize(
        self,
        *,
        image: Picture,
    ) -> _ImageSize:
        """Tell the width, height and number of pictures.

        image: Any.
        """

    def ImageStatistics(
        self,
        *,
        image: Picture,
    ) -> _ImageStatistics:
        """Tell how bright pictures are, and each channel's smallest, largest and mean value.

        image: All of a batch together; the numbers are those of brightness.
        """

    def ImageStrip(
        self,
        *,
        images: Sequence[Picture],
        direction: Literal['horizontal', 'vertical'] = 'horizontal',
        gap: int = 4,
        captions: list[str] | Sequence[str] | None = None,
    ) -> Tensor:
        """Put pictures into one row or column, in one picture.

        images: Each in a cell as large as the largest; a batch counts as that many pictures.
        direction: A row or a column.
        gap: Pixels between them.
        captions: Texts under the pictures, in their order.
        """

    def ImageToVideoConditioning(
        self,
        *,
        conditioning: Conditioning,
        vae: Vae,
        image: Picture,
        frames: int = 81,
        encoder: TextEncoder | None = None,
    ) -> _ImageToVideoConditioning:
        """Begin a video with a picture, by a model that was made for it.

        These are the image-to-video models of Wan, Wan 2.2 5B and LTX-Video. Its latent is empty, of
        the picture's size.

        conditioning: What the video is to show. A negative prompt needs no picture of its own.
        vae: Of the model.
        image: One picture, as large as the video: put a ResizeImage before.
        frames: Of the video: a multiple of 4 and one more for Wan, of 8 and one more for LTX-Video.
        encoder: Of the model, for Wan 2.1: it has the part that sees pictures. Others need none.
        """

    def ImagesFromVideo(
        self,
        *,
        video: Video,
    ) -> _ImagesFromVideo:
        """Take a video apart into its frames and its audio.

        video: Its frames become a batch of pictures.
        """

    def InjectNoise(
        self,
        *,
        latent: Latent,
        strength: float = 0.1,
        seed: int = 0,
        mask: Picture | None = None,
    ) -> Latent:
        """Put some noise into a latent before it is sampled again, so that details come of it.

        Other than AddNoise's, no schedule knows of it: sampling takes it for a part of the picture.

        latent: Of a picture, or with noise left in it.
        strength: Standard deviation of the noise; a picture's latent has about 1.
        seed: Of the noise of the first item; the next ones count up from it.
        mask: Where noise comes: 1 all of it, 0 none. It is scaled to the latent's size.
        """

    def InpaintConditioning(
        self,
        *,
        conditioning: Conditioning,
        vae: Vae,
        image: Picture,
        mask: Picture,
        crop: bool = False,
    ) -> _InpaintConditioning:
        """Show a masked picture to a model that was made to fill such.

        These are inpainting models of Stable Diffusion, and Flux.1 Fill. With others SetNoiseMask is
        enough: sampling then changes the masked part alone.

        conditioning: What the picture is to show. A negative prompt needs no masked picture of its own.
        vae: Of the model.
        image: One picture.
        mask: Scaled to the picture: 1 is filled, 0 is kept; from a half up it counts as 1.
        crop: Cut off of both what doesn't fill a cell of the VAE, as much on either side; else such sizes are refused.
        """

    def Integer(
        self,
        *,
        value: int = 0,
    ) -> int:
        """A whole number, for several inputs at once.

        value: The number.
        """

    def InvertImage(
        self,
        *,
        image: Picture,
    ) -> Tensor:
        """Turn pictures into their negatives.

        image: Of any size; alpha stays as it is.
        """

    def InvertMask(
        self,
        *,
        mask: Picture,
    ) -> Tensor:
        """Mask what isn't masked, and the other way round.

        mask: Any.
        """

    def Item(
        self,
        *,
        items: list[Any] | Sequence[Any],
        index: int = 0,
    ) -> Any:
        """One item of a list.

        items: The list.
        index: Which one, counted from 0; -1 is the last, -2 the one before.
        """

    def JoinAudio(
        self,
        *,
        audios: Sequence[Audio],
        last: Audio | None = None,
        gap: float = 0.0,
    ) -> Audio:
        """Put audio one after the other.

        audios: One, or several in their order; all of one rate, and of as many channels or one.
        last: What follows them.
        gap: Seconds of silence between two.
        """

    def JoinChannels(
        self,
        *,
        first: Picture,
        second: Picture,
        third: Picture,
        space: Literal['rgb', 'hsv', 'lab'] = 'rgb',
    ) -> Tensor:
        """Put a picture together of its channels.

        first: Grey pictures of one size; of others the brightness counts.
        second: Grey pictures of one size; of others the brightness counts.
        third: Grey pictures of one size; of others the brightness counts.
        space: What they stand for, see SplitChannels.
        """

    def JoinDatasets(
        self,
        *,
        first: Dataset,
        second: Dataset,
        third: Dataset | None = None,
        fourth: Dataset | None = None,
        name: str = '',
    ) -> Dataset:
        """Make one dataset of several, one after the other.

        first: Says how all are read: sizes and changes at random.
        second: Follows it. An example whose name is taken gets a number behind it.
        third: Follows, too.
        fourth: Follows, too.
        name: Of the whole; empty takes the first one's.
        """

    def JoinImages(
        self,
        *,
        images: Sequence[Picture],
        more: Sequence[Picture] | None = None,
        fit: Literal['stretch', 'crop', 'pad'] = 'crop',
    ) -> Tensor:
        """Put pictures into one batch.

        images: One, or a list of them. All are scaled to the size of the first.
        more: Others, which come behind.
        fit: How those of other proportions are scaled: stretched, cut, or padded with black.
        """

    def JoinLatents(
        self,
        *,
        first: Sequence[Latent],
        second: Sequence[Latent] | None = None,
    ) -> Latent:
        """Put latents into one batch.

        Its items draw noise by their places in it, unless LatentFromBatch or SetItemSeeds gave some
        of them others: then all keep what they had.

        first: One, or a list of them, all of one size and model.
        second: More, which come behind.
        """

    def JoinPlots(
        self,
        *,
        plots: Sequence[Plot],
        last: Plot | None = None,
        title: str = '',
        names: list[str] | Sequence[str] | None = None,
    ) -> Plot:
        """Draw several plots over common axes, to compare them.

        plots: One, or several in their order; labels and scales are the first one's.
        last: What is drawn over them.
        title: If empty, the one that all of them have.
        names: Of each plot, to tell apart what has one name in several.
        """

    def JoinSchedules(
        self,
        *,
        first: Any,
        second: Any,
    ) -> Any:
        """Two schedules one after the other. Parts of one that were cut are that one again.

        first: What is walked first.
        second: What follows: it begins where the first ends, or near it; the last step of the first leads there.
        """

    def JoinTexts(
        self,
        *,
        texts: list[str] | Sequence[str],
        separator: str = ', ',
    ) -> str:
        """Put texts together, one after the other.

        texts: Those of a List, say.
        separator: What stands between them; \\n is a line break, \\t a tab.
        """

    def JoinTiles(
        self,
        *,
        tiles: Sequence[Picture],
        tiling: Any,
    ) -> Tensor:
        """Put tiles together to a picture; where they overlap, one fades into the other.

        Where nothing was changed it is the picture that was cut, to the last bit.

        tiles: From SplitTiles, whatever was done to them; all may be larger by one factor.
        tiling: From SplitTiles, too.
        """

    def KSampler(
        self,
        *,
        model: DiffusionModel,
        positive: Conditioning,
        negative: Conditioning | None = None,
        latent: Latent,
        seed: int = 0,
        steps: int = 20,
        cfg: float = 7.0,
        sampler: _reference_sampler = 'dpmpp_2m',
        schedule: _schedule = 'karras',
        denoise: float = 1.0,
        end_step: int | None = None,
        denoise_steps: Literal['share', 'all'] = 'share',
        draw: Literal['per item', 'per batch', 'per batch, one seed'] = 'per item',
        convention: Literal['diffusers', 'comfyui'] = 'diffusers',
    ) -> Latent:
        """Turn noise into a latent, step by step, led by prompts.

        model: What removes the noise.
        positive: What the picture is to show.
        negative: What it is to stay away from; the empty prompt if not linked.
        latent: Empty for a picture from noise alone, or the picture to start from.
        seed: Of the noise of the first item; the next ones count up from it.
        steps: Of the whole schedule.
        cfg: How strongly prompts lead; 1 and below leaves the negative prompt out.
        sampler: The method.
        schedule: The noise levels it walks down. simple, sgm_uniform and beta are ComfyUI's, the others diffusers'; normal is what the model's scheduler file says.
        denoise: Below 1 a part of the latent is kept: int(steps × denoise) steps are walked. At 0 it is handed on as it is; an empty one only by ComfyUI's convention, as zeros.
        end_step: Stop after this one of the steps that are walked; the latent keeps the noise that is left. Asked for more steps later, the same sampling goes on from there.
        denoise_steps: Where denoise is below 1, that share of the steps is walked; with all, all are, the last of int(steps / denoise), as in ComfyUI.
        draw: Noise for each item from a seed of its own; or for the batch in one draw from seed, and what is drawn on the way from seed + 1, as in ComfyUI, or with one seed from that itself, as in older versions of it.
        convention: How levels are laid, begun at and asked for, what a mask keeps, and parts of the sampling are told; docs/comfyui.md has what ComfyUI does.
        """

    def KSamplerAdvanced(
        self,
        *,
        model: DiffusionModel,
        positive: Conditioning,
        negative: Conditioning | None = None,
        latent: Latent,
        seed: int = 0,
        steps: int = 20,
        cfg: float = 7.0,
        sampler: _reference_sampler = 'dpmpp_2m',
        schedule: _schedule = 'karras',
        start_step: int = 0,
        end_step: int | None = None,
        add_noise: bool = True,
        leave_noise: bool = False,
        draw: Literal['per item', 'per batch', 'per batch, one seed'] = 'per item',
        convention: Literal['diffusers', 'comfyui'] = 'diffusers',
    ) -> Latent:
        """Some steps of a sampling: two of them in a row may use two models, such as a refiner.

        The first walks steps 0 to 16 and leaves noise, the second steps 16 to 20 and adds none. With
        one model, seed and settings that is what KSampler gives: to the last bit where the sampler
        looks at nothing but the latent (euler, heun, ddim, euler_ancestral …); multistep samplers
        begin anew with what they remember.

        model: What removes the noise.
        positive: What the picture is to show.
        negative: What it is to stay away from; the empty prompt if not linked.
        latent: Empty, a picture's, or one with noise left in it.
        seed: Of the noise of the first item; the next ones count up from it.
        steps: Of the whole schedule.
        cfg: How strongly prompts lead; 1 and below leaves the negative prompt out.
        sampler: The method.
        schedule: The noise levels it walks down.
        start_step: How many steps of the schedule come before the first that is walked.
        end_step: The last step that is walked; the schedule's last if left out.
        add_noise: Whether noise is added to the latent, to the level of the first step. Leave it off for a latent with noise left in it.
        leave_noise: Whether noise is left in the latent where it ends before the schedule does; otherwise the last step takes all of it away.
        draw: Noise for each item from a seed of its own; or for the batch in one draw from seed, and what is drawn on the way from seed + 1, as in ComfyUI, or with one seed from that itself, as in older versions of it.
        convention: How levels are laid, begun at and asked for, what a mask keeps, and parts of the sampling are told; docs/comfyui.md has what ComfyUI does.
        """

    def KarrasSchedule(
        self,
        *,
        steps: int = 20,
        rho: float = 7.0,
        sigma_max: float | None = None,
        sigma_min: float | None = None,
    ) -> Any:
        """Noise levels evenly spaced in sigma ** (1 / rho): a polynomial of the step.

        steps: How many.
        rho: 1 spaces them evenly, above it more of them lie low.
        sigma_max: The greatest and the least; the model's own if left out.
        sigma_min: The greatest and the least; the model's own if left out.
        """

    def KeepMaskParts(
        self,
        *,
        mask: Picture,
        least: int = 64,
        most: int = 0,
    ) -> Tensor:
        """Drop a mask's small parts.

        mask: Pixels above 0 that touch are one part.
        least: Pixels of the smallest part that stays.
        most: How many parts stay, the largest ones; 0 keeps all that are large enough.
        """

    def LTXSchedule(
        self,
        *,
        steps: int = 20,
        latent: Latent | None = None,
        max_shift: float = 2.05,
        base_shift: float = 0.95,
        stretch: bool = True,
        terminal: float = 0.1,
    ) -> Any:
        """The noise levels that LTX-Video takes for a size and a length.

        steps: How many.
        latent: Of the video; 4096 tokens if not linked.
        max_shift: The logarithm of the shift at 4096 tokens.
        base_shift: That at 1024.
        stretch: Whether the levels are stretched so that the last one above 0 is terminal.
        terminal: That level.
        """

    def LabelDistribution(
        self,
        *,
        labels: list[str] | Sequence[str],
        categories: list[str] | Sequence[str] | None = None,
        groups: list[str] | Sequence[str] | None = None,
        name: str = '',
        title: str = '',
        level: float = 0.95,
        seed: int = 0,
    ) -> _LabelDistribution:
        """Count how often each label came, with confidence intervals, such as for a bias audit.

        labels: What a classifier says of each picture.
        categories: All labels there are, so that those that never came show as well.
        groups: What each picture was made of, such as its prompt: intervals are then of drawing prompts anew (bootstrap), as pictures of one prompt are alike; else of chance (Wilson).
        name: Of the model or prompt, in the legend.
        title: Above the plot and the card.
        level: How sure intervals are: 0.95 misses one time in twenty.
        seed: Of the bootstrap.
        """

    def LaplaceSchedule(
        self,
        *,
        steps: int = 20,
        mu: float = 0.0,
        scale: float = 0.5,
        sigma_max: float | None = None,
        sigma_min: float | None = None,
    ) -> Any:
        """Noise levels whose logarithms are quantiles of Laplace's distribution.

        steps: How many.
        mu: Log sigma where they are dense.
        scale: How far around it they spread.
        sigma_max: The greatest and the least; the model's own if left out.
        sigma_min: The greatest and the least; the model's own if left out.
        """

    def LatentFramesToBatch(
        self,
        *,
        latent: Latent,
        size: int = 1,
    ) -> Latent:
        """Take the latent of a video apart along time, into a batch.

        Of items of one latent frame, VAEDecode makes pictures.

        latent: Of a video; its noise mask comes along.
        size: Latent frames of each item; what doesn't fill one at the end is left out.
        """

    def LatentFromBatch(
        self,
        *,
        latent: Latent,
        index: int = 0,
        length: int = 1,
    ) -> Latent:
        """Some consecutive items of a batch, with the noise that they have in it.

        latent: The batch.
        index: The first one, counted from 0.
        length: How many.
        """

    def LatentNoise(
        self,
        *,
        latent: Latent,
        seed: int = 0,
        standardize: bool = True,
        draw: Literal['per item', 'per batch', 'per batch, one seed'] = 'per item',
    ) -> Any:
        """Noise of one's own, made of a latent: of a picture, by VAEEncode.

        latent: As large as what is sampled, and of the same model; a single item goes for all.
        seed: Of what samplers draw on the way.
        standardize: Whether each item is shifted and scaled to mean 0 and variance 1, which models are trained on; other noise makes dull or glaring pictures.
        draw: Of what samplers draw on the way, as for RandomNoise.
        """

    def LatentStatistics(
        self,
        *,
        latent: Latent,
    ) -> _LatentStatistics:
        """Tell mean, deviation and range of a latent's values, such as to see what noise is in it.

        latent: With content; of a picture's, the mean is near 0 and the deviation near 1.
        """

    def Length(
        self,
        *,
        items: list[Any] | Sequence[Any],
    ) -> int:
        """How many items a list has.

        items: The list.
        """

    def LimitGuidance(
        self,
        *,
        guider: Any,
        start: float = 0.2,
        end: float = 0.8,
    ) -> Any:
        """Guide in a part of the sampling only: more variety, and less time.

        In the rest the positive prompt leads alone. What was added to the guider keeps its own part.

        guider: What leads.
        start: Part of the sampling that is guided, 0 to 1.
        end: Part of the sampling that is guided, 0 to 1.
        """

    def LineArt(
        self,
        *,
        image: Picture,
        width: float = 0.8,
        threshold: float = 0.02,
    ) -> Tensor:
        """Draw a picture's lines as with a pen: white on black.

        image: Any.
        width: Of the lines, in pixels.
        threshold: How much darker than its surroundings a line is at least.
        """

    def Lines(
        self,
        *,
        text: str,
    ) -> list[str]:
        """The lines of a text, without empty ones: linked to a text input, the node runs for each.

        text: One item a line; space around it doesn't count.
        """

    def List(
        self,
        *,
        item_1: Any = None,
        item_2: Any = None,
        item_3: Any = None,
        item_4: Any = None,
        item_5: Any = None,
        item_6: Any = None,
        item_7: Any = None,
        item_8: Any = None,
    ) -> list[Any]:
        """Put values, or the items of several lists, into one list.

        item_1: What comes into the list, in this order; of a list its items.
        item_2: What comes into the list, in this order; of a list its items.
        item_3: What comes into the list, in this order; of a list its items.
        item_4: What comes into the list, in this order; of a list its items.
        item_5: What comes into the list, in this order; of a list its items.
        item_6: What comes into the list, in this order; of a list its items.
        item_7: What comes into the list, in this order; of a list its items.
        item_8: What comes into the list, in this order; of a list its items.
        """

    def ListedSchedule(
        self,
        *,
        sigmas: str = '14.61, 6.47, 3.86, 2.7, 1.89, 1.4, 0.96, 0.65, 0.4, 0',
    ) -> Any:
        """Noise levels that are named one by one.

        sigmas: The noisiest first, with commas or space between them; with flow models, at most 1. Where the last is 0, the noise is gone; otherwise it is left in the latent.
        """

    def LoadAudio(
        self,
        *,
        path: str,
        start: float = 0.0,
        seconds: float = 0.0,
    ) -> Audio:
        """Read audio from a file.

        path: WAV, FLAC, OGG, MP3, M4A and others, or a video; relative paths start from the inputs folder.
        start: Seconds to leave out at the beginning.
        seconds: How many to read at most; 0 for all.
        """

    def LoadClassifier(
        self,
        *,
        classifier: str = 'tiny/guidance_classifier',
    ) -> Any:
        """Open a classifier of noisy latents, for ClassifierGuidance.

        classifier: Name under a models folder or path of a .safetensors file, or tiny/guidance_classifier, which comes along with the model tiny.
        """

    def LoadControlNet(
        self,
        *,
        control_net: str = 'tiny/controlnet',
        dtype: Literal['auto', 'float32', 'float16', 'bfloat16'] = 'auto',
        storage: Literal['auto', 'full', 'float8', 'int8', 'int4'] = 'auto',
    ) -> ControlNet:
        """Open a ControlNet or T2I adapter, by which pictures lead a model.

        control_net: Name under a models folder, or path: a .safetensors file in the original names or in those of diffusers, or a folder in the diffusers layout; for Stable Diffusion 1.x, 2.x, XL and 3, Flux.1 and Qwen-Image. tiny/controlnet comes along: it leads the model tiny by edges.
        dtype: Precision in memory, as for LoadModel.
        storage: What its weights are kept in, as for LoadModel.
        """

    def LoadDataset(
        self,
        *,
        path: str,
        folders: Literal['splits and labels', 'labels', 'repeats', 'nothing'] = 'splits and labels',
        captions: Literal['if there', 'required', 'file names', 'none'] = 'if there',
        on_error: Literal['refuse', 'skip'] = 'refuse',
        format: Literal['auto', 'folder', 'coco', 'webdataset'] = 'auto',
        recursive: bool = True,
        mask_suffix: str = '_mask',
        min_side: int = 0,
        decode: bool = True,
    ) -> _LoadDataset:
        """Make a dataset of a folder of pictures, of a COCO file, or of WebDataset's tar files.

        Captions come from a .txt or .caption beside each picture, from metadata.jsonl, or from a CSV.

        path: A folder, a pattern such as photos/**/*.jpg, a JSON or a tar file; relative ones start from the inputs folder.
        folders: What names of sub-folders say; repeats are kohya's, as in 10_sks dog.
        captions: Required ones are missing by an error.
        on_error: Whether to refuse all, or go on without what can't be used; each is named.
        format: Auto goes by what is there.
        recursive: Folders in the folder count, too.
        mask_suffix: Of a picture apple.png the mask is apple_mask.png; empty for no masks.
        min_side: Pixels that the shorter side of a picture must have.
        decode: Decode each picture once: damaged ones are found now, not in the training.
        """

    def LoadDiffusionModel(
        self,
        *,
        model: str,
        second: str = '',
        dtype: Literal['auto', 'float32', 'float16', 'bfloat16'] = 'auto',
        family: _family = 'auto',
        shift: float = 0.0,
        prediction_type: Literal['auto', 'epsilon', 'v_prediction', 'sample'] = 'auto',
        zero_terminal_snr: Literal['auto', 'on', 'off'] = 'auto',
        storage: Literal['auto', 'full', 'float8', 'int8', 'int4'] = 'auto',
    ) -> DiffusionModel:
        """Open a diffusion model by itself: a UNet or transformer without text encoders and VAE.

        Its noise schedule is the one that was published with models of its kind. Put a LoadTextEncoder
        and a LoadVae beside it.

        model: Name under a models folder, or path: a .safetensors or .gguf file in the original names or in those of diffusers, a folder in the diffusers layout, or a whole model, of which its diffusion model is taken.
        second: The same of the second of two experts, which denoises what is mostly picture, such as Wan 2.2's for low noise. Empty for models that are one.
        dtype: Precision in memory, as for LoadModel.
        family: What kind of model it is, where several look the same: those of Qwen-Image and Qwen-Image-Edit do. auto is the first of them. Families that installed packages bring are among them.
        shift: How far noise levels are shifted towards the noise, of models that were trained by flow matching: 1 not at all. 0 is as published.
        prediction_type: Of models that weren't, as for LoadModel.
        zero_terminal_snr: Of models that weren't, as for LoadModel.
        storage: What its weights are kept in, as for LoadModel.
        """

    def LoadIPAdapter(
        self,
        *,
        ip_adapter: str,
        image_encoder: str = '',
        dtype: Literal['auto', 'float32', 'float16', 'bfloat16'] = 'auto',
    ) -> Any:
        """Open an IP-Adapter, by which what pictures show leads a model.

        ip_adapter: Name under a models folder, or path of a .safetensors file: for Stable Diffusion 1.x and XL, plain, plus, plus face and full face. Those that know faces by InsightFace (FaceID) can't be loaded.
        image_encoder: CLIP's vision model that it was trained with: name or path of a folder or .safetensors file. Empty: the folder image_encoder beside the adapter, or beside its folder.
        dtype: Precision of the image encoder in memory, as for LoadModel.
        """

    def LoadImage(
        self,
        *,
        path: str,
        frame: int = 0,
    ) -> _LoadImage:
        """Read a picture from a file.

        It is turned upright and brought to sRGB by its colour profile; 16 bits are kept. The mask is 1
        where the picture is transparent.

        path: PNG, JPEG, WebP and others; relative paths start from the inputs folder.
        frame: Of an animation or a file of several pages, counted from 0; -1 is the last.
        """

    def LoadImageEncoder(
        self,
        *,
        image_encoder: str,
        dtype: Literal['auto', 'float32', 'float16', 'bfloat16'] = 'auto',
    ) -> ImageEncoder:
        """Open what sees pictures: CLIP's vision model, for ReviseConditioning.

        image_encoder: Name under a models folder or path of a .safetensors file or folder, such as CLIP ViT-bigG's with its projection.
        dtype: Precision in memory, as for LoadModel.
        """

    def LoadImageFrames(
        self,
        *,
        path: str,
        start: int = 0,
        count: int = 0,
        every: int = 1,
    ) -> _LoadImageFrames:
        """Read all pictures of an animation, or of a file of several pages, as a batch.

        path: GIF, WebP, PNG, TIFF and others; relative paths start from the inputs folder.
        start: The first one, counted from 0; -1 is the last.
        count: How many at the most; 0 is all from there.
        every: 2 takes every other one.
        """

    def LoadImages(
        self,
        *,
        path: str,
        start: int = 0,
        count: int = 0,
        order: Literal['name', 'oldest first', 'newest first'] = 'name',
    ) -> _LoadImages:
        """Read the pictures of a folder as a list; they may be of different sizes.

        path: A folder, or a pattern such as photos/*.png or photos/**/*.jpg; relative ones start from the inputs folder.
        start: The first one, counted from 0.
        count: How many at the most; 0 is all from there.
        order: By name, numbers by their value, or by the time of the file.
        """

    def LoadLanguageModel(
        self,
        *,
        model: str,
        dtype: Literal['auto', 'float32', 'float16', 'bfloat16'] = 'auto',
    ) -> Any:
        """Open a language model, for GenerateText: any that transformers knows.

        model: Name under a models folder, such as language/qwen3-4b: a folder as transformers saves it. Code that a folder brings isn't run.
        dtype: Precision in memory, as for LoadModel.
        """

    def LoadLatent(
        self,
        *,
        path: str,
    ) -> Latent:
        """Read a latent that SaveLatent wrote.

        path: A .safetensors file; relative paths start from the inputs folder.
        """

    def LoadLora(
        self,
        *,
        model: DiffusionModel,
        text_encoder: TextEncoder | None = None,
        lora: str = 'tiny/lcm_lora',
        strength_model: float = 1.0,
        strength_encoder: float = 1.0,
        fused: bool = False,
        expert: Literal['both', 'first', 'second'] = 'both',
    ) -> _LoadLora:
        """Put a LoRA, LoHa, LoKr or DoRA on a model and its text encoder.

        The model's weights are shared with all who use it without, or with others: nothing is loaded
        again when one is changed. Put several behind each other for all of them.

        model: To put it on.
        text_encoder: Of the same model, if the file has something for it.
        lora: Name under a models folder or path of a .safetensors file, in whatever naming; or tiny/lcm_lora or tiny/style_lora, which come along with the model tiny.
        strength_model: How strongly it changes the model; 0 leaves that as it is.
        strength_encoder: How strongly it changes the text encoder.
        fused: Add it to copies of the weights that it changes: samples as fast as without, and takes memory for the copies.
        expert: Of a model with two, such as Wan 2.2, the one that it is for: the first denoises what is mostly noise, the second the rest.
        """

    def LoadMask(
        self,
        *,
        path: str,
        channel: _channel = 'auto',
    ) -> Tensor:
        """Read a mask from a picture's file, such as one that was painted in another program.

        path: PNG, WebP and others; relative paths start from the inputs folder.
        channel: What is 1 in the mask. Auto is the transparency of a file that has some, else the brightness: white is masked.
        """

    def LoadMesh(
        self,
        *,
        path: str,
    ) -> Mesh:
        """Read a mesh from a file: all that it shows, as one.

        Colours and texture are kept. What a file refers to in others, such as an OBJ's materials,
        isn't read.

        path: GLB, PLY or OBJ; relative paths start from the inputs folder.
        """

    def LoadModel(
        self,
        *,
        model: str = 'tiny',
        dtype: Literal['auto', 'float32', 'float16', 'bfloat16'] = 'auto',
        prediction_type: Literal['auto', 'epsilon', 'v_prediction', 'sample'] = 'auto',
        zero_terminal_snr: Literal['auto', 'on', 'off'] = 'auto',
        storage: Literal['auto', 'full', 'float8', 'int8', 'int4'] = 'auto',
    ) -> _LoadModel:
        """Open a model: its denoiser, text encoder and VAE.

        Nothing is read into memory before a node needs it.

        model: Name under a models folder, path of a diffusers folder or .safetensors file, or tiny for the model that comes along.
        dtype: Precision in memory. auto is float32 on a CPU and the file's own elsewhere. On a CPU that can't compute in float16, that is float32 too; bfloat16 takes half the memory there, and far more time on one that lacks that, too.
        prediction_type: What the model was trained to give, where its file doesn't say or says it wrongly: the noise (epsilon), v, or the clean sample. auto is what the file says.
        zero_terminal_snr: Whether it was trained to begin at noise alone; sampling then begins there. auto is what the file says.
        storage: What the model's and the text encoder's weights are kept in. auto keeps weights of few bits as the file has them, and all others in the precision that they are computed in, as full does with all. float8, int8 and int4 take less memory and more time, and give other pictures, slightly so but for int4.
        """

    def LoadMolecule(
        self,
        *,
        path: str,
        number: int = 0,
    ) -> Molecule:
        """Read a molecule from a file.

        path: SDF, MOL, PDB or SMILES; relative paths start from the inputs folder.
        number: Which of several in an SDF or a file of SMILES, counted from 0.
        """

    def LoadPlot(
        self,
        *,
        path: str,
    ) -> Plot:
        """Read a plot from JSON that SavePlot wrote, or from a table, such as another tool's log.

        path: JSON, CSV or TSV; relative paths start from the inputs folder. In a table, the first line names the columns; the first column is x, the others are series.
        """

    def LoadPointCloud(
        self,
        *,
        path: str,
    ) -> PointCloud:
        """Read points from a file.

        path: PLY, GLB or OBJ, of meshes the vertices; relative paths start from the inputs folder.
        """

    def LoadRedux(
        self,
        *,
        redux: str,
        image_encoder: str = '',
        dtype: Literal['auto', 'float32', 'float16', 'bfloat16'] = 'auto',
    ) -> ImageEncoder:
        """Open Flux.1 Redux, which says to prompts of Flux.1 what pictures show.

        redux: Name under a models folder, or path: its folder in the diffusers layout, or the .safetensors file.
        image_encoder: SigLIP's vision model, a folder or .safetensors file; empty for that in Redux's folder.
        dtype: Precision in memory, as for LoadModel.
        """

    def LoadText(
        self,
        *,
        path: str,
    ) -> str:
        """Read a text from a file.

        path: In UTF-8; relative paths start from the inputs folder.
        """

    def LoadTextEncoder(
        self,
        *,
        family: _family_,
        file: str,
        file_2: str = '',
        file_3: str = '',
        file_4: str = '',
        dtype: Literal['auto', 'float32', 'float16', 'bfloat16'] = 'auto',
        storage: Literal['auto', 'full', 'float8', 'int8', 'int4'] = 'auto',
    ) -> TextEncoder:
        """Open a model's text encoder from files of its own, such as clip_l and t5xxl.

        Name them in any order: which is which is told by what they hold. Tokenizers come along, but
        for those of Gemma and Llama, which are looked for in the models folders.

        family: Of the model that it is to lead.
        file: Name under a models folder, or path, of a .safetensors or .gguf file; or of a folder with a text encoder or a whole model, whose text encoders are taken.
        file_2: The second, where the family has two.
        file_3: The third; Stable Diffusion 3 does without its T5.
        file_4: The fourth.
        dtype: Precision in memory, as for LoadModel; of several files the largest decides auto.
        storage: What its weights are kept in, as for LoadModel.
        """

    def LoadTextualInversion(
        self,
        *,
        text_encoder: TextEncoder,
        embedding: str,
        token: str = '',
    ) -> TextEncoder:
        """Teach a text encoder a word that was learnt from pictures: a textual inversion.

        The word may then stand in prompts, weighted as any other. Brackets in it are written with a
        backslash before each: my style \\(v2\\).

        text_encoder: Of the model that the file was made for.
        embedding: Name under a models folder or path of a .safetensors file.
        token: The word. If empty, the file's own, or else its name.
        """

    def LoadUpscaleModel(
        self,
        *,
        model: str = 'tiny/upscaler',
    ) -> Any:
        """Open a network that makes pictures larger, or mends them.

        Compact ones (SRVGGNetCompact) are read as they are; ESRGAN, SwinIR, HAT, DAT, SPAN and many
        others by the package spandrel: pip install "nodegraph[upscale]".

        model: Name under a models folder or path of a .safetensors file, or tiny/upscaler, which comes along: twice as large, for pictures like those of the model tiny. A .pth file only if the settings allow pickle files.
        """

    def LoadVae(
        self,
        *,
        vae: str,
        latents: _latents = 'auto',
        dtype: Literal['auto', 'float32', 'float16', 'bfloat16'] = 'auto',
    ) -> Vae:
        """Open a VAE by itself, such as one that was trained further than a model's own, or a tiny one
        (TAESD and its relatives), which decodes in a fraction of the time and a little less well.

        vae: Name under a models folder, or path: a file or diffusers folder that holds a VAE, or a whole model, of which its VAE is taken. Of a tiny one in two files, either.
        latents: The format that it reads, where its file doesn't say: one of four channels may be Stable Diffusion's (sd) or SDXL's, one of 16 Stable Diffusion 3's or Flux.1's, and Wan's is Qwen-Image's, too.
        dtype: Precision in memory, as for LoadModel.
        """

    def LoadVideo(
        self,
        *,
        path: str,
        first: int = 0,
        count: int = 0,
        every: int = 1,
        rate: float = 0.0,
    ) -> Video:
        """Read a video from a file, with its audio.

        Where frames don't come evenly, as those of phones and screen recordings, what is shown longer
        comes several times: all happens when it does in the file.

        path: MP4, WebM, MOV, MKV, GIF and others; relative paths start from the inputs folder.
        first: Frames to leave out at the beginning.
        count: How many frames to read at most; 0 for all.
        every: Read one of so many; the rate is divided by it.
        rate: Frames a second to read it at, before `first`, `count` and `every` count them; 0 for the file's own.
        """

    def LoadVisionModel(
        self,
        *,
        model: str,
        dtype: Literal['auto', 'float32', 'float16', 'bfloat16'] = 'auto',
    ) -> Any:
        """Open a model that sees: one that masks things, or tells depths or poses.

        It is a folder as transformers saves it: SAM, SAM-HQ or SAM 2; SAM 3 or CLIPSeg; SegFormer,
        Mask2Former and others that know classes; ViTMatte; Depth Anything, DPT or GLPN; ViTPose;
        RT-DETR, D-FINE or YOLOS. Or it is a file or folder of BiRefNet, RMBG, ISNet or U²-Net, or a
        file of Depth Anything V2. Code that a folder brings isn't run.

        model: Name under a models folder, such as segment/sam2-hiera-tiny or background_removal/birefnet.safetensors.
        dtype: Precision in memory, as for LoadModel.
        """

    def Logic(
        self,
        *,
        a: bool,
        operation: Literal['and', 'or', 'xor', 'not'] = 'and',
        b: bool = False,
    ) -> bool:
        """Put two truths together: and, or, either (xor); or turn the first round (not).

        a: The first.
        operation: How they are put together; not looks at the first alone.
        b: The second.
        """

    def LogitNormalSchedule(
        self,
        *,
        steps: int = 20,
        width: int = 1024,
        height: int = 1024,
        mu: float = 0.0,
        std: float = 1.75,
    ) -> Any:
        """Noise levels that are dense around a middle, as Ideogram 4 takes them for a size.

        steps: How many.
        width: Of the picture, in pixels: the larger, the noisier the levels.
        height: Of the picture, in pixels: the larger, the noisier the levels.
        mu: Their middle, as the logit of a level, for 512 x 512.
        std: How far they spread around it.
        """

    def MagCache(
        self,
        *,
        model: DiffusionModel,
        threshold: float = 0.06,
        most: int = 3,
        retained: float = 0.2,
        ratios: str = '',
    ) -> DiffusionModel:
        """Leave out steps where the model is known to change little in size (arXiv:2506.09045).

        How much it changes from step to step was measured once for each model; for Flux.1 diffusers
        brings it along.

        model: To be sped up.
        threshold: Error that may add up before all is computed again.
        most: Steps in a row that may be left out.
        retained: Part of the sampling, from its start, in which all is computed.
        ratios: Of the size of what the blocks add to that of the step before, over a whole sampling, as diffusers prints them with MagCacheConfig(calibrate=True). Empty for Flux.1's.
        """

    def MagicWand(
        self,
        *,
        image: Picture,
        points: str = '0.5, 0.5',
        unit: Literal['shares', 'pixels'] = 'shares',
        tolerance: float = 0.1,
        connected: bool = True,
    ) -> Tensor:
        """Mask what is of the colour that a picture has at a point.

        image: The points are the same in all of a batch.
        points: x and y of one or several, such as 0.5, 0.5 or [[0.2, 0.3], [0.8, 0.3]].
        unit: Shares of the picture's sides, 0 to 1, or pixels.
        tolerance: How far red, green and blue may each be from that colour.
        connected: Only what is connected with the point; else all of that colour.
        """

    def MagnitudeGuider(
        self,
        *,
        positive: Conditioning,
        negative: Conditioning | None = None,
        cfg: float = 10.0,
        damping: float = 8.0,
    ) -> Any:
        """Damped-aware guidance: weaker where both answers differ much, as in the first steps.

        positive: What the picture is to show.
        negative: What it is to stay away from; the empty prompt if not linked.
        cfg: How strongly prompts lead; 1 and below leaves the negative prompt out.
        damping: How fast the scale goes down as they differ; 0 is plain guidance.
        """

    def MaskBounds(
        self,
        *,
        mask: Picture,
        margin: int = 0,
        multiple_of: int = 1,
    ) -> _MaskBounds:
        """The box that a mask is in, as numbers, and how much of the picture it covers.

        A batch has one box for all. An empty mask is in a box of 0 by 0.

        mask: Pixels above 0 count.
        margin: Pixels around it, as far as the picture reaches.
        multiple_of: What width and height are made multiples of, such as 8.
        """

    def MaskConditioning(
        self,
        *,
        conditioning: Conditioning,
        mask: Picture,
    ) -> Conditioning:
        """Keep a prompt to where a mask is 1. CombineConditioning brings several together.

        Where no prompt applies, the empty one does. With a mask or an area that it has already, the
        two are multiplied.

        conditioning: The prompt.
        mask: One; brought to the picture's size where it has another.
        """

    def MaskFromBoxes(
        self,
        *,
        boxes: str = '[[0.25, 0.25, 0.5, 0.5]]',
        image: Picture | None = None,
        width: int = 512,
        height: int = 512,
        unit: Literal['shares', 'pixels'] = 'shares',
        each: Literal['one mask', 'a mask each'] = 'one mask',
    ) -> Tensor:
        """Mask boxes that are written as text, such as a detector's.

        boxes: As [[x, y, width, height], ...], or four numbers a line.
        image: The mask is as large as this picture; without it, width and height say.
        width: In pixels, without a picture.
        height: In pixels, without a picture.
        unit: Shares of the picture's sides, 0 to 1, or pixels.
        each: All boxes in one mask, or a batch with a mask for each.
        """

    def MaskFromChannel(
        self,
        *,
        image: Picture,
        channel: _channel_ = 'luminance',
    ) -> Tensor:
        """Take a mask from a picture's brightness, transparency or another channel.

        image: Any; one without alpha is opaque everywhere.
        channel: Luminance weighs the colours as the eye does; value is the brightest of them.
        """

    def MaskFromColor(
        self,
        *,
        image: Picture,
        color: str = '#ffffff',
        tolerance: float = 0.1,
        softness: float = 0.0,
    ) -> Tensor:
        """Mask what is of a colour.

        image: Any.
        color: As #rrggbb, or by name.
        tolerance: How far red, green and blue may each be from it; 0 takes the very colour alone.
        softness: Further differences over which the mask fades out.
        """

    def MaskOverlay(
        self,
        *,
        image: Picture,
        mask: Picture,
        color: str = '#ff0000',
        opacity: float = 0.5,
    ) -> Tensor:
        """Show a mask over its picture.

        image: Any.
        mask: It is scaled to the picture.
        color: What is masked is tinted with it.
        opacity: How strongly.
        """

    def MaskToImage(
        self,
        *,
        mask: Picture,
    ) -> Tensor:
        """A mask as a picture: white where it masks.

        mask: Any.
        """

    def MatchColors(
        self,
        *,
        image: Picture,
        reference: Picture,
        method: Literal['mean and spread', 'histogram', 'covariance'] = 'mean and spread',
        amount: float = 1.0,
    ) -> Tensor:
        """Give pictures the colours of another one.

        image: Of any size.
        reference: One for all, or one for each; of any size.
        method: Histogram is the closest match, the others are gentler.
        amount: How much of it; 0 leaves the picture.
        """

    def MeshTurntable(
        self,
        *,
        mesh: Mesh | PointCloud,
        frames: int = 48,
        size: int = 384,
        rate: float = 24.0,
        elevation: float = 20.0,
    ) -> Video:
        """Show a mesh or points from all sides: a video in which it turns once.

        mesh: What is drawn, so large that it fits.
        frames: How many there are.
        size: Of the square frames, in pixels.
        rate: Frames a second.
        elevation: Degrees from which it is seen from above.
        """

    def MixAudio(
        self,
        *,
        audio: Audio,
        other: Audio,
        level: float = 1.0,
        start: float = 0.0,
    ) -> Audio:
        """Let two be heard at once, until the later one ends.

        audio: What is heard as it is.
        other: Of the same rate, and of as many channels or one.
        level: What the other is multiplied by.
        start: Second at which the other begins.
        """

    def MixNoise(
        self,
        *,
        noise: Any,
        seed: int = 0,
        share: float = 0.1,
    ) -> Any:
        """Noise with a share of another: a small one varies a picture.

        noise: The first.
        seed: Of the other.
        share: Of the other: 0 is the first alone, 1 the other alone; the variance stays as it is.
        """

    def MoleculeConditioning(
        self,
        *,
        logp: float | None = None,
        qed: float | None = None,
        rings: int | None = None,
        atoms: int | None = None,
    ) -> Conditioning:
        """What molecules are to be like; what isn't told is left to the model.

        logp: How much they prefer oil to water, as a power of ten: sugar has -3, benzene 1.7.
        qed: How like drugs they are, 0 to 1; of molecules this small 0.3 to 0.6.
        rings: How many rings they have.
        atoms: How many atoms, besides hydrogen.
        """

    def MoleculeFromSmiles(
        self,
        *,
        smiles: str,
        conformers: int = 1,
        seed: int = 0,
    ) -> Molecule:
        """Make a molecule of a SMILES text, and lay it in space.

        smiles: Such as CC(=O)Oc1ccccc1C(=O)O for aspirin.
        conformers: How many ways to lay it, with all its hydrogens; 0 leaves out where atoms are.
        seed: Of how it is laid.
        """

    def MoleculeProperties(
        self,
        *,
        molecule: Molecule,
    ) -> _MoleculeProperties:
        """Tell what a molecule is like: oil or water, like drugs or not, rings, atoms, mass.

        molecule: Where its atoms are makes no difference.
        """

    def MoleculeStatistics(
        self,
        *,
        molecules: Sequence[Molecule],
        known: Sequence[Molecule] | None = None,
        plotted: Literal['logp', 'qed', 'rings', 'atoms', 'mass'] = 'logp',
    ) -> _MoleculeStatistics:
        """Tell of many molecules how many are distinct and new, and what they are like.

        molecules: At least one.
        known: Molecules that don't count as new.
        plotted: The property whose histogram is plotted.
        """

    def MotionConditioning(
        self,
        *,
        image: Picture,
        vae: Vae,
        motion: _motion | None = None,
        amount: float | None = None,
    ) -> Conditioning:
        """How the thing in a picture is to move; what isn't told is left to the model.

        It is for a model such as tiny/motions, which knows pictures as tiny draws them: a thing on a
        plain background.

        image: What the video begins with; its middle is scaled to 64 x 64 pixels.
        vae: Of the model tiny.
        motion: What happens to the thing; of tiny/motions what turns or shrinks gets softest.
        amount: How far it goes: 1 is a fifth of the picture's side, a quarter turn, half as large again, or half as large.
        """

    def NegativeModel(
        self,
        *,
        guider: Any,
        model: DiffusionModel,
    ) -> Any:
        """Let another model answer for the negative prompt, such as one without the LoRA.

        Both are in memory at once. AutoGuidance asks a weaker one about the positive prompt.

        guider: What leads, with a negative prompt and a scale above 1.
        model: Of the same family as the model, and loaded in the same precision.
        """

    def NoNoise(
        self,
        *,
        seed: int = 0,
        draw: Literal['per item', 'per batch', 'per batch, one seed'] = 'per item',
    ) -> Any:
        """No noise: sampling goes on from the latent as it is, such as one with noise left in it.

        seed: Of what samplers draw on the way. That of the sampling before goes on with what comes after its noise.
        draw: Of what samplers draw on the way, as for RandomNoise.
        """

    def NoiseImage(
        self,
        *,
        width: int = 512,
        height: int = 512,
        kind: Literal['uniform', 'gaussian', 'clouds'] = 'clouds',
        size: float = 128.0,
        seed: int = 0,
        batch: int = 1,
        in_color: bool = True,
    ) -> Tensor:
        """Make random pictures: static, or clouds of many sizes.

        width: In pixels.
        height: In pixels.
        kind: Static with all values alike or mostly middle grey, or clouds.
        size: Pixels of the largest clouds.
        seed: Another one gives another picture.
        batch: How many; each has the next seed.
        in_color: Coloured instead of grey.
        """

    def NormGuidance(
        self,
        *,
        guider: Any,
        strength: float = 1.0,
    ) -> Any:
        """Keep the guided picture nowhere stronger than the positive prompt alone has it.

        In each cell of the latent, so that high scales give no glaring spots.

        guider: What leads.
        strength: What the picture's latent is multiplied by besides; 1 for nothing.
        """

    def NormalMap(
        self,
        *,
        image: Picture,
        strength: float = 4.0,
        green: Literal['up', 'down'] = 'up',
    ) -> Tensor:
        """Tell from a height or depth map which way a surface faces, as colours.

        image: Bright is high, or near.
        strength: How steep the slopes are taken to be.
        green: What full green faces: up as in OpenGL, or down as in DirectX.
        """

    def Number(
        self,
        *,
        value: float = 0.0,
    ) -> float:
        """A number, for several inputs at once.

        value: The number.
        """

    def NumberList(
        self,
        *,
        numbers: str = '1, 2, 3',
    ) -> list[float]:
        """A list of numbers as they are written.

        numbers: With commas, semicolons or space between them.
        """

    def NumberRange(
        self,
        *,
        start: float = 0.0,
        end: float = 1.0,
        count: int = 5,
    ) -> list[float]:
        """Numbers evenly spaced between two, both of them included.

        start: The first.
        end: The last.
        count: How many; of one alone it is the first.
        """

    def PadForOutpaint(
        self,
        *,
        image: Picture,
        left: int = 0,
        top: int = 0,
        right: int = 64,
        bottom: int = 0,
        feather: float = 16.0,
        fill: Literal['edge', 'mirror', 'color', 'noise'] = 'edge',
        color: str = '#808080',
        seed: int = 0,
        fade: Literal['linear', 'quadratic'] = 'linear',
    ) -> _PadForOutpaint:
        """Make room around a picture for a model to fill, and a mask of it.

        image: Any.
        left: Pixels that are added.
        top: Pixels that are added.
        right: Pixels that are added.
        bottom: Pixels that are added.
        feather: Pixels over which the mask fades out into the old picture.
        fill: What is there to begin with: the edge drawn out, the picture mirrored, a colour, or coloured noise.
        color: Of the fill by colour.
        seed: Of the noise.
        fade: Linear fades evenly, quadratic the slower the further.
        """

    def PadImage(
        self,
        *,
        image: Picture,
        left: int = 0,
        top: int = 0,
        right: int = 0,
        bottom: int = 0,
        border: Literal['color', 'edge', 'reflect', 'wrap'] = 'color',
        color: str = 'black',
    ) -> Tensor:
        """Put more around pictures.

        image: Of any size.
        left: Pixels that are added.
        top: Pixels that are added.
        right: Pixels that are added.
        bottom: Pixels that are added.
        border: Of what: a colour, the outermost pixels, the mirrored picture, or the picture again.
        color: One that isn't opaque, such as #00000000, gives pictures alpha.
        """

    def PathParts(
        self,
        *,
        path: str,
    ) -> _PathParts:
        """The parts of a file's path: for fruit/apple.png the folder fruit, apple.png, apple and .png.

        path: With / or \\ between folders.
        """

    def PatternImage(
        self,
        *,
        width: int = 512,
        height: int = 512,
        pattern: Literal['checker', 'stripes', 'grid', 'dots'] = 'checker',
        size: int = 32,
        color: str = 'black',
        background: str = 'white',
    ) -> Tensor:
        """Make a picture of squares, stripes, lines or dots.

        width: In pixels.
        height: In pixels.
        pattern: Which.
        size: Pixels of a square or a stripe, or from line to line.
        color: Of what is drawn.
        background: Of what is between.
        """

    def PerturbedAttentionGuidance(
        self,
        *,
        guider: Any,
        scale: float = 3.0,
        layers: str = '',
        start: float = 0.0,
        end: float = 1.0,
    ) -> Any:
        """Lead away from what the model says where its attention is switched off: clearer structure.

        Works without a prompt and on top of any guider, as one more question to the model per step.

        guider: What leads besides.
        scale: How strongly it leads.
        layers: Where: numbers of a transformer's blocks (`7, 8, 9`, `single.3`), parts of a UNet (`mid`, `down.1`, `up.0.2`); empty for the middle of the network.
        start: Part of the sampling in which it does, 0 to 1.
        end: Part of the sampling in which it does, 0 to 1.
        """

    def PickJson(
        self,
        *,
        text: str,
        path: str = '',
        missing: Literal['error', 'empty'] = 'error',
    ) -> Any:
        """Read a part of a JSON text: a text, a number, true or false, or a list of such.

        text: JSON.
        path: Which part, such as images[0].seed; empty for the whole.
        missing: What a part that isn't there is: an error, or an empty text.
        """

    def PixelateImage(
        self,
        *,
        image: Picture,
        size: int = 8,
    ) -> Tensor:
        """Make pictures of squares.

        image: Of any size; alpha becomes squares, too.
        size: Pixels of a side of the squares.
        """

    def PlotBetas(
        self,
        *,
        beta_schedule: Literal['scaled_linear', 'linear', 'squaredcos_cap_v2'] = 'scaled_linear',
        beta_start: float = 0.00085,
        beta_end: float = 0.012,
        timesteps: int = 1000,
        width: int = 640,
        height: int = 360,
    ) -> Tensor:
        """Draw what a noise schedule does to a picture: beta, alpha bar and sigma by timestep.

        Beta is the variance that a timestep adds, alpha bar the part of the picture's variance that
        is left, sigma the noise over the picture.

        beta_schedule: How beta rises; the cosine schedule (squaredcos) has ends of its own.
        beta_start: First and last beta. The defaults are Stable Diffusion 1.x's.
        beta_end: First and last beta. The defaults are Stable Diffusion 1.x's.
        timesteps: In training.
        width: Of the drawing in pixels.
        height: Of the drawing in pixels.
        """

    def PlotSchedule(
        self,
        *,
        model: DiffusionModel,
        steps: int = 20,
        sampler: _reference_sampler = 'dpmpp_2m',
        schedule: _schedule = 'karras',
        denoise: float = 1.0,
        width: int = 640,
        height: int = 360,
        denoise_steps: Literal['share', 'all'] = 'share',
        convention: Literal['diffusers', 'comfyui'] = 'diffusers',
    ) -> Tensor:
        """Draw the noise levels and timesteps that KSampler walks with the same settings.

        model: Whose noise levels to take.
        steps: Of the whole schedule.
        sampler: The method; methods lay their steps differently.
        schedule: The noise levels it walks down.
        denoise: Part of the schedule that is walked.
        width: Of the drawing in pixels.
        height: Of the drawing in pixels.
        denoise_steps: How steps are counted where denoise is below 1; as for KSampler.
        convention: As for KSampler.
        """

    def PlotValues(
        self,
        *,
        values: list[float] | Sequence[float],
        name: str = '',
        kind: Literal['line', 'points', 'bars'] = 'line',
        x: list[float] | Sequence[float] | None = None,
        categories: list[str] | Sequence[str] | None = None,
        title: str = '',
        x_label: str = '',
        y_label: str = '',
        x_scale: Literal['linear', 'log'] = 'linear',
        y_scale: Literal['linear', 'log'] = 'linear',
        low: list[float] | Sequence[float] | None = None,
        high: list[float] | Sequence[float] | None = None,
        note: str = '',
    ) -> Plot:
        """Plot a list of numbers, as a line, points or bars.

        values: What is plotted; a number that isn't finite leaves a gap.
        name: Of these values in the legend, where there are several series.
        kind: How they are drawn.
        x: Where they stand; 0, 1, 2, … if not given.
        categories: What each value is of, in place of x.
        title: Above the plot.
        x_label: Below the horizontal axis.
        y_label: Above the vertical axis.
        x_scale: How the horizontal axis is spaced.
        y_scale: How the vertical axis is spaced; what isn't above 0 is a gap on log.
        low: Lower end of each value's interval, such as a confidence interval.
        high: Its upper end.
        note: A sentence below the plot, such as what the intervals mean.
        """

    def PointsFromMesh(
        self,
        *,
        mesh: Mesh,
        count: int = 2048,
        seed: int = 0,
    ) -> PointCloud:
        """Points spread evenly over a mesh, with its colours.

        mesh: With some area.
        count: How many points.
        seed: Equal ones give equal points.
        """

    def PolyexponentialSchedule(
        self,
        *,
        steps: int = 20,
        rho: float = 1.0,
        sigma_max: float | None = None,
        sigma_min: float | None = None,
    ) -> Any:
        """Noise levels polynomial in log sigma, as k-diffusion's.

        steps: How many.
        rho: 1 spaces them evenly in log sigma, above it more of them lie low.
        sigma_max: The greatest and the least; the model's own if left out.
        sigma_min: The greatest and the least; the model's own if left out.
        """

    def PosterizeImage(
        self,
        *,
        image: Picture,
        levels: int = 4,
    ) -> Tensor:
        """Leave a few levels of each channel.

        image: Of any size.
        levels: Of each channel, from black to white.
        """

    def PredictOnce(
        self,
        *,
        model: DiffusionModel,
        positive: Conditioning,
        negative: Conditioning | None = None,
        latent: Latent,
        cfg: float = 4.0,
    ) -> _PredictOnce:
        """Ask a model once about a noisy latent, and take its answer apart: no sampling.

        All are latents, so that VAEDecode shows them as pictures.

        model: What removes the noise.
        positive: What the picture is to show.
        negative: What it is to stay away from; the empty prompt if not linked.
        latent: With noise in it: of AddNoise, or of a sampling that stopped early.
        cfg: How strongly prompts lead in clean and noise.
        """

    def Preprocess(
        self,
        *,
        image: Picture,
        preprocessor: Preprocessor,
        resolution: int = 0,
    ) -> Tensor:
        """Prepare pictures for a control network, in a way that another node gives.

        image: Any.
        preprocessor: Of SelectPreprocessor, or of a pack's node.
        resolution: Pixels of the shorter side that it works in; 0 is that of the picture. The result is as large as the picture in any case.
        """

    def PreviewImage(
        self,
        *,
        image: Picture,
    ) -> list[Path]:
        """Show pictures without keeping them.

        image: Each of the batch is shown.
        """

    def PreviewPlot(
        self,
        *,
        plot: Plot,
    ) -> list[Path]:
        """Show a plot without keeping it.

        plot: What is shown.
        """

    def ProjectedGuider(
        self,
        *,
        positive: Conditioning,
        negative: Conditioning | None = None,
        cfg: float = 10.0,
        momentum: float = -0.5,
        longest: float = 10.0,
        along: float = 0.0,
    ) -> Any:
        """Adaptive projected guidance: high scales without glaring colours.

        positive: What the picture is to show.
        negative: What it is to stay away from; the empty prompt if not linked.
        cfg: How strongly prompts lead; 1 and below leaves the negative prompt out.
        momentum: What a step keeps of the ways before; below 0 pushes away from them.
        longest: Norm that the way from the negative answer to the positive is cut to; 0 leaves it.
        along: Share that is kept of what lies along the positive answer; at 1, without momentum and a longest way, it is plain guidance.
        """

    def QuantizeImage(
        self,
        *,
        image: Picture,
        colors: int = 16,
        palette: str = '',
        dither: Literal['none', 'floyd-steinberg', 'ordered'] = 'none',
    ) -> Tensor:
        """Bring pictures down to a few colours.

        image: Each of the batch gets colours of its own.
        colors: How many.
        palette: Colours to use instead, such as black white #ff8800.
        dither: How colours between are made of dots.
        """

    def QuantizeModel(
        self,
        *,
        model: DiffusionModel,
        storage: Literal['float8', 'int8', 'int4', 'full'] = 'int8',
    ) -> DiffusionModel:
        """Keep a model's weights in fewer bits: less memory, results that differ a little.

        As LoadModel does with its storage. CompareSamplings tells what it costs.

        model: To be kept so; who uses it without has it whole beside.
        storage: float8 and int8 take a byte a number, int4 some 4.5 bits; full is what it computes in. Norms, embeddings and the like stay whole, with int4 convolutions, too.
        """

    def RandomNoise(
        self,
        *,
        seed: int = 0,
        draw: Literal['per item', 'per batch', 'per batch, one seed'] = 'per item',
    ) -> Any:
        """Noise by a seed, as KSampler draws it.

        seed: Of the noise of the first item; the next ones count up from it.
        draw: Noise for each item from a seed of its own; or for the batch in one draw from seed, and what is drawn on the way from seed + 1, as in ComfyUI, or with one seed from that itself, as in older versions of it.
        """

    def RandomNumber(
        self,
        *,
        seed: int = 0,
        low: float = 0.0,
        high: float = 1.0,
    ) -> _RandomNumber:
        """A number between two others that looks random, and is the same for the same seed.

        seed: Another number for each.
        low: The bounds. The whole number is one of those from low to high, both of them included, each as likely.
        high: The bounds. The whole number is one of those from low to high, both of them included, each as likely.
        """

    def RandomPrompt(
        self,
        *,
        text: str,
        seed: int = 0,
        syntax: Literal['dynamic prompts', 'comfyui'] = 'dynamic prompts',
    ) -> str:
        """Draw a prompt by a seed: {red|green|blue} is one of them, __animal__ a line of a file.

        {3::red|green} is red three times as often, {2$$red|green|blue} two of them,
        {1-2$$ and $$red|green} one or two with " and " between. __pets/small__ is a line of
        wildcards/pets/small.txt in the inputs folder, and may draw further. \\{ \\} \\_ are plain. Link a
        SeedRange to draw many.

        text: What is drawn from.
        seed: The same one draws the same, as long as the files are the same.
        syntax: As written above, or comfyui: as ComfyUI's page reads prompts, with // and /* */ comments, and without weights, counts and files. Imports set it.
        """

    def Range(
        self,
        *,
        stop: int = 4,
        start: int = 0,
        step: int = 1,
    ) -> list[int]:
        """Whole numbers, evenly spaced.

        stop: Where they end; it is not one of them.
        start: The first one.
        step: From one to the next; below 0 to count down.
        """

    def ReferenceLatents(
        self,
        *,
        conditioning: Conditioning,
        latent: Latent | None = None,
        places: Literal['auto', 'offset', 'index'] = 'auto',
        still: bool = False,
    ) -> Conditioning:
        """Show pictures to a model that edits, such as Flux.1 Kontext, Flux.2 or Qwen-Image-Edit.

        Several, one after the other, show it several pictures.

        conditioning: What to make of them. A negative prompt needs none of its own: it takes those of the positive one.
        latent: The pictures, encoded by the model's VAE; they may have other sizes than the result. Without any it only says of those before where they lie.
        places: How Flux.1 Kontext tells several apart: auto and offset put them side by side, index gives each a number, as some LoRAs were trained with. Others know it by themselves.
        still: Tell Qwen-Image-Edit that the pictures are without noise, as Edit Plus 2511 was trained. Its folders tell so by themselves, and so do the files that ComfyUI marks.
        """

    def RefineMask(
        self,
        *,
        model: Any,
        image: Picture,
        mask: Picture,
        width: int = 10,
    ) -> Tensor:
        """Give a mask a fine edge, such as of hair, by ViTMatte. With SetAlpha it removes a background.

        model: Of LoadVisionModel: ViTMatte.
        image: Any.
        mask: Right but for its edge; scaled to the picture.
        width: Pixels on both sides of the edge that are decided anew.
        """

    def RemoveBackground(
        self,
        *,
        image: Picture,
        tolerance: float = 0.1,
        softness: float = 1.0,
    ) -> _RemoveBackground:
        """Make the even background transparent that a thing stands on, such as a white one.

        Where the background is of many things, take ForegroundMask; or mask the thing by SelectByBox,
        SelectByPoints or SegmentAnything, and take SetAlpha.

        image: Its border is of the background.
        tolerance: How far red, green and blue may each be from the border's colours.
        softness: Pixels over which the edge fades inwards.
        """

    def RemoveDuplicates(
        self,
        *,
        dataset: Dataset,
        by: Literal['pixels', 'structure', 'meaning'] = 'pixels',
        distance: float = 0.05,
        encoder: ImageEncoder | None = None,
        within_label: bool = False,
    ) -> _RemoveDuplicates:
        """Remove pictures that are nearly the same as one before them.

        dataset: Its pictures are all read.
        by: Pixels compares small copies, structure where brightness rises and falls, whatever the colours and the size (dHash), meaning what an image encoder sees.
        distance: Up to which two count as the same: the mean difference of pixels, the share of 64 bits, or 1 less the cosine of what is seen.
        encoder: For meaning: CLIP's, say.
        within_label: Compare only pictures of one class.
        """

    def ReorderList(
        self,
        *,
        items: list[Any] | Sequence[Any],
        order: _order = 'reversed',
        seed: int = 0,
    ) -> list[Any]:
        """The items of a list in another order.

        items: The list.
        order: Sorted are numbers by size and texts by letters, capitals like small ones.
        seed: Another order for each, where they are shuffled.
        """

    def Repeat(
        self,
        *,
        state: Any,
        body: Any,
        times: int = 4,
        **inputs: Any,
    ) -> _Repeat:
        """Run a subgraph a number of times, each time on what it gave before.

        The subgraph takes a `state`, and if it likes its number as `index`, and gives the next `state`.
        Its other inputs are inputs of this node. The outputs are the last state, and all of them.

        state: What it is first given.
        body: Name of the subgraph.
        times: How often.
        """

    def RepeatExamples(
        self,
        *,
        dataset: Dataset,
        repeats: int = 1,
        balance: bool = False,
        weight: float = 1.0,
    ) -> Dataset:
        """Say how often examples are learned from in an epoch, such as those of rare classes.

        dataset: What it said before is replaced.
        repeats: Times.
        balance: Rare classes more often, so that each has about as much of an epoch.
        weight: What the loss of these examples is multiplied by.
        """

    def RepeatImage(
        self,
        *,
        image: Picture,
        times: int = 2,
    ) -> Tensor:
        """Take pictures several times, in one batch.

        image: One, or a batch, which is repeated as a whole.
        times: How often.
        """

    def RepeatItems(
        self,
        *,
        items: list[Any] | Sequence[Any],
        times: int = 2,
        each: bool = False,
    ) -> list[Any]:
        """A list several times over.

        items: The list.
        times: How often.
        each: Each item so often before the next one comes, in place of the whole list.
        """

    def RepeatLatent(
        self,
        *,
        latent: Latent,
        times: int = 2,
    ) -> Latent:
        """Take a latent several times, in one batch; each copy draws noise of its own.

        latent: One, or a batch, which is repeated as a whole.
        times: How often.
        """

    def ReplaceText(
        self,
        *,
        text: str,
        find: str,
        replacement: str = '',
        regex: bool = False,
        ignore_case: bool = False,
        most: int = 0,
    ) -> str:
        """Put another text in place of what is found in a text.

        text: The text.
        find: What to look for.
        replacement: What comes in its place, each time; of a pattern, \\1 is its first group.
        regex: Whether what is looked for is a pattern (a regular expression).
        ignore_case: Whether capitals count as small letters.
        most: How many are replaced, from the first on; 0 for all.
        """

    def ResampleAudio(
        self,
        *,
        audio: Audio,
        rate: int = 48000,
    ) -> Audio:
        """Bring audio to another rate: as long and as high as before.

        audio: Of 1,000 to 384,000 samples a second.
        rate: Samples a second.
        """

    def RescaleGuidance(
        self,
        *,
        guider: Any,
        rescale: float = 0.7,
        of: Literal['output', 'velocity'] = 'output',
    ) -> Any:
        """Bring a guider's answer to the spread of the positive prompt's, against glaring pictures.

        guider: What leads.
        rescale: How far; 0.7 for models trained to zero SNR.
        of: What has that spread: what the network gives, or its velocity, as in ComfyUI. Of models that predict velocities both are one.
        """

    def ResizeDataset(
        self,
        *,
        dataset: Dataset,
        mode: Literal['one size', 'buckets'] = 'buckets',
        width: int = 512,
        height: int = 0,
        fit: Literal['crop', 'pad', 'stretch'] = 'crop',
        multiple: int = 64,
        max_aspect: float = 2.0,
        enlarge: bool = True,
    ) -> Dataset:
        """Say to what size pictures are brought when they are learned from: one, or the nearest bucket.

        dataset: Its files stay as they are.
        mode: Buckets are sizes of about one area and many proportions, so little is cut off.
        width: In pixels; of buckets the side of the square.
        height: In pixels; 0 is as wide. Of one size alone.
        fit: How a picture comes to one size.
        multiple: What the sides of buckets are multiples of.
        max_aspect: Of buckets: the longer side in shorter ones.
        enlarge: Of buckets: make small pictures larger.
        """

    def ResizeImage(
        self,
        *,
        image: Picture,
        width: int = 512,
        height: int = 512,
        method: Literal['lanczos', 'bicubic', 'bilinear', 'area', 'nearest'] = 'lanczos',
        fit: Literal['stretch', 'crop', 'pad', 'inside', 'outside'] = 'stretch',
        like: Picture | None = None,
        multiple_of: int = 1,
        fill: str = 'black',
    ) -> Tensor:
        """Scale pictures to a size.

        image: Of any size.
        width: In pixels; 0 keeps the proportions.
        height: In pixels; 0 keeps the proportions.
        method: How pixels are made of others; nearest keeps their values.
        fit: Stretch ignores the proportions; crop keeps them and cuts off what is too much; pad keeps them and fills up; inside keeps them and stays within the size, outside covers it.
        like: A picture whose size is taken instead.
        multiple_of: Sides are rounded to multiples of it.
        fill: Colour that pad fills up with; one that isn't opaque gives pictures alpha.
        """

    def ResizeLatent(
        self,
        *,
        latent: Latent,
        factor: float = 1.5,
        width: int = 0,
        height: int = 0,
        method: Literal['bislerp', 'bicubic', 'bilinear', 'area', 'nearest'] = 'bislerp',
    ) -> Latent:
        """Scale a latent, such as for a hires fix: then sample it with denoise 0.4 to 0.7.

        latent: Any, also an empty one; its noise mask comes along.
        factor: How many times larger its sides get; rounded to whole cells, of 8 pixels mostly.
        width: In pixels, in place of the factor; 0 of one of them keeps the proportions.
        height: In pixels, in place of the factor; 0 of one of them keeps the proportions.
        method: How cells are made of others. Bislerp goes between two along an arc, which keeps their contrast; bicubic and bilinear soften, area averages, nearest repeats.
        """

    def ResizeMask(
        self,
        *,
        mask: Picture,
        image: Picture | None = None,
        width: int = 512,
        height: int = 512,
        method: Literal['bilinear', 'bicubic', 'lanczos', 'area', 'nearest'] = 'bilinear',
    ) -> Tensor:
        """Scale a mask to a picture, or to a size.

        mask: Of any size.
        image: It gets this picture's size; without it, width and height say.
        width: In pixels, without a picture.
        height: In pixels, without a picture.
        method: How pixels are made of others; nearest keeps hard edges hard.
        """

    def Resolution(
        self,
        *,
        family: _family__ = 'sdxl',
        aspect: _aspect = '1:1',
        portrait: bool = False,
        megapixels: float = 0.0,
        multiple: int = 0,
        like: Picture | None = None,
    ) -> _Resolution:
        """Width and height that a model likes, by its family and the proportions.

        Those of SDXL, Flux.1 Kontext and Qwen-Image are the sizes that they were trained on; others
        are as many pixels as their family's. To bring a picture to such a size, link it here as well
        as to a ResizeImage that crops, and the size to that one's.

        family: Of the model; tiny is the one that comes with nodegraph.
        aspect: Width to height.
        portrait: Higher than wide.
        megapixels: Millions of pixels; 0 for what the family was trained on.
        multiple: What both sides are to be multiples of; 0 for what the family takes.
        like: A picture whose proportions are taken instead.
        """

    def ReviseConditioning(
        self,
        *,
        conditioning: Conditioning,
        image_encoder: ImageEncoder,
        image: Picture,
        strength: float = 1.0,
        noise: float = 0.0,
        seed: int = 0,
        adds: bool = False,
    ) -> Conditioning:
        """Let what pictures show stand for what a prompt of Stable Diffusion XL says as a whole.

        Its words still lead through their embeddings; with an empty prompt the pictures lead alone.

        conditioning: The positive prompt.
        image_encoder: CLIP ViT-bigG's, which goes with the second text encoder.
        image: Each of the batch counts.
        strength: How strongly each does.
        noise: How much of what is seen is drowned in noise: the pictures lead more loosely.
        seed: Of that noise.
        adds: Add it to what the prompt says, or to other pictures of such a node before.
        """

    def RotateImage(
        self,
        *,
        image: Picture,
        angle: float = 90.0,
        expand: bool = True,
        color: str = 'black',
        method: Literal['bicubic', 'bilinear', 'nearest'] = 'bicubic',
    ) -> Tensor:
        """Turn pictures about their middle.

        image: Of any size.
        angle: Degrees, clockwise. Right angles move pixels and change none.
        expand: Make it large enough for all of the picture; else it stays as large as it was.
        color: Of the corners; one that isn't opaque, such as #00000000, gives pictures alpha.
        method: How pixels are made of others; nearest keeps their values.
        """

    def RotateLatent(
        self,
        *,
        latent: Latent,
        angle: Literal['90', '180', '270'] = '90',
    ) -> Latent:
        """Turn a latent by quarters of a circle, clockwise.

        latent: Any, also an empty one; its noise mask comes along.
        angle: Degrees.
        """

    def Round(
        self,
        *,
        number: float,
    ) -> int:
        """The whole number nearest to a number; of two as near, the even one.

        number: What to round.
        """

    def SDTurboSchedule(
        self,
        *,
        steps: int = 1,
        denoise: float = 1.0,
    ) -> Any:
        """The first of ten timesteps that SD Turbo and SDXL Turbo were distilled on.

        steps: How many of them.
        denoise: Below 1, that share of the ten is left to take them from: the rest of a picture is kept.
        """

    def SampleCustom(
        self,
        *,
        model: DiffusionModel,
        noise: Any,
        guider: Any,
        sampler: Any,
        schedule: Any,
        latent: Latent,
        convention: Literal['diffusers', 'comfyui'] = 'diffusers',
    ) -> _SampleCustom:
        """Turn noise into a latent by parts that are put together one by one.

        RandomNoise, CFGGuider, SelectSampler and BasicSchedule give what KSampler gives with the same
        settings, to the last bit.

        model: What removes the noise.
        noise: What is begun with.
        guider: The prompts, and how they lead.
        sampler: The method.
        schedule: The noise levels that are walked. A part of one leaves its noise in the latent, or goes on with what was left, if no noise is added.
        latent: Empty for a picture from noise alone, or the picture to start from.
        convention: As for KSampler.
        """

    def SampleDecoder(
        self,
        *,
        model: Literal['gan', 'vae'] = 'gan',
        count: int = 16,
        seed: int = 0,
        spread: float = 1.0,
    ) -> Latent:
        """Make latents in one go with a small GAN or VAE that comes along: 128 pixels, no prompt.

        Both learned the latents of pictures that the model tiny learned from: sixteen things, one large
        on a plain background each. The VAE of tiny decodes them.

        model: A generator that learned against a critic (GAN), or a decoder that learned with an encoder (VAE).
        count: How many.
        seed: Of the first one; the next ones count up from it.
        spread: Below 1 more usual pictures, and fewer kinds; above 1 stranger ones.
        """

    def SaveAnimation(
        self,
        *,
        image: Picture,
        rate: float = 8.0,
        name: str = 'animation',
        format: Literal['webp', 'gif', 'png'] = 'webp',
        quality: int = 85,
        loop: bool = True,
    ) -> list[Path]:
        """Write a batch as a picture that moves, with the workflow that made it.

        image: The batch, in the order in which they are shown.
        rate: Pictures a second.
        name: What the file names begin with, see SaveImage.
        format: GIF has 256 colours, PNG (APNG) is lossless.
        quality: Of WebP; 100 is lossless.
        loop: Begin anew again and again.
        """

    def SaveAudio(
        self,
        *,
        audio: Audio,
        name: str = 'audio',
        format: Literal['flac', 'wav', 'ogg'] = 'flac',
        quality: int = 75,
        picture: bool = True,
    ) -> list[Path]:
        """Write audio to the output folder, with the workflow that made it.

        Files are numbered: song_00001.flac. One with the same content is not written again.

        audio: Up to eight channels.
        name: What the file names begin with; songs/song makes a sub-folder. Words such as %date% are filled in as in SaveImage.
        format: FLAC is lossless in 24 bits, WAV in every bit and larger, OGG (Opus) small.
        quality: Of OGG.
        picture: Also write a picture of its waveform.
        """

    def SaveDataset(
        self,
        *,
        dataset: Dataset,
        name: str = 'dataset',
        format: Literal['image folder', 'coco', 'webdataset'] = 'image folder',
        resized: bool = False,
        segments: Literal['rle', 'polygons'] = 'rle',
        per_shard: int = 1000,
        picture: bool = True,
    ) -> list[Path]:
        """Write a dataset into a folder of the outputs, in a form that other tools read.

        Folders are numbered: dataset_00001. One with the same content is not written again.

        dataset: Files are copied as they are, what was made here becomes PNG.
        name: What the folder's name begins with; sets/fruit makes a sub-folder.
        format: Folders of classes with metadata.jsonl (Hugging Face, torchvision), COCO's annotations of boxes and masks, or WebDataset's tar files.
        resized: At the sizes that pictures are learned from.
        segments: How COCO's masks are written.
        per_shard: Examples in one tar file.
        picture: Also write a picture of the first examples, beside the folder.
        """

    def SaveImage(
        self,
        *,
        image: Picture,
        name: str = 'image',
        format: Literal['png', 'jpeg', 'webp', 'avif', 'tiff'] = 'png',
        quality: int = 95,
        bits: Literal['8', '16'] = '8',
        rounding: Literal['nearest', 'down'] = 'nearest',
    ) -> list[Path]:
        """Write pictures to the output folder, each with the workflow that made it.

        They are numbered: apple_00001.png. A file with the same content is not written again.

        image: Each of the batch gets a file of its own.
        name: What the file names begin with; fruit/apple makes a sub-folder. %date%, %time%, %width%, %height%, %index% say what they name, %sample.seed% an input of a node.
        format: PNG is lossless, and keeps workflows of any length.
        quality: Of JPEG, WebP and AVIF.
        bits: Of each channel; 16 in PNG alone.
        rounding: Of 8 bits: to the nearest level, or down, as ComfyUI does.
        """

    def SaveLatent(
        self,
        *,
        latent: Latent,
        name: str = 'latent',
    ) -> list[Path]:
        """Write a latent to the output folder, with the workflow that made it.

        Files are numbered: apple_00001.safetensors. One with the same content is not written again.

        latent: All of its batch, with its noise mask, seeds and the noise that is left in it.
        name: What the file names begin with; fruit/apple makes a sub-folder. Words such as %date% are filled in as in SaveImage.
        """

    def SaveMask(
        self,
        *,
        mask: Picture,
        name: str = 'mask',
    ) -> list[Path]:
        """Write masks to the output folder as gray PNGs, which LoadMask reads again.

        mask: Each of the batch gets a file of its own.
        name: What the file names begin with; fruit/apple makes a sub-folder.
        """

    def SaveMesh(
        self,
        *,
        mesh: Mesh,
        name: str = 'mesh',
        format: Literal['glb', 'ply', 'obj'] = 'glb',
        picture: bool = True,
    ) -> list[Path]:
        """Write a mesh to the output folder, with the workflow that made it.

        Files are numbered: chair_00001.glb. One with the same content is not written again.

        mesh: With its colours or texture, if it has some.
        name: What the file names begin with; chairs/chair makes a sub-folder.
        format: Only GLB holds a texture; in PLY and OBJ vertices get its colours.
        picture: Also write a moving picture of it, seen from all sides.
        """

    def SaveMolecule(
        self,
        *,
        molecule: Molecule,
        name: str = 'molecule',
        format: Literal['sdf', 'pdb', 'smi'] = 'sdf',
        picture: bool = True,
    ) -> list[Path]:
        """Write a molecule to the output folder, with the workflow that made it.

        Files are numbered: aspirin_00001.sdf. One with the same content is not written again.

        molecule: With where its atoms are, if that is known.
        name: What the file names begin with; drugs/aspirin makes a sub-folder.
        format: SDF has bonds and the first conformer, PDB residues and all of them; SMILES has no room for a workflow.
        picture: Also write a drawing of it.
        """

    def SavePlot(
        self,
        *,
        plot: Plot,
        name: str = 'plot',
        format: Literal['json', 'csv', 'svg'] = 'json',
        width: int = 640,
        height: int = 400,
        picture: bool = True,
    ) -> list[Path]:
        """Write a plot to the output folder, with a picture of it beside.

        plot: What is written.
        name: What the file names begin with; runs/loss makes a sub-folder.
        format: JSON is what editors show and LoadPlot reads, with the workflow that made it (long series are thinned); CSV has every number; SVG is a drawing of any size.
        width: Of the drawing, in pixels.
        height: The same.
        picture: Also write a PNG of it.
        """

    def SavePointCloud(
        self,
        *,
        point_cloud: PointCloud,
        name: str = 'points',
        picture: bool = True,
    ) -> list[Path]:
        """Write points to the output folder as PLY, with the workflow that made them.

        Files are numbered: scan_00001.ply. One with the same content is not written again.

        point_cloud: With its colours, if it has some.
        name: What the file names begin with; scans/scan makes a sub-folder.
        picture: Also write a moving picture of them, seen from all sides.
        """

    def SaveText(
        self,
        *,
        text: str,
        name: str = 'text',
        format: Literal['txt', 'md', 'csv', 'json'] = 'txt',
    ) -> list[Path]:
        """Write a text to the output folder.

        Files are numbered: text_00001.txt. One with the same content is not written again.

        text: It is written as it is, in UTF-8, whatever the format.
        name: What the file names begin with; notes/fox makes a sub-folder. %date%, %time% say what they name, %sample.seed% an input of a node.
        format: What the file names end with.
        """

    def SaveVideo(
        self,
        *,
        video: Video,
        name: str = 'video',
        format: Literal['mp4', 'webm', 'mkv'] = 'mp4',
        quality: int = 75,
    ) -> list[Path]:
        """Write a video to the output folder, with the workflow that made it.

        Files are numbered: walk_00001.mp4. One with the same content is not written again.

        video: With its audio, if it has some.
        name: What the file names begin with; clips/walk makes a sub-folder. Words such as %date% are filled in as in SaveImage.
        format: MP4 (H.264) plays anywhere, WebM (VP9) in browsers; both get even sides. MKV (FFV1) is lossless.
        quality: Of MP4 and WebM.
        """

    def SaveWeights(
        self,
        *,
        weights: TrainedWeights,
        name: str = 'lora',
        naming: Literal['auto', 'kohya', 'diffusers'] = 'auto',
    ) -> list[Path]:
        """Write what was taught as a file that diffusers, ComfyUI, A1111 and others read.

        A LoRA or a word becomes a file, and files are numbered: lora_00001.safetensors. Whole models,
        control networks and classifiers become a folder with their configuration, whose name ends with
        letters of their digest. What is there with the same content is not written again.

        weights: What a training made.
        name: What the file names begin with; style/ink makes a sub-folder.
        naming: Of a LoRA's tensors. kohya's is read by ComfyUI, A1111, diffusers and nodegraph; diffusers' of a UNet by diffusers and nodegraph. auto is kohya's for UNets (Stable Diffusion 1.x, 2.x, XL), and diffusers' for transformers, which ComfyUI reads, too.
        """

    def ScaleImage(
        self,
        *,
        image: Picture,
        by: _by = 'factor',
        amount: float = 2.0,
        method: Literal['lanczos', 'bicubic', 'bilinear', 'area', 'nearest'] = 'lanczos',
        multiple_of: int = 1,
    ) -> Tensor:
        """Scale pictures and keep their proportions.

        image: Of any size.
        by: What is given: a factor, the pixels of a side, or how many there are in all.
        amount: The factor, the pixels, or the megapixels, of which one has 1024 x 1024.
        method: How pixels are made of others; nearest keeps their values.
        multiple_of: Sides are rounded to multiples of it.
        """

    def ScaleNoise(
        self,
        *,
        noise: Any,
        strength: float = 1.0,
    ) -> Any:
        """Begin with stronger or weaker noise than the model was trained on.

        A little less gives calmer, emptier pictures, a little more livelier ones. Some models, in
        pixels, are trained on stronger noise: those want it here.

        noise: Any.
        strength: Times what it was; what is drawn on the way stays as it is.
        """

    def ScaleSchedule(
        self,
        *,
        schedule: Any,
        factor: float = 1.0,
    ) -> Any:
        """All noise levels times a number: below 1, less noise is taken to be there than there is.

        schedule: What is scaled.
        factor: The number.
        """

    def ScheduleFromList(
        self,
        *,
        sigmas: list[float] | Sequence[float],
    ) -> Any:
        """Noise levels from a list of numbers.

        sigmas: The noisiest first; with flow models, at most 1.
        """

    def ScheduleLevels(
        self,
        *,
        model: DiffusionModel,
        schedule: Any,
        sampler: Any = None,
        latent: Latent | None = None,
        convention: Literal['diffusers', 'comfyui'] = 'diffusers',
    ) -> list[float]:
        """The noise levels of a schedule as numbers, from where it begins to where it ends.

        model: Whose noise levels they are.
        schedule: How they are laid.
        sampler: The method; methods lay their steps differently. euler if not linked.
        latent: Of the size that is sampled, by which flow models shift them; the model's own size if not linked.
        convention: As for KSampler.
        """

    def Scribble(
        self,
        *,
        image: Picture,
        threshold: float = 0.12,
        thickness: int = 2,
    ) -> Tensor:
        """Draw a picture's outlines roughly, as by hand: thick white lines on black.

        image: Any.
        threshold: How much a line differs from its surroundings at least.
        thickness: Pixels that lines are thickened by to each side.
        """

    def SecondExpertCfg(
        self,
        *,
        conditioning: Conditioning,
        cfg: float = 3.0,
    ) -> Conditioning:
        """Give the second expert of Wan 2.2 a guidance scale of its own.

        The first has the sampler's, and so has the second without this node. Where that is 1 or below,
        there is no negative side, and this changes nothing.

        conditioning: The positive prompt.
        cfg: How strongly prompts lead in the last, less noisy part of the sampling.
        """

    def Seed(
        self,
        *,
        seed: int = 0,
        offset: int = 0,
    ) -> int:
        """A seed for several nodes at once.

        seed: The seed.
        offset: Added to it, so that several follow each other.
        """

    def SeedFromText(
        self,
        *,
        text: str,
        number: int = 0,
    ) -> int:
        """A seed made of a text: it looks random, and is the same for the same text.

        text: Such as a name.
        number: Another seed for each number.
        """

    def SeedRange(
        self,
        *,
        start: int = 0,
        count: int = 4,
    ) -> list[int]:
        """Consecutive seeds: linked to a seed input, the node runs once for each.

        After the largest, 2**64 - 1, comes 0.

        start: The first seed.
        count: How many.
        """

    def SegmentAnything(
        self,
        *,
        model: Any,
        image: Picture,
        points: str = '0.5, 0.5',
        excluded: str = '',
        boxes: str = '',
        unit: Literal['shares', 'pixels'] = 'shares',
    ) -> _SegmentAnything:
        """Mask the thing that points are on, or the things in boxes, by SAM or SAM 2.

        model: Of LoadVisionModel: SAM, SAM-HQ or SAM 2.
        image: Points and boxes are the same in all of a batch.
        points: x and y of points on it, such as 0.5, 0.5 or [[0.2, 0.3], [0.8, 0.3]].
        excluded: Points on what is not to be masked.
        boxes: x, y, width and height of a box round it; several boxes, without points, mask a thing each.
        unit: Shares of the picture's sides, 0 to 1, or pixels.
        """

    def SegmentByText(
        self,
        *,
        model: Any,
        image: Picture,
        text: str,
        threshold: float = 0.4,
    ) -> Tensor:
        """Mask what a text says, by SAM 3 or CLIPSeg.

        model: Of LoadVisionModel: SAM 3, which finds things and follows their edges, or CLIPSeg.
        image: Any.
        text: What to mask, such as a hat.
        threshold: How sure the model is to be; 0 gives a soft mask of how sure it is.
        """

    def SegmentClass(
        self,
        *,
        model: Any,
        image: Picture,
        labels: str,
    ) -> Tensor:
        """Mask things of the classes that a model knows, such as sky, by SegFormer and others.

        model: Of LoadVisionModel: one that was trained on classes.
        image: Any.
        labels: Names of classes, with commas between them.
        """

    def Select(
        self,
        *,
        index: int = 0,
        option_0: Any = None,
        option_1: Any = None,
        option_2: Any = None,
        option_3: Any = None,
        option_4: Any = None,
        option_5: Any = None,
        option_6: Any = None,
        option_7: Any = None,
    ) -> Any:
        """One of several values, by its number; what only the others need never runs.

        index: Which one to take, counted from 0.
        option_0: What there is to choose from. Where the one to be taken isn't given, what depends on this node is skipped.
        option_1: What there is to choose from. Where the one to be taken isn't given, what depends on this node is skipped.
        option_2: What there is to choose from. Where the one to be taken isn't given, what depends on this node is skipped.
        option_3: What there is to choose from. Where the one to be taken isn't given, what depends on this node is skipped.
        option_4: What there is to choose from. Where the one to be taken isn't given, what depends on this node is skipped.
        option_5: What there is to choose from. Where the one to be taken isn't given, what depends on this node is skipped.
        option_6: What there is to choose from. Where the one to be taken isn't given, what depends on this node is skipped.
        option_7: What there is to choose from. Where the one to be taken isn't given, what depends on this node is skipped.
        """

    def SelectByBox(
        self,
        *,
        image: Picture,
        box: str = '0.1, 0.1, 0.8, 0.8',
        unit: Literal['shares', 'pixels'] = 'shares',
    ) -> Tensor:
        """Mask the thing in a box: what is unlike what is around the box. No model is needed.

        image: The box is the same in all of a batch.
        box: x, y, width and height of a box round it, such as 0.1, 0.1, 0.8, 0.8.
        unit: Shares of the picture's sides, 0 to 1, or pixels.
        """

    def SelectByPoints(
        self,
        *,
        image: Picture,
        points: str = '0.5, 0.5',
        excluded: str = '',
        unit: Literal['shares', 'pixels'] = 'shares',
        radius: int = 3,
    ) -> Tensor:
        """Mask the thing that a point is on, up to its edges. No model is needed.

        image: The points are the same in all of a batch.
        points: x and y of points on it, such as 0.5, 0.5 or [[0.2, 0.3], [0.8, 0.3]].
        excluded: Points on what is not to be masked; without any, the picture's border is.
        unit: Shares of the picture's sides, 0 to 1, or pixels.
        radius: Pixels around a point that surely belong to it.
        """

    def SelectGuider(
        self,
        *,
        positive: Conditioning,
        negative: Conditioning | None = None,
        guider: Literal['cfg'] = 'cfg',
        cfg: float = 7.0,
    ) -> Any:
        """A guider by its name, such as one of a pack.

        positive: What the picture is to show.
        negative: What it is to stay away from; the empty prompt if not linked.
        guider: How both predictions are combined: cfg is classifier-free guidance, as CFGGuider has it; packs and installed packages add others.
        cfg: Guidance scale. At 1 or below the negative prompt is not evaluated.
        """

    def SelectPreprocessor(
        self,
        *,
        kind: _kind = 'canny edges',
    ) -> Preprocessor:
        """A way to prepare pictures for a control network, for Preprocess to apply.

        kind: As the node of that name, or BlurImage and PosterizeImage, with its defaults. Packs bring others, as nodes of theirs.
        """

    def SelectSampler(
        self,
        *,
        sampler: _reference_sampler = 'dpmpp_2m',
        eta: float | None = None,
        s_noise: float | None = None,
        s_churn: float | None = None,
        s_tmin: float | None = None,
        s_tmax: float | None = None,
        order: int | None = None,
        gamma: float | None = None,
        repeats: int | None = None,
        s_noise_end: float | None = None,
        noise_clip: float | None = None,
    ) -> Any:
        """The method by which a sampling steps. What is left out is the sampler's own.

        sampler: The method; those of packs and installed packages, too.
        eta: Part of the noise that is drawn anew in each step: 0 draws none.
        s_noise: Factor on all noise that is drawn on the way.
        s_churn: Noise that is added before steps, over the whole sampling.
        s_tmin: Between these noise levels it is added, or the way is walked again.
        s_tmax: Between these noise levels it is added, or the way is walked again.
        order: How many predictions a step looks at.
        gamma: How far a slope is followed past the one before it.
        repeats: How often the way between s_tmax and s_tmin is walked again.
        s_noise_end: What s_noise comes to in the last step.
        noise_clip: Noise is held within so many of its standard deviations; 0: it isn't.
        """

    def SelectSuperpixels(
        self,
        *,
        image: Picture,
        points: str = '0.5, 0.5',
        unit: Literal['shares', 'pixels'] = 'shares',
        parts: int = 50,
        method: Literal['slic', 'felzenszwalb', 'watershed'] = 'slic',
    ) -> Tensor:
        """Mask those parts of alike pixels that some points lie in.

        image: The points are the same in all of a batch.
        points: x and y of one or several, such as 0.5, 0.5 or [[0.2, 0.3], [0.8, 0.3]].
        unit: Shares of the picture's sides, 0 to 1, or pixels.
        parts: As of Superpixels, which shows them.
        method: As of Superpixels, which shows them.
        """

    def SelfAttentionGuidance(
        self,
        *,
        guider: Any,
        scale: float = 0.75,
        blur: float = 1.0,
        start: float = 0.0,
        end: float = 1.0,
    ) -> Any:
        """Lead away from what a UNet says of a picture blurred where it looks: clearer details.

        guider: What leads besides.
        scale: How strongly it leads.
        blur: Standard deviation in cells of the latent.
        start: Part of the sampling in which it does, 0 to 1.
        end: Part of the sampling in which it does, 0 to 1.
        """

    def SetAlpha(
        self,
        *,
        image: Picture,
        mask: Picture,
        masked: Literal['opaque', 'transparent'] = 'opaque',
    ) -> Tensor:
        """Make a part of a picture transparent, by a mask. Saved as PNG or WebP, it stays so.

        image: Its own transparency is replaced.
        mask: It is scaled to the picture.
        masked: Whether what is masked stays opaque or becomes transparent.
        """

    def SetCaptions(
        self,
        *,
        dataset: Dataset,
        captions: list[str] | Sequence[str] | None = None,
        labels: list[str] | Sequence[str] | None = None,
    ) -> Dataset:
        """Give a dataset's examples captions or labels from elsewhere, such as a language model.

        dataset: Its other texts stay.
        captions: One an example, in their order, or one for all.
        labels: The same of classes.
        """

    def SetFirstLevel(
        self,
        *,
        schedule: Any,
        sigma: float = 136.0,
    ) -> Any:
        """Begin a schedule at another noise level, also above what the model was trained on.

        schedule: Whose first level is set; the others stay.
        sigma: The level, above the next one; the model is asked at the noisiest timestep it knows.
        """

    def SetFlowShift(
        self,
        *,
        model: DiffusionModel,
        shift: float = 3.0,
    ) -> DiffusionModel:
        """Shift a flow model's noise levels: more steps for the layout, or for details.

        For Stable Diffusion 3, Wan, Z-Image, Qwen-Image and all others that were trained by flow
        matching. The weights are shared with all who use the model as it is.

        model: Whose levels are shifted, whatever the size of the picture.
        shift: 1 not at all; the larger, the more steps are spent where there is much noise.
        """

    def SetFlowShiftBySize(
        self,
        *,
        model: DiffusionModel,
        width: int = 1024,
        height: int = 1024,
        base_shift: float = 0.5,
        max_shift: float = 1.15,
    ) -> DiffusionModel:
        """Shift a flow model's noise levels as a size of pictures needs it: the larger, the more.

        model: Whose levels are shifted.
        width: Of the pictures, in pixels.
        height: Of the pictures, in pixels.
        base_shift: The logarithm of the shift of pictures of 256 x 256.
        max_shift: That of pictures of 1024 x 1024; on a line over the pixels between and beyond.
        """

    def SetItemSeeds(
        self,
        *,
        latent: Latent,
        seeds: list[int] | Sequence[int],
    ) -> Latent:
        """Give each item of a batch a seed of its own, such as to draw the best of many again.

        An item is then sampled as it is alone with that seed.

        latent: A batch, or a single one, of which so many items are made.
        seeds: One for each item. The sampler's own seed is added to them: leave that at 0.
        """

    def SetNoiseMask(
        self,
        *,
        latent: Latent,
        mask: Picture,
    ) -> Latent:
        """Say which part of a latent sampling may change.

        latent: Of a picture.
        mask: 1 is made anew, 0 is kept. It is scaled to the latent's size.
        """

    def SetPrediction(
        self,
        *,
        model: DiffusionModel,
        prediction_type: Literal['auto', 'epsilon', 'v_prediction', 'sample'] = 'auto',
        zero_terminal_snr: Literal['auto', 'on', 'off'] = 'auto',
    ) -> DiffusionModel:
        """Say what a model predicts, where its file doesn't or says it wrongly.

        model: Of a table of noise levels, such as Stable Diffusion's.
        prediction_type: The noise (epsilon), v, or the clean sample; auto is what the file says.
        zero_terminal_snr: Whether it was trained to begin at noise alone, where sampling begins then; auto is what the file says.
        """

    def SetVideoAudio(
        self,
        *,
        video: Video,
        audio: Audio | None = None,
    ) -> Video:
        """Give a video other audio, or none.

        video: Its frames stay as they are.
        audio: Begins with the first frame; left out, the video is silent.
        """

    def ShadowsHighlights(
        self,
        *,
        image: Picture,
        shadows: float = 0.0,
        highlights: float = 0.0,
    ) -> Tensor:
        """Lift or deepen dark parts and bright parts, each by itself.

        image: Of any size.
        shadows: Above 0 makes dark parts brighter, below 0 darker.
        highlights: Above 0 makes bright parts brighter, below 0 darker.
        """

    def ShapeConditioning(
        self,
        *,
        solid: _solid | None = None,
        color: _color | None = None,
        proportion: float | None = None,
    ) -> Conditioning:
        """What shapes are to be like; what isn't told is left to the model.

        solid: What they are.
        color: Of all of it.
        proportion: Their height by their width: 2 is twice as tall as wide.
        """

    def ShapeMask(
        self,
        *,
        image: Picture | None = None,
        width: int = 512,
        height: int = 512,
        shape: Literal['rectangle', 'ellipse', 'diamond'] = 'rectangle',
        x: float = 0.25,
        y: float = 0.25,
        shape_width: float = 0.5,
        shape_height: float = 0.5,
        unit: Literal['shares', 'pixels'] = 'shares',
        angle: float = 0.0,
    ) -> Tensor:
        """Mask a rectangle, an ellipse or a diamond.

        image: The mask is as large as this picture; without it, width and height say.
        width: In pixels, without a picture.
        height: In pixels, without a picture.
        shape: Fills its box; smooth at its edge.
        x: Left and upper edge of its box.
        y: Left and upper edge of its box.
        shape_width: Of its box.
        shape_height: Of its box.
        unit: Of these four: shares of the picture's sides, 0 to 1, or pixels.
        angle: Degrees that it is turned clockwise about its middle.
        """

    def SharpenImage(
        self,
        *,
        image: Picture,
        amount: float = 0.8,
        radius: float = 1.0,
        threshold: float = 0.0,
    ) -> Tensor:
        """Sharpen pictures by an unsharp mask.

        image: Of any size.
        amount: How much; 0 leaves the picture.
        radius: Pixels of what is made crisper.
        threshold: Differences below it are left alone, so that noise isn't sharpened.
        """

    def ShiftImage(
        self,
        *,
        image: Picture,
        x: int = 0,
        y: int = 0,
    ) -> Tensor:
        """Move pictures; what leaves at one side comes in at the other.

        image: Of any size.
        x: Pixels to the right and down.
        y: Pixels to the right and down.
        """

    def ShowValue(
        self,
        *,
        value: Any,
    ) -> list[Path]:
        """Show any value: texts and numbers as they are, of pictures and latents their statistics.

        value: Of a list each item is shown on a line of its own.
        """

    def SizeConditioning(
        self,
        *,
        conditioning: Conditioning,
        original_width: int = 0,
        original_height: int = 0,
        crop_left: int = 0,
        crop_top: int = 0,
        target_width: int = 0,
        target_height: int = 0,
        score: float | None = None,
    ) -> Conditioning:
        """Tell Stable Diffusion XL which size and crop a picture is to look like.

        It was trained on pictures that were scaled and cropped, and told so: a small original size
        makes them coarse, a crop from the left or from above cuts things off.

        conditioning: The positive prompt; a negative one without such a node is told the same.
        original_width: Pixels before it was scaled; 0 for the size that is sampled.
        original_height: The same.
        crop_left: Pixels that were cut off at the left.
        crop_top: Pixels that were cut off above.
        target_width: Pixels that it was cut to; 0 for the size that is sampled.
        target_height: The same.
        score: How beautiful the picture is, 0 to 10: for the refiner alone, which is told it in place of the target size. Left out, 6, and 2.5 for a negative prompt.
        """

    def SkipLayerGuidance(
        self,
        *,
        guider: Any,
        scale: float = 2.8,
        layers: str = '',
        start: float = 0.01,
        end: float = 0.2,
        prompt: Literal['positive', 'negative'] = 'positive',
    ) -> Any:
        """Lead away from what the model says without some of its layers: better anatomy.

        Made for Stable Diffusion 3.5 Medium, with layers `7, 8, 9`.

        guider: What leads besides.
        scale: How strongly it leads; nothing to the negative prompt, which cfg leads away from.
        layers: Where: numbers of a transformer's blocks (`7, 8, 9`, `single.3`), parts of a UNet (`mid`, `down.1`, `up.0.2`); empty for the middle of the network.
        start: Part of the sampling in which it does, 0 to 1.
        end: Part of the sampling in which it does, 0 to 1.
        prompt: What is asked without those layers: the positive prompt once more, or the negative one in place of asking the whole model, which takes no more time.
        """

    def Slice(
        self,
        *,
        items: list[Any] | Sequence[Any],
        start: int = 0,
        stop: int | None = None,
        step: int = 1,
    ) -> list[Any]:
        """A part of a list.

        items: The list.
        start: The first item, counted from 0; -2 is the last but one.
        stop: The first that isn't in it any more; left out, all that follow are.
        step: Every so many; below 0 they come in the other order, from the start backwards.
        """

    def SmilesFromMolecule(
        self,
        *,
        molecule: Molecule,
    ) -> str:
        """Write a molecule as SMILES text: the same text for the same molecule.

        molecule: Without where its atoms are.
        """

    def SmoothedEnergyGuidance(
        self,
        *,
        guider: Any,
        scale: float = 3.0,
        blur: float = 9999.0,
        layers: str = '',
        start: float = 0.0,
        end: float = 1.0,
    ) -> Any:
        """Lead away from what a UNet says where its attention is blurred: gentler than switched off.

        guider: What leads besides.
        scale: How strongly it leads.
        blur: Standard deviation in cells of the layer; 9999 is the mean of all.
        layers: Where: numbers of a transformer's blocks (`7, 8, 9`, `single.3`), parts of a UNet (`mid`, `down.1`, `up.0.2`); empty for the middle of the network.
        start: Part of the sampling in which it does, 0 to 1.
        end: Part of the sampling in which it does, 0 to 1.
        """

    def SoftEdges(
        self,
        *,
        image: Picture,
        smoothing: float = 1.0,
    ) -> Tensor:
        """Find edges in gray: the stronger, the whiter.

        image: Any; the strongest edge of each is white.
        smoothing: Pixels that are smoothed over first; more leaves only the outlines.
        """

    def SolidMask(
        self,
        *,
        image: Picture | None = None,
        width: int = 512,
        height: int = 512,
        value: float = 1.0,
    ) -> Tensor:
        """A mask that has one value everywhere.

        image: It is as large as this picture; without it, width and height say.
        width: In pixels, without a picture.
        height: In pixels, without a picture.
        value: 1 masks everything, 0 nothing.
        """

    def SoundConditioning(
        self,
        *,
        text: str = '',
        kind: _kind_ = 'any',
        pitch: str = '',
        seconds: float | None = None,
    ) -> Conditioning:
        """What a sound is to be like, in words or by kind, pitch and length; the rest is left open.

        text: Such as "a violin at A4, 0.5 s"; it counts for what the other inputs leave open.
        kind: Instrument, animal, machine or noise.
        pitch: A note, such as A4 or C#5, or a frequency, such as 440 Hz.
        seconds: Until it is silent.
        """

    def SpanConditioning(
        self,
        *,
        conditioning: Conditioning,
        start: float = 0.0,
        end: float = 1.0,
    ) -> Conditioning:
        """Keep a prompt to a part of the sampling: early steps decide the layout, late ones details.

        Where no prompt applies, the empty one does. A prompt that has such a part already is kept to
        what lies in both.

        conditioning: The prompt.
        start: Share of the steps before it leads.
        end: Share of the steps after which it leads no more.
        """

    def SpeedUp(
        self,
        *,
        model: DiffusionModel,
        compiled: bool = False,
        fused_projections: bool = False,
        channels_last: bool = False,
        attention: _attention = 'auto',
    ) -> DiffusionModel:
        """Let a model compute in another way, which may be faster. Results differ in their last bits.

        The weights are shared with all who use the model without.

        model: To be sped up.
        compiled: Compile the repeated blocks by torch.compile: once for each size of picture and number of prompts in a process, which takes up to minutes. Needs a C++ compiler on a CPU, triton on CUDA.
        fused_projections: Compute query, key and value at once. Takes memory for copies of these layers.
        channels_last: Lay convolutions' weights out with the channels last, which suits the kernels of UNets in half precision on CUDA. Takes memory for copies of them.
        attention: How attention is computed: as torch chooses (auto), plainly (math), in slices, which takes less memory, or by a kernel of torch for CUDA (flash, efficient, cudnn).
        """

    def SplitChannels(
        self,
        *,
        image: Picture,
        space: Literal['rgb', 'hsv', 'lab'] = 'rgb',
    ) -> _SplitChannels:
        """Take pictures apart into their channels, each a grey picture.

        image: Of any size; alpha is left out, MaskFromChannel gives it.
        space: Red, green, blue; hue, saturation, value; or CIE L, a, b, of which a and b are middle grey where there is no colour.
        """

    def SplitDataset(
        self,
        *,
        dataset: Dataset,
        validation: float = 0.1,
        test: float = 0.1,
        seed: int = 0,
        exact: bool = True,
    ) -> Dataset:
        """Put a dataset's examples into splits: to learn from, to choose by, to be judged by.

        Equal pictures always come into one split.

        dataset: What it said of splits before is replaced.
        validation: Share of the examples.
        test: Share of the examples.
        seed: Another one splits otherwise.
        exact: So many of each class. Else each picture for itself: it stays in its split when others come or go, and shares hold roughly.
        """

    def SplitSchedule(
        self,
        *,
        schedule: Any,
        step: int = 10,
    ) -> _SplitSchedule:
        """A schedule cut in two, such as for two models.

        schedule: What is cut.
        step: How many steps the first part has.
        """

    def SplitScheduleAtDenoise(
        self,
        *,
        schedule: Any,
        denoise: float = 0.5,
    ) -> _SplitScheduleAtDenoise:
        """A schedule cut in two, so that the second part has a share of the steps.

        schedule: What is cut.
        denoise: The share: int(steps × denoise) steps are in the second part.
        """

    def SplitText(
        self,
        *,
        text: str,
        separator: str = ',',
        trim: bool = True,
        keep_empty: bool = False,
    ) -> list[str]:
        """Cut a text into parts.

        text: The text.
        separator: What stands between the parts; \\n is a line break, \\t a tab. Empty: any space.
        trim: Whether space around each part is left out.
        keep_empty: Whether empty parts are kept.
        """

    def SplitTiles(
        self,
        *,
        image: Picture,
        tile_width: int = 512,
        tile_height: int = 512,
        overlap: int = 64,
    ) -> _SplitTiles:
        """Cut pictures into overlapping tiles, such as to sample a large one part by part.

        The tiles are a list: nodes linked to it run for each. JoinTiles puts them together.

        image: Of any size; of a batch all are cut alike.
        tile_width: In pixels; the picture's own where it is smaller.
        tile_height: In pixels; the picture's own where it is smaller.
        overlap: Pixels that neighbours share at the least, half of a tile at most.
        """

    def SplitView(
        self,
        *,
        image: Picture,
        other: Picture,
        position: float = 0.5,
        direction: Literal['horizontal', 'vertical'] = 'horizontal',
        line: int = 2,
    ) -> Tensor:
        """Show the one part of a picture and the other part of another, as a slider does.

        image: To the left, or above.
        other: To the right, or below; scaled to the same size.
        position: Where the one ends and the other begins.
        direction: Beside each other, or above each other.
        line: Pixels of the white line between them.
        """

    def StitchCrop(
        self,
        *,
        image: Picture,
        part: Picture,
        region: Any,
        feather: float = 8.0,
    ) -> Tensor:
        """Put a part back that CropToMask cut out; outside the mask nothing changes, bit for bit.

        image: The picture that it was cut out of.
        part: As it is now, of any size.
        region: Of CropToMask.
        feather: Pixels over which it fades in from the mask's edge inwards.
        """

    def StitchImages(
        self,
        *,
        image: Picture,
        other: Picture,
        side: Literal['right', 'below', 'left', 'above'] = 'right',
        match_size: bool = True,
        gap: int = 0,
        color: str = 'white',
    ) -> Tensor:
        """Put a picture to a side of another one, scaled so that their edges are alike.

        image: Of any size.
        other: What is put to it; as many, or one for all.
        side: Where the other one is.
        match_size: Scale the other one to the height, or the width, of the first.
        gap: Pixels between them.
        color: Of what is between and around.
        """

    def StrengthConditioning(
        self,
        *,
        conditioning: Conditioning,
        strength: float = 1.0,
    ) -> Conditioning:
        """Say how much a prompt counts among others that lead at the same place and step.

        Alone it changes nothing: how strongly prompts lead is told by the sampler's cfg.

        conditioning: The prompt.
        strength: Times what it counted before.
        """

    def Superpixels(
        self,
        *,
        image: Picture,
        parts: int = 200,
        method: Literal['slic', 'felzenszwalb', 'watershed'] = 'slic',
    ) -> _Superpixels:
        """Divide a picture into parts of alike pixels, each in its mean colour.

        image: Any.
        parts: About how many.
        method: Slic makes parts of about one size; felzenszwalb some that are as large as they are even; watershed follows the edges.
        """

    def Switch(
        self,
        *,
        condition: bool,
        on_true: Any = None,
        on_false: Any = None,
    ) -> Any:
        """One of two values; what only the other one needs never runs.

        condition: Which one to take.
        on_true: The branches. Where the one to be taken isn't given, what depends on this node is skipped.
        on_false: The branches. Where the one to be taken isn't given, what depends on this node is skipped.
        """

    def TakeExamples(
        self,
        *,
        dataset: Dataset,
        count: int = 10,
        order: Literal['as they are', 'shuffled', 'by name'] = 'shuffled',
        per_label: bool = False,
        seed: int = 0,
        start: int = 0,
    ) -> Dataset:
        """Take some of a dataset's examples, in an order.

        dataset: What is taken from.
        count: How many; 0 is all.
        order: A shuffled one moves little when examples come or go.
        per_label: So many of each class.
        seed: Of the shuffling.
        start: The first that is taken, counted from 0.
        """

    def TangentialGuider(
        self,
        *,
        positive: Conditioning,
        negative: Conditioning | None = None,
        cfg: float = 7.0,
    ) -> Any:
        """Tangential guidance: without what of the negative answer only disturbs.

        positive: What the picture is to show.
        negative: What it is to stay away from; the empty prompt if not linked.
        cfg: How strongly prompts lead; 1 and below leaves the negative prompt out.
        """

    def TaylorSeerCache(
        self,
        *,
        model: DiffusionModel,
        interval: int = 3,
        warm_up: int = 4,
        order: int = 1,
        lite: bool = False,
    ) -> DiffusionModel:
        """Continue attention's outputs between full steps by how they have changed (arXiv:2503.06923).

        What is kept takes memory: order + 1 times the outputs of all attention layers.

        model: To be sped up.
        interval: One in so many calls of the network is computed in full.
        warm_up: Calls at the start that are. Samplers of second order call twice a step.
        order: Of the highest difference; 0 repeats what was computed last.
        lite: Continue the network's last layer alone, and leave out all blocks: far faster, and takes hardly any memory. For transformers that end in such a layer.
        """

    def Text(
        self,
        *,
        text: str = '',
    ) -> str:
        """A text, for several inputs at once.

        text: The text.
        """

    def TextLength(
        self,
        *,
        text: str = '',
        unit: Literal['letters', 'words', 'lines'] = 'letters',
    ) -> int:
        """How long a text is.

        text: The text.
        unit: What is counted: letters with all space between them, words, or lines.
        """

    def TextualInversion(
        self,
        *,
        model: DiffusionModel,
        text_encoder: TextEncoder,
        vae: Vae,
        dataset: Dataset,
        word: str = '<thing>',
        begin: str = '',
        template: str = 'a photo of {}',
        vectors: int = 1,
        steps: int = 500,
        batch: int = 4,
        learning_rate: float = 0.005,
        seed: int = 0,
        options: Any = None,
    ) -> _TextualInversion:
        """Teach a text encoder a word for what pictures show. Nothing else changes: a file of a few KB.

        For Stable Diffusion 1.x, 2.x and XL, whose prompts are read by CLIP.

        model: What the word is learned for.
        text_encoder: What learns it; of the same model.
        vae: What encodes the pictures; of the same model.
        dataset: Pictures of one thing, or of one style.
        word: The new word; as none is written otherwise.
        begin: A word like it, such as dog: what it begins as. At random if empty.
        template: What is said of pictures whose captions don't have the word; {} stands for it.
        vectors: Tokens that it stands for: more hold more, and leave less room in prompts.
        steps: Changes of the word.
        batch: Pictures for each of them.
        learning_rate: How large they are.
        seed: Of all that is drawn.
        options: More of it: TrainingSettings.
        """

    def ThresholdGuider(
        self,
        *,
        positive: Conditioning,
        negative: Conditioning | None = None,
        cfg: float = 12.0,
        mimic_cfg: float = 5.0,
        percentile: float = 0.995,
    ) -> Any:
        """Dynamic thresholding: a high scale within the bounds of a lower one.

        positive: What the picture is to show.
        negative: What it is to stay away from; the empty prompt if not linked.
        cfg: How strongly prompts lead; 1 and below leaves the negative prompt out.
        mimic_cfg: The lower scale, whose range the answer is kept in.
        percentile: Part of the values of a channel that isn't cut; 1 cuts none.
        """

    def ThresholdImage(
        self,
        *,
        image: Picture,
        level: float = 0.5,
        softness: float = 0.0,
    ) -> Tensor:
        """Make bright parts white and dark ones black.

        image: Of any size.
        level: Brightness from which on it is white.
        softness: How wide the step from black to white is.
        """

    def ThresholdMask(
        self,
        *,
        mask: Picture,
        low: float = 0.5,
        high: float = 1.0,
    ) -> Tensor:
        """Make a mask hard: 1 where its value is in a range, 0 elsewhere.

        mask: Any.
        low: Both belong to the range.
        high: Both belong to the range.
        """

    def TileHint(
        self,
        *,
        image: Picture,
        factor: float = 4.0,
    ) -> Tensor:
        """Take the details out of a picture, for a tile ControlNet to put in anew.

        image: Any.
        factor: How much smaller it is made, and then as large again.
        """

    def TileImage(
        self,
        *,
        image: Picture,
        columns: int = 2,
        rows: int = 2,
        mirror: bool = False,
    ) -> Tensor:
        """Repeat pictures beside and below themselves.

        image: Of any size.
        columns: How often.
        rows: How often.
        mirror: Turn every other one over, so that edges meet their like.
        """

    def Timesteps(
        self,
        *,
        model: DiffusionModel,
        steps: int = 5,
        schedule: _schedule = 'linspace',
        denoise: float = 1.0,
        order: Literal['noisiest first', 'clean first'] = 'noisiest first',
    ) -> list[int]:
        """The training timesteps of a schedule, such as for AddNoise.

        model: Whose timesteps to take.
        steps: Of the whole schedule.
        schedule: How they are spread; leading, trailing and linspace spread them evenly.
        denoise: Part of the schedule that is taken, from its end.
        order: As a sampler walks them, or as a picture drowns in noise.
        """

    def ToInteger(
        self,
        *,
        value: str | int | float | bool,
        whole: Literal['nearest', 'cut off'] = 'nearest',
    ) -> int:
        """Any value as a whole number: of a text the number in it, of true 1, rounded.

        value: A number, a text that is one, or true or false.
        whole: The nearest whole number, or what stands before the point.
        """

    def ToNumber(
        self,
        *,
        value: str | int | float | bool,
    ) -> float:
        """Any value as a number: of a text the number in it, of true 1.

        value: A number, a text that is one, or true or false.
        """

    def ToText(
        self,
        *,
        value: Any,
        digits: int = -1,
    ) -> str:
        """Any value as a text: of pictures and latents their size and statistics.

        value: Of a list each item becomes a line.
        digits: Of a number, how many after the point; -1 for as many as it has.
        """

    def Today(
        self,
        *,
        format: str = '%Y-%m-%d',
    ) -> str:
        """The date, or the time, as a text. What depends on it is made anew once that text changes.

        format: %Y year, %m month, %d day, %H hour, %M minute, %S second, %A weekday, %B month's name, %j day of the year, %V week.
        """

    def TrainClassifier(
        self,
        *,
        dataset: Dataset,
        steps: int = 300,
        batch: int = 16,
        learning_rate: float = 0.001,
        size: Literal['tiny', 'small', 'medium'] = 'tiny',
        side: int = 64,
        seed: int = 0,
        options: Any = None,
    ) -> _TrainClassifier:
        """Teach a small network from nothing to tell the labels of pictures.

        It is written as transformers reads it: a ConvNeXt with its preparation.

        dataset: Pictures with labels. It is judged by those of the split validation.
        steps: Changes of the weights.
        batch: Pictures for each of them.
        learning_rate: How large they are.
        size: How much it can learn: tiny has 0.2 million weights, small 1.6, medium 8.
        side: Pixels of the square that pictures are brought to.
        seed: Of all that is drawn.
        options: More of it: TrainingSettings. What is about noise isn't heeded.
        """

    def TrainControlNet(
        self,
        *,
        model: DiffusionModel,
        text_encoder: TextEncoder,
        vae: Vae,
        dataset: Dataset,
        preprocessor: Preprocessor,
        steps: int = 1000,
        batch: int = 4,
        learning_rate: float = 1e-05,
        seed: int = 0,
        options: Any = None,
    ) -> _TrainControlNet:
        """Teach a network to lead a model by what a preprocessor makes of pictures, such as edges.

        For Stable Diffusion 1.x, 2.x and XL. It begins as a copy of the UNet's way down, which leads
        nowhere yet. With large models it takes thousands of pictures.

        model: What is led; it stays as it is.
        text_encoder: What reads the captions; of the same model.
        vae: What encodes the pictures; of the same model.
        dataset: Pictures with captions.
        preprocessor: Makes of each picture what is to lead to it.
        steps: Changes of the weights.
        batch: Pictures for each of them.
        learning_rate: How large they are.
        seed: Of all that is drawn.
        options: More of it: TrainingSettings.
        """

    def TrainLoRA(
        self,
        *,
        model: DiffusionModel,
        text_encoder: TextEncoder,
        vae: Vae,
        dataset: Dataset,
        kept: Dataset | None = None,
        steps: int = 500,
        batch: int = 4,
        learning_rate: float = 0.0001,
        rank: int = 16,
        alpha: float = 0.0,
        layers: Literal['attention', 'attention and feed-forward', 'all'] = 'attention and feed-forward',
        seed: int = 0,
        options: Any = None,
        samples: Any = None,
    ) -> _TrainLoRA:
        """Teach a model a style or a subject from a few pictures: small weights beside its own.

        The model with what it learned comes out, ready to be sampled. A training that is stopped goes
        on later from where it was, to the same bits.

        model: What learns; its own weights stay as they are.
        text_encoder: What reads the captions; of the same model.
        vae: What encodes the pictures; of the same model.
        dataset: Pictures with captions.
        kept: Pictures that are to look as they do now, under captions without the new words: such as what the model makes itself. They keep a style from spreading to all that it paints. As many of them are in each batch.
        steps: Changes of the weights.
        batch: Pictures for each of them.
        learning_rate: How large they are; 1e-4 for large models, up to 2e-3 for small ones.
        rank: How much it can hold: 4 to 16 for a style, 32 and up for more.
        alpha: What it is multiplied by, times the rank; 0: the rank, which is by 1.
        layers: Where it is put; all takes convolutions, too, which a style gains by.
        seed: Of all that is drawn.
        options: More of it: TrainingSettings.
        samples: Pictures to watch meanwhile: WatchTraining.
        """

    def TrainingSettings(
        self,
        *,
        optimizer: Literal['adamw', 'adamw8bit', 'adafactor', 'sgd'] = 'adamw',
        schedule: _schedule_ = 'cosine',
        warmup: int = 0,
        weight_decay: float = 0.01,
        clip: float = 1.0,
        accumulate: int = 1,
        precision: Literal['auto', 'float32', 'bfloat16', 'float16'] = 'auto',
        saves_memory: bool = False,
        average: float = 0.0,
        min_snr: float = 0.0,
        noise_offset: float = 0.0,
        levels: Literal['auto', 'uniform', 'logit_normal'] = 'auto',
        kept_weight: float = 1.0,
        variations: int = 8,
        embedded_guidance: float = 1.0,
    ) -> Any:
        """How a model is taught: optimiser, learning rate's course, precision, loss.

        optimizer: adamw8bit takes less memory, and needs bitsandbytes and a GPU; adafactor takes less, too.
        schedule: How the learning rate goes on after the warm-up.
        warmup: Steps over which it rises from 0.
        weight_decay: How strongly weights are drawn to 0.
        clip: Longest gradient, over all weights; 0 for any.
        accumulate: Batches that a step is made of: as a larger batch, in the memory of one.
        precision: What is computed in; auto: what the model's weights are kept in.
        saves_memory: Compute again what layers would hold (gradient checkpointing): about a third slower, in much less memory.
        average: Give weights that follow those that learn, slowly (EMA), such as by 0.999; 0 gives the last ones.
        min_snr: Levels with less noise than this signal-to-noise ratio count for less; 5 is usual, 0 turns it off. Not for flow models.
        noise_offset: About 0.05 lets pictures become darker and brighter.
        levels: Noise levels all alike, or those in the middle more often; auto: the latter for flow models.
        kept_weight: How much kept pictures count.
        variations: Ways each picture is changed in at most, where the dataset changes them.
        embedded_guidance: What Flux.1 dev and the like are told while they learn.
        """

    def TrimAudio(
        self,
        *,
        audio: Audio,
        start: float = 0.0,
        seconds: float = 0.0,
    ) -> Audio:
        """Keep a part of audio.

        audio: Of any length.
        start: Seconds to leave out at the beginning.
        seconds: How many to keep at most; 0 for all.
        """

    def TrimVideo(
        self,
        *,
        video: Video,
        first: int = 0,
        count: int = 0,
        every: int = 1,
    ) -> Video:
        """Keep a part of a video, with its audio.

        video: Of any length.
        first: Frames to leave out at the beginning.
        count: How many frames to keep at most; 0 for all.
        every: Keep one of so many; the rate is divided by it.
        """

    def UniqueItems(
        self,
        *,
        items: list[Any] | Sequence[Any],
    ) -> list[Any]:
        """The items of a list, each once: where it came first.

        items: The list. Pictures and other tensors are told apart by their content.
        """

    def UpscaleImage(
        self,
        *,
        model: Any,
        image: Picture,
        factor: float = 0.0,
        tile: int = 512,
        overlap: int = 32,
    ) -> Tensor:
        """Make pictures larger by a network that was trained for it.

        model: From LoadUpscaleModel.
        image: Of any size; transparency is scaled by a cubic filter.
        factor: How many times larger its sides get; 0 is what the model does. Others are scaled from there by Lanczos' filter.
        tile: Side of the tiles that the model sees at a time, in pixels, which bounds the memory; 0 is the whole picture. Smaller ones if memory runs out.
        overlap: Pixels that neighbouring tiles share and fade over, half of a tile at most.
        """

    def VAEDecode(
        self,
        *,
        vae: Vae,
        latent: Latent,
        tile: int = 0,
        overlap: int = 64,
    ) -> Tensor:
        """Turn latents into the pictures that they stand for.

        vae: Of the model that made the latents.
        latent: Sampled, or encoded from a picture.
        tile: Side of tiles to work in, in pixels, which takes less memory and gives slightly other pictures; 0 works on the whole, and in tiles only if memory runs out.
        overlap: Pixels that neighbouring tiles share and fade over, half of a tile at most.
        """

    def VAEDecodeVideo(
        self,
        *,
        vae: Vae,
        latent: Latent,
        rate: float = 16.0,
        tile: int = 0,
        overlap: int = 64,
    ) -> Video:
        """Turn the latent of a video into its frames.

        vae: Of the model that made the latent.
        latent: Of one video, sampled or encoded.
        rate: Frames a second that the video is to have: 16 for Wan, 24 for Wan 2.2 5B, 25 for LTX-Video. 23.976 means 24000/1001.
        tile: Side of tiles to work in, in pixels, which takes less memory and gives slightly other pictures; 0 works on the whole, and in tiles only if memory runs out.
        overlap: Pixels that neighbouring tiles share and fade over, half of a tile at most.
        """

    def VAEEncode(
        self,
        *,
        vae: Vae,
        image: Picture,
        tile: int = 0,
        overlap: int = 64,
        crop: bool = False,
    ) -> Latent:
        """Turn pictures into latents that a model can work on.

        vae: Of the model that is to work on them.
        image: With sides that are multiples of the VAE's cell, mostly 8 pixels; opaque.
        tile: Side of tiles to work in, in pixels, which takes less memory and gives slightly other pictures; 0 works on the whole, and in tiles only if memory runs out.
        overlap: Pixels that neighbouring tiles share and fade over, half of a tile at most.
        crop: Cut off what doesn't fill a cell of the VAE, as much on either side; else such sizes are refused.
        """

    def VAEEncodeInpaint(
        self,
        *,
        vae: Vae,
        image: Picture,
        mask: Picture,
        grow: int = 6,
        crop: bool = False,
    ) -> Latent:
        """Turn pictures into latents whose masked part is grey and is made anew.

        Sample the whole schedule (denoise 1), as the grey has nothing to start from. To change what is
        there, encode the picture as it is and use SetNoiseMask.

        vae: Of the model that is to work on them.
        image: With sides that are multiples of the VAE's cell, mostly 8 pixels; opaque.
        mask: Scaled to the pictures. Above a half it is 1, which is filled; else 0, which is kept.
        grow: Side, in pixels, of a square by which the part that is sampled reaches beyond the grey, so that no seam shows: 6 adds 2 pixels to the left and above, and 3 to the right and below.
        crop: Cut off of both what doesn't fill a cell of the VAE, as much on either side; else such sizes are refused.
        """

    def VAEEncodeVideo(
        self,
        *,
        vae: Vae,
        video: Video,
        tile: int = 0,
        overlap: int = 64,
    ) -> Latent:
        """Turn a video into a latent that a model can work on.

        vae: Of the model that is to work on it.
        video: With sides and a number of frames that the model can work on: TrimVideo makes it shorter.
        tile: Side of tiles to work in, in pixels, which takes less memory and gives slightly other pictures; 0 works on the whole, and in tiles only if memory runs out.
        overlap: Pixels that neighbouring tiles share and fade over, half of a tile at most.
        """

    def VPSchedule(
        self,
        *,
        steps: int = 20,
        beta_range: float | None = None,
        beta_min: float = 0.1,
        least: float = 0.001,
    ) -> Any:
        """Noise levels of evenly spaced times of a process that keeps the variance.

        steps: How many.
        beta_range: By how much beta rises over the process (19.9 in the paper); if left out, what makes it end at the model's greatest level.
        beta_min: Beta at its beginning.
        least: The last time above 0.
        """

    def ValenceGuidance(
        self,
        *,
        guider: Any,
        strength: float = 1.0,
        start: float = 0.0,
        end: float = 1.0,
    ) -> Any:
        """Lead molecules to where no atom has more bonds than it can have, or none: far more are valid.

        No network is asked for it: each step's prediction is pushed down the slope of what is wrong
        with its own bonds.

        guider: What leads besides; of a MoleculeConditioning.
        strength: How far it is pushed, six times a step: 1 is as far as the slope says that nothing would be wrong any more, 0 is not at all.
        start: Part of the sampling in which it is, 0 to 1.
        end: Part of the sampling in which it is, 0 to 1.
        """

    def VideoFromImages(
        self,
        *,
        images: Sequence[Picture],
        rate: float = 24.0,
        audio: Audio | None = None,
    ) -> Video:
        """Make a video of pictures.

        images: Its frames, all of one size; a batch counts as that many pictures.
        rate: Frames a second; 23.976 and 29.97 mean 24000/1001 and 30000/1001.
        audio: Begins with the first frame.
        """

    def Vignette(
        self,
        *,
        image: Picture,
        strength: float = 0.6,
        radius: float = 0.4,
        softness: float = 0.6,
        color: str = 'black',
    ) -> Tensor:
        """Darken pictures towards their corners.

        image: Of any size.
        strength: How dark it gets at `radius` + `softness` of the way to the corners, and beyond.
        radius: Where it begins, between the middle at 0 and the corners at 1.
        softness: How wide the way from light to dark is; where it ends beyond the corners, these get less dark.
        color: Of the corners.
        """

    def WarpImage(
        self,
        *,
        image: Picture,
        corners: str = '0.1,0 0.9,0.1 1,1 0,0.9',
        color: str = 'black',
        method: Literal['bicubic', 'bilinear', 'nearest'] = 'bicubic',
    ) -> Tensor:
        """Pull the corners of pictures to other places.

        image: Of any size, and as large afterwards.
        corners: Where they go, from the top left clockwise, as shares of width and height; 0,0 1,0 1,1 0,1 is where they are.
        color: Of what comes into view; one that isn't opaque, such as #00000000, gives pictures alpha.
        method: How pixels are made of others; nearest keeps their values.
        """

    def WatchTraining(
        self,
        *,
        prompts: str,
        every: int = 100,
        steps: int = 20,
        cfg: float = 5.0,
        width: int = 0,
        height: int = 0,
        seed: int = 0,
    ) -> Any:
        """Pictures that are made while a model learns, to see how far it is.

        prompts: A picture for each line.
        every: Steps of the training from one time to the next.
        steps: Of sampling.
        cfg: How strongly prompts lead.
        width: In pixels; 0: as the model was trained on.
        height: In pixels; 0: as the model was trained on.
        seed: Of the pictures.
        """

    def While(
        self,
        *,
        state: Any,
        body: Any,
        max_iterations: int = 1000,
        **inputs: Any,
    ) -> _While:
        """Run a subgraph on what it gave before, for as long as it says to continue.

        The subgraph takes a `state`, and if it likes its number as `index`; it gives the next `state`
        and, as `continue`, whether to go on. Its other inputs are inputs of this node.

        state: What it is first given.
        body: Name of the subgraph.
        max_iterations: One that would go on after so many is an error.
        """

    def WhiteBalance(
        self,
        *,
        image: Picture,
        temperature: float = 0.0,
        tint: float = 0.0,
        auto: Literal['none', 'grey world', 'brightest'] = 'none',
    ) -> Tensor:
        """Make colours warmer or colder, or take a colour cast away.

        image: Of any size.
        temperature: Above 0 is warmer, below 0 is colder.
        tint: Above 0 is more magenta, below 0 greener.
        auto: Takes the mean for grey, or the brightest hundredth for white; the rest comes on top.
        """

    def ZeroOutConditioning(
        self,
        *,
        conditioning: Conditioning,
    ) -> Conditioning:
        """Put zeros in place of a prompt's embeddings and its pooled prompt, as a negative prompt.

        It is what Stable Diffusion XL and 3 are led away from best where nothing is to be said;
        pictures and sizes that it brings stay.

        conditioning: Any prompt of the model's text encoder.
        """

    def ZeroStarGuider(
        self,
        *,
        positive: Conditioning,
        negative: Conditioning | None = None,
        cfg: float = 4.0,
        zero_steps: int = 1,
    ) -> Any:
        """CFG-Zero*: guidance for flow models that scales the negative answer and begins at rest.

        positive: What the picture is to show.
        negative: What it is to stay away from; the empty prompt if not linked.
        cfg: How strongly prompts lead; 1 and below leaves the negative prompt out.
        zero_steps: Steps at the beginning in which nothing moves: there, a flow model's answer is worse than none. 0 for other models.
        """

    @property
    def diffusers(self) -> Any: ...
