/** Points are drawn as squares, unless they have a picture of a disc. */
import { CanvasTexture } from "three";

const SIDE = 32;

export function dotTexture(): CanvasTexture | null {
  const canvas = document.createElement("canvas");
  canvas.width = SIDE;
  canvas.height = SIDE;
  const context = canvas.getContext("2d");
  if (context === null) return null;
  context.fillStyle = "#fff";
  context.beginPath();
  context.arc(SIDE / 2, SIDE / 2, SIDE / 2 - 1, 0, 2 * Math.PI);
  context.fill();
  return new CanvasTexture(canvas);
}
