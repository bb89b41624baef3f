from PIL import ImageOps

from .convert import pil2tensor, tensor2pil


class AddBorder:
    @classmethod
    def INPUT_TYPES(cls):
        return {"required": {"image": ("IMAGE",), "border": ("INT", {"default": 1})}}

    RETURN_TYPES = ("IMAGE", "INT", "INT")
    RETURN_NAMES = ("IMAGE", "width", "height")
    FUNCTION = "execute"
    CATEGORY = "filters/pillow"

    def execute(self, image, border):
        out = pil2tensor(ImageOps.expand(tensor2pil(image[0]), border, fill="red"))
        return out, out.shape[2], out.shape[1]


NODE_CLASS_MAPPINGS = {"Add Border": AddBorder}
