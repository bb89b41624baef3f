"""What aaa1111 does with a server. It checks the types of answers; see webuiapi_program.py."""

import asyncio
import json
import sys

from aaa1111.client import AAA1111
from aaa1111.types import IMG2IMG, TXT2IMG
from aaa1111.types.extension.controlnet import ControlNet, ControlNetArgs
from aaa1111.types.extras import ExtrasSingleImage
from PIL import ImageChops

port, user, token = sys.argv[1:]
client = AAA1111(port=int(port), username=user, password=token)
small = {"width": 64, "height": 64, "seed": 5, "steps": 4, "prompt": "a red apple"}
found = {}
first = client.txt2img(TXT2IMG(**small, batch_size=2, sampler_name="Euler a"))
found["seeds"] = first.info["all_seeds"]
image = first.images[0]
found["sizes"] = [each.size for each in first.images]
found["again"] = client.img2img(
    IMG2IMG(init_images=[image], denoising_strength=0.5, **small)
).images[0].size  # fmt: skip
units = [ControlNet(ControlNetArgs(module="canny", model="controlnet", image=image))]
found["controlled"] = client.txt2img(TXT2IMG(**small, alwayson_scripts=units)).images[0].size
later = client.atxt2img(TXT2IMG(**{**small, "seed": 6}, sampler_name="Euler a"))
levels = ImageChops.difference(asyncio.run(later).images[0], first.images[1]).getextrema()
found["same"] = max(high for _, high in levels) <= 3
single = ExtrasSingleImage(image=image, upscaler_1="upscaler")
found["enlarged"] = client.extra_single_image(single).image.size
found["progress"] = client.progress(skip_current_image=True).progress
found["models"] = [each.title for each in client.sd_models()]
found["loras"] = [each.name for each in client.loras()]
found["upscalers"] = "upscaler" in [each.name for each in client.upscalers()]
found["samplers"] = "Euler a" in [each.name for each in client.samplers()]
found["lists"] = [
    len(ask())
    for ask in (client.sd_vae, client.hypernetworks, client.face_restorers, client.prompt_styles)
]
found["scripts"] = client.scripts().txt2img
found["embeddings"] = len(client.embeddings().loaded)
found["memory"] = client.memory().ram["total"] > 0
client.interrupt()
client.skip()
client.refresh_checkpoints()
sys.stdout.write(json.dumps(found))
