/** Families of models as people know them; names are the same in every language. */
const NAMES: Readonly<Record<string, string>> = {
  sd1: "SD 1.x",
  sd2: "SD 2.x",
  sdxl: "SDXL",
  "sdxl-refiner": "SDXL Refiner",
  sd3: "SD 3",
  flux: "FLUX.1",
  "flux-kontext": "FLUX.1 Kontext",
  flux2: "FLUX.2",
  "flux2-klein": "FLUX.2 Klein",
  "z-image": "Z-Image",
  "qwen-image": "Qwen-Image",
  "pixart-sigma": "PixArt-Σ",
  sana: "Sana",
  lumina2: "Lumina 2",
  hidream: "HiDream",
  chroma: "Chroma",
  auraflow: "AuraFlow",
  "hunyuan-image": "HunyuanImage",
  ltx: "LTX-Video",
  wan: "Wan",
  "wan22-5b": "Wan 2.2 5B",
};

export function familyName(family: string): string {
  return NAMES[family] ?? family;
}
