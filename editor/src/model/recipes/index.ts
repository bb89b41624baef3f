/** What is added to a graph to take a picture further, as functions from one workflow to the next. */
export type { Added, Ground } from "./chain";
export { framed } from "./framed";
export { applyInversion, takesInversion } from "./inversion";
export { type Applied, applyLora, takesLora } from "./lora";
export { wireMask } from "./mask";
export { originOf } from "./origin";
export {
  asInput,
  canAdd,
  inpaint,
  type Picture,
  type Recipe,
  upscale,
  vary,
} from "./pictures";
export { freePicturePort, type PictureInput, pictureInputs, takesPicture } from "./ports";
