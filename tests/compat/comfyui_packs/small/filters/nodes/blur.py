import torch
from PIL import ImageFilter

from .convert import pil2tensor, tensor2pil


class PillowBlur:
    @classmethod
    def INPUT_TYPES(s):
        return {
            "required": {
                "images": ("IMAGE",),
                "radius": ("INT", {"default": 2, "min": 0, "max": 64, "step": 1}),
                "method": (["gaussian", "box"], {"default": "gaussian"}),
            },
        }

    RETURN_TYPES = ("IMAGE",)
    RETURN_NAMES = ("images",)
    FUNCTION = "blur"
    CATEGORY = "filters/pillow"

    def blur(self, images, radius, method):
        kind = ImageFilter.GaussianBlur if method == "gaussian" else ImageFilter.BoxBlur
        return (torch.cat([pil2tensor(tensor2pil(i).filter(kind(radius))) for i in images]),)


NODE_CLASS_MAPPINGS = {"PillowBlur": PillowBlur}
