import { Color, Mesh, SRGBColorSpace } from "three";
import { expect, it } from "vitest";
import { readShape } from "./shapes";

/** A triangle whose corners have a colour, as a program writes it. */
function glb(generator: string, levels: readonly number[]): ArrayBuffer {
  const told = {
    asset: { version: "2.0", generator },
    scene: 0,
    scenes: [{ nodes: [0] }],
    nodes: [{ mesh: 0 }],
    meshes: [{ primitives: [{ attributes: { POSITION: 0, COLOR_0: 1 } }] }],
    accessors: [
      {
        bufferView: 0,
        componentType: 5126,
        type: "VEC3",
        count: 3,
        min: [0, 0, 0],
        max: [1, 1, 0],
      },
      { bufferView: 1, componentType: 5123, type: "VEC4", count: 3, normalized: true },
    ],
    bufferViews: [
      { buffer: 0, byteLength: 36 },
      { buffer: 0, byteOffset: 36, byteLength: 24 },
    ],
    buffers: [{ byteLength: 60 }],
  };
  const text = JSON.stringify(told);
  const json = new TextEncoder().encode(text.padEnd(Math.ceil(text.length / 4) * 4));
  const corners = new Float32Array([0, 0, 0, 1, 0, 0, 0, 1, 0]);
  const colors = new Uint16Array([...levels, ...levels, ...levels]);
  const words = (...numbers: number[]) => new Uint8Array(Uint32Array.from(numbers).buffer);
  const parts = [
    words(0x46546c67, 2, 28 + json.length + 60, json.length, 0x4e4f534a),
    json,
    words(60, 0x004e4942),
    new Uint8Array(corners.buffer),
    new Uint8Array(colors.buffer),
  ];
  return Uint8Array.from(parts.flatMap((part) => [...part])).buffer;
}

it.each(["nodegraph", "https://github.com/mikedh/trimesh", "Blender"])(
  "takes colours in a GLB of %s as amounts of light",
  async (generator) => {
    const { object } = await readShape(glb(generator, [14146, 20, 65535, 65535]), "glb");

    let part: Mesh | null = null;
    object.traverse((each) => {
      if (each instanceof Mesh) part = each;
    });
    const colors = (part as unknown as Mesh).geometry.getAttribute("color");
    const color = new Color(colors.getX(0), colors.getY(0), colors.getZ(0));
    const { r, g, b } = color.getRGB({ r: 0, g: 0, b: 0 }, SRGBColorSpace);
    expect([r, g, b].map((level) => Math.round(level * 255))).toEqual([128, 1, 255]);
  },
);
