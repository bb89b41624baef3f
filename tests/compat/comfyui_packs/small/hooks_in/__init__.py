"""Routes, progress, devices, model folders: what packs do while they are imported."""

import os

import comfy.model_management as mm
import comfy.utils
import folder_paths
import nodes
from aiohttp import web
from server import PromptServer

folder_paths.add_model_folder_path("hooks_models", os.path.join(folder_paths.models_dir, "hooks"))
folder_paths.folder_names_and_paths["hooks_models"][1].add(".safetensors")


@PromptServer.instance.routes.get("/hooks_in/state")
async def state(request):
    return web.json_response({"ok": True})


class Steps:
    @classmethod
    def INPUT_TYPES(s):
        files = folder_paths.get_filename_list("hooks_models")
        return {
            "required": {
                "model": (["none", *files],),
                "steps": ("INT", {"default": 3, "max": nodes.MAX_RESOLUTION}),
            },
            "hidden": {"unique_id": "UNIQUE_ID"},
        }

    RETURN_TYPES = ("STRING",)
    FUNCTION = "run"
    OUTPUT_NODE = True

    def run(self, model, steps, unique_id):
        bar = comfy.utils.ProgressBar(steps)
        for _ in range(steps):
            mm.throw_exception_if_processing_interrupted()
            bar.update(1)
        PromptServer.instance.send_sync("hooks_in.done", {"node": unique_id})
        mm.soft_empty_cache()
        text = f"{model} {steps} {mm.get_torch_device().type}"
        return {"ui": {"text": [text]}, "result": (text,)}


NODE_CLASS_MAPPINGS = {"StepsWithBar": Steps}
WEB_DIRECTORY = "./web"
