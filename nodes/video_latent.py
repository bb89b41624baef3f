"""Encode videos and their sound to latents, and decode them."""

from __future__ import annotations

from typing import Annotated, NamedTuple

from nodegraph import Advanced, Audio, Context, Latent, MultipleOf, Range, Vae, Video, node

from ._memory import decode_video_estimate, encode_video_estimate
from ._sampling_facts import check_empty_latent
from ._sound_facts import empty_audio_facts
from ._video_latent_facts import (
    check_decoded_sound,
    check_decoded_video,
    check_encoded_sound,
    check_encoded_video,
    combined_sound_facts,
)

Side = Annotated[int, Range(16, 16384, step=16), MultipleOf(16)]
Frames = Annotated[int, Range(1, 100_000)]


@node(
    category="latent",
    facts={
        "latent": {"width": "width", "height": "height", "batch": "batch_size", "frames": "frames"}
    },
    validate=check_empty_latent,
    tags=("wan", "ltx"),
)
def EmptyVideoLatent(
    width: Side = 832,
    height: Side = 480,
    frames: Frames = 81,
    batch_size: Annotated[int, Range(1, 4096)] = 1,
) -> Latent:
    """Empty video latent: size and length of the videos to generate from noise alone.

    It takes the latent format of the model that samples it.

    Args:
        width, height: Size in pixels. Wan 2.2 5B, LTX-Video and LTX-2 need multiples of 32, and so
            does MiniMax H3.
        frames: Number of frames: a multiple of 4 plus 1 for Wan, a multiple of 8 plus 1 for
            LTX-Video and LTX-2, a multiple of 17 plus 5 for MiniMax H3.
        batch_size: Number of videos.
    """
    return Latent(None, width, height, batch_size, frames=frames)


@node(
    category="latent",
    label="VAE decode video",
    lane="gpu",
    numerics=True,
    facts={
        "video": {
            "width": "latent.width",
            "height": "latent.height",
            "frames": "latent.frames",
            "rate": "rate",
        }
    },
    validate=check_decoded_video,
    estimate=decode_video_estimate,
    tags=("wan", "ltx"),
)
def VAEDecodeVideo(
    ctx: Context,
    vae: Vae,
    latent: Latent,
    rate: Annotated[float, Range(0.001, 1000)] = 16.0,
    tile: Annotated[int, Range(0, 16384, step=64), Advanced()] = 0,
    overlap: Annotated[int, Range(0, 4096, step=8), Advanced()] = 64,
) -> Video:
    """Decode the latent of a video to frames.

    Args:
        vae: The VAE of the model that made the latent.
        latent: The latent of one video, sampled or encoded.
        rate: Frames per second of the video: 16 for Wan, 24 for Wan 2.2 5B and LTX-2, 25 for
            LTX-Video.
            23.976 means 24000/1001.
        tile: Tile size in pixels. Tiling takes less memory and changes the result slightly. 0
            processes the whole image, and uses tiles only if memory runs out.
        overlap: Overlap of neighboring tiles in pixels, over which they are blended. At most half
            of a tile.
    """
    from nodegraph.media.videos.rates import exact_rate
    from nodegraph.models.vae import decode_video, in_tiles

    with ctx.weights(vae, calls_only=True) as autoencoder:
        return Video(decode_video(in_tiles(autoencoder, tile, overlap), latent), exact_rate(rate))


@node(
    category="latent",
    label="VAE encode video",
    lane="gpu",
    numerics=True,
    facts={
        "latent": {
            "width": "video.width",
            "height": "video.height",
            "frames": "video.frames",
            "channels": "vae.channels",
            "format": "vae.format",
        }
    },
    validate=check_encoded_video,
    estimate=encode_video_estimate,
    tags=("video to video", "wan", "ltx"),
)
def VAEEncodeVideo(
    ctx: Context,
    vae: Vae,
    video: Video,
    tile: Annotated[int, Range(0, 16384, step=64), Advanced()] = 0,
    overlap: Annotated[int, Range(0, 4096, step=8), Advanced()] = 64,
) -> Latent:
    """Encode a video to a latent.

    Args:
        vae: The VAE of the model that uses the latent.
        video: A video whose sides and number of frames fit the model. TrimVideo shortens it.
        tile: Tile size in pixels. Tiling takes less memory and changes the result slightly. 0
            processes the whole image, and uses tiles only if memory runs out.
        overlap: Overlap of neighboring tiles in pixels, over which they are blended. At most half
            of a tile.
    """
    from nodegraph.models.vae import encode_video, in_tiles

    with ctx.weights(vae, calls_only=True) as autoencoder:
        return encode_video(in_tiles(autoencoder, tile, overlap), video.frames)


@node(
    category="latent",
    label="VAE decode audio",
    lane="gpu",
    numerics=True,
    validate=check_decoded_sound,
    tags=("ltx", "sound", "music", "vocoder", "LTXVAudioVAEDecode"),
)
def VAEDecodeAudio(ctx: Context, vae: Vae, latent: Latent) -> Audio:
    """Decode a latent of sound or music, or the sound of a video latent, to audio.

    SetVideoAudio puts it into the video.

    Args:
        vae: The VAE of a model that generates sound, such as LTX-2 or ACE-Step 1.5.
        latent: The latent of one video with sound, or of one piece of sound alone.
    """
    from nodegraph.models.vae import decode_sound

    with ctx.weights(vae, calls_only=True) as autoencoder:
        return decode_sound(autoencoder, latent)


@node(
    category="latent",
    label="VAE encode audio",
    lane="gpu",
    numerics=True,
    validate=check_encoded_sound,
    tags=("ltx", "sound", "LTXVAudioVAEEncode"),
)
def VAEEncodeAudio(ctx: Context, vae: Vae, audio: Audio) -> Latent:
    """Encode audio to a latent of sound.

    Args:
        vae: The VAE of a model that generates sound, such as LTX-2 or ACE-Step 1.5.
        audio: Mono or stereo audio of any sample rate.
    """
    from nodegraph.models.vae import encode_sound

    with ctx.weights(vae, calls_only=True) as autoencoder:
        return encode_sound(autoencoder, audio)


@node(
    category="latent",
    infer=empty_audio_facts,
    tags=("ltx", "sound", "LTXVEmptyLatentAudio", "silence"),
)
def EmptyAudioLatent(
    frames: Frames = 121,
    rate: Annotated[float, Range(0.001, 1000)] = 24.0,
    batch_size: Annotated[int, Range(1, 4096)] = 1,
) -> Latent:
    """Empty latent of sound, as long as a video. LTX-2 generates the sound.

    It is only necessary for sound of another length than the video: without it, LTX-2 generates
    sound as long as the video.

    Args:
        frames: Number of frames of a video of this length.
        rate: Frames per second of this video.
        batch_size: Number of videos.
    """
    from nodegraph.families.ltx2 import empty_sound

    return empty_sound(frames, rate, batch_size)


@node(
    category="latent/combine",
    infer=combined_sound_facts,
    tags=("ltx", "LTXVConcatAVLatent", "audio", "video"),
)
def CombineSoundLatent(video: Latent, sound: Latent) -> Latent:
    """Combine the latent of a video with a latent of sound, so that both are sampled together.

    Args:
        video: The latent of a video. Sound that it has already is replaced.
        sound: A latent from VAEEncodeAudio, EmptyAudioLatent or SplitSoundLatent.
    """
    from nodegraph.sampling.latents.combination import with_sound

    return with_sound(video, sound)


class SplitLatent(NamedTuple):
    """Latents of a video and its sound.

    Attributes:
        video: The latent of the video without sound.
        sound: The latent of the sound alone.
    """

    video: Latent
    sound: Latent


@node(
    category="latent/combine",
    facts={
        "video": {
            name: f"latent.{name}"
            for name in ("width", "height", "batch", "frames", "channels", "format")
        }
    },
    tags=("ltx", "LTXVSeparateAVLatent", "audio", "video", "separate"),
)
def SplitSoundLatent(latent: Latent) -> SplitLatent:
    """Split the latent of a video with sound into both.

    Args:
        latent: A latent that a model with sound sampled, such as LTX-2.
    """
    from nodegraph.sampling.latents.combination import split_sound

    return SplitLatent(*split_sound(latent))
