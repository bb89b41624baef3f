/**
 * OpenRaster files (.ora) read as layers: a zip archive with a PNG of each layer and a description.
 * Source: OpenRaster specification, https://www.openraster.org.
 */
import { strFromU8, unzipSync } from "fflate";
import type { Placement } from "@/model/painting";

interface FileLook {
  readonly title: string;
  /** 0 to 1. */
  readonly opacity: number;
  readonly mode: string;
  readonly visible: boolean;
}

export interface FileLayer extends FileLook {
  readonly png: Uint8Array<ArrayBuffer>;
  readonly placement: Placement;
}

export interface FileGroup extends FileLook {
  readonly items: readonly FileItem[];
}

export type FileItem = FileLayer | FileGroup;

const STACK = "stack.xml";
/** Namespace of the corner of the file on a canvas, where a canvas has written it. */
const CORNER = "urn:nodegraph:layers";
const MOST_LAYERS = 512;
/** Bytes of all pictures together, unpacked. */
const MOST_BYTES = 2 ** 30;

/** Names of blend modes that differ from those of the layers here; all others are normal. */
const MODES: Readonly<Record<string, string>> = {
  "svg:plus": "add",
  "svg:add": "add",
  "krita:soft_light": "soft light",
};
const KNOWN = new Set([
  ...["multiply", "screen", "overlay", "darken", "lighten", "color dodge", "color burn"],
  ...["hard light", "soft light", "difference", "exclusion", "subtract", "divide"],
  ...["hue", "saturation", "color", "luminosity"],
]);

/**
 * The layers of a file, bottom first; null if it is none that can be read.
 *
 * @param corner Where the file's corner lies if the file does not say it.
 */
export function readOpenRaster(
  bytes: Uint8Array,
  corner: { readonly x: number; readonly y: number },
): readonly FileItem[] | null {
  const files = unpacked(bytes);
  const text = files?.[STACK];
  if (!files || !text) return null;
  const root = new DOMParser().parseFromString(strFromU8(text), "application/xml").documentElement;
  const stack = [...root.children].find(({ localName }) => localName === "stack");
  if (root.localName !== "image" || !stack) return null;
  const at = (side: "x" | "y") => {
    const value = root.getAttributeNS(CORNER, side);
    return value === null ? corner[side] : Math.trunc(Number(value)) || 0;
  };
  return itemsOf(stack, files, { x: at("x"), y: at("y") });
}

type Files = Readonly<Record<string, Uint8Array<ArrayBuffer>>>;

function unpacked(bytes: Uint8Array): Files | null {
  let sum = 0;
  try {
    return unzipSync(bytes, {
      filter: ({ name, originalSize }) => {
        const isWanted = name === STACK || (name.endsWith(".png") && name.includes("/"));
        if (!isWanted || sum + originalSize > MOST_BYTES) return false;
        sum += originalSize;
        return true;
      },
    });
  } catch {
    // No zip archive, or a damaged one.
    return null;
  }
}

/** The file has the uppermost first. */
function itemsOf(
  stack: Element,
  files: Files,
  corner: { readonly x: number; readonly y: number },
): readonly FileItem[] {
  const elements = [...stack.children].slice(0, MOST_LAYERS).toReversed();
  return elements.flatMap((element): FileItem[] => {
    if (element.localName === "stack")
      return [{ ...lookOf(element), items: itemsOf(element, files, corner) }];
    const png = files[element.getAttribute("src") ?? ""];
    const size = png && sizeOf(png);
    if (element.localName !== "layer" || !png || !size) return [];
    const x = corner.x + whole(element, "x");
    const y = corner.y + whole(element, "y");
    return [{ ...lookOf(element), png, placement: { x, y, ...size, rotation: 0 } }];
  });
}

function whole(element: Element, name: string): number {
  return Math.trunc(Number(element.getAttribute(name))) || 0;
}

function lookOf(element: Element): FileLook {
  const opacity = Number(element.getAttribute("opacity") ?? 1);
  return {
    title: element.getAttribute("name") ?? "",
    opacity: Number.isFinite(opacity) ? Math.min(1, Math.max(0, opacity)) : 1,
    mode: modeOf(element.getAttribute("composite-op") ?? ""),
    visible: element.getAttribute("visibility") !== "hidden",
  };
}

function modeOf(operation: string): string {
  const plain = operation.replace(/^(svg|krita):/, "").replaceAll("-", " ");
  return MODES[operation] ?? (KNOWN.has(plain) ? plain : "normal");
}

/** Of a PNG: both sides stand in its header. */
function sizeOf(png: Uint8Array): { readonly width: number; readonly height: number } | null {
  const isPng = [137, 80, 78, 71].every((byte, index) => png[index] === byte);
  if (!isPng || png.length < 24) return null;
  const view = new DataView(png.buffer, png.byteOffset, png.byteLength);
  return { width: view.getUint32(16), height: view.getUint32(20) };
}
