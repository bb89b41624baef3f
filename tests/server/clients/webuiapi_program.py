"""What webuiapi does with a server: its port, a user name and a token are given."""

import base64
import io
import json
import sys
import threading
import time

import webuiapi
from PIL import Image, ImageChops, ImageDraw

port, user, token = sys.argv[1:]
api = webuiapi.WebUIApi(
    port=int(port), username=user, password=token, sampler="DPM++ 2M", scheduler="Karras", steps=4
)
small = {"width": 64, "height": 64, "seed": 5, "prompt": "a red apple"}
found = {"scripts": [api.has_controlnet, api.has_adetailer]}

first = api.txt2img(**small, negative_prompt="blue", batch_size=2, n_iter=2)
found["seeds"] = first.info["all_seeds"]
found["sizes"] = [image.size for image in first.images]
found["text"] = first.image.info["parameters"].splitlines()[0]
# The second image of a batch is that of the next seed, but for the last bits of larger matrices.
alone = api.txt2img(**{**small, "seed": 6}, negative_prompt="blue").image
levels = ImageChops.difference(alone, first.images[1]).getextrema()
found["same"] = max(high for _, high in levels) <= 3

mask = Image.new("L", (64, 64))
ImageDraw.Draw(mask).rectangle((16, 16, 47, 47), fill=255)
painted = api.img2img(
    images=[first.image], mask_image=mask, mask_blur=0, inpainting_fill=1, inpaint_full_res=False,
    denoising_strength=0.8, **{**small, "prompt": "a green pear"},
)  # fmt: skip
found["outside"] = painted.image.getpixel((2, 2)) == first.image.getpixel((2, 2))
found["inside"] = painted.image.tobytes() != first.image.tobytes()
found["again"] = api.img2img(images=[first.image], denoising_strength=0.5, **small).image.size

hires = api.txt2img(
    **small, enable_hr=True, hr_scale=2, hr_upscaler=webuiapi.HiResUpscaler.Latent,
    hr_second_pass_steps=2, denoising_strength=0.5,
)  # fmt: skip
found["hires"] = hires.image.size
unit = webuiapi.ControlNetUnit(image=first.image, module="canny", model="controlnet")
controlled = api.txt2img(**small, controlnet_units=[unit])
found["controlled"] = controlled.image.tobytes() != first.image.tobytes()
found["notes"] = controlled.info["nodegraph_notes"]

enlarged = api.extra_single_image(first.image, upscaler_1="upscaler", upscaling_resize=2)
found["enlarged"] = enlarged.image.size
both = api.extra_batch_images([first.image] * 2, upscaler_1=webuiapi.Upscaler.Lanczos)
found["both"] = [image.size for image in both.images]
found["png_info"] = api.png_info(first.image).info.splitlines()[0]
found["detected"] = api.controlnet_detect([first.image], module="canny").image.size

api.set_options({"sd_model_checkpoint": "tiny", "CLIP_stop_at_last_layers": 2})
found["option"] = api.get_options()["CLIP_stop_at_last_layers"]
api.util_set_model("tiny")
found["model"] = api.util_get_current_model()
found["samplers"] = "Euler a" in api.util_get_sampler_names()
found["schedulers"] = "karras" in api.util_get_scheduler_names()
found["lists"] = [
    type(ask()).__name__
    for ask in (
        api.get_sd_vae, api.get_upscalers, api.get_latent_upscale_modes, api.get_loras,
        api.get_sd_models, api.get_hypernetworks, api.get_face_restorers,
        api.get_realesrgan_models, api.get_prompt_styles, api.get_scripts, api.get_embeddings,
        api.get_memory, api.get_cmd_flags, api.controlnet_model_list, api.controlnet_module_list,
        api.refresh_checkpoints,
    )
]  # fmt: skip

seen = []
answers = []
long = {**small, "width": 128, "height": 128, "steps": 400}
thread = threading.Thread(target=lambda: answers.append(api.txt2img(**long)))
thread.start()
while thread.is_alive():
    progress = api.get_progress()
    if progress["current_image"] and progress["progress"] > 0:
        seen.append(progress)
        api.interrupt()
    time.sleep(0.05)
thread.join()
found["progress"] = 0 < seen[0]["progress"] < 1 and seen[0]["state"]["sampling_steps"] == 400
with Image.open(io.BytesIO(base64.b64decode(seen[0]["current_image"]))) as preview:
    found["preview"] = preview.size
found["interrupted"] = [len(answers[0].images), answers[0].info["nodegraph_notes"]]
api.util_wait_for_ready(check_interval=0.1)

try:
    api.txt2img(sampler_name="none such")
except RuntimeError as error:
    found["error"] = [error.args[0], json.loads(error.args[1])["detail"]]
sys.stdout.write(json.dumps(found))
