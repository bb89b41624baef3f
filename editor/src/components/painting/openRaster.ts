/**
 * OpenRaster files (.ora) read as layers: a zip archive with a PNG of each layer and a description.
 * Source: OpenRaster specification, https://www.openraster.org.
 */
import { strFromU8, unzipSync } from "fflate";
import { t } from "@/i18n";
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

export interface FileLayers {
  /** Bottom first. */
  readonly items: readonly FileItem[];
  /** What was changed or left out. */
  readonly messages: readonly string[];
}

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
  "svg:src-over": "normal",
};
const KNOWN = new Set([
  "normal",
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
): FileLayers | null {
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
  const reading: Reading = { files, corner: { x: at("x"), y: at("y") }, messages: [] };
  const items = itemsOf(stack, reading);
  return { items, messages: reading.messages };
}

type Files = Readonly<Record<string, Uint8Array<ArrayBuffer>>>;

interface Reading {
  readonly files: Files;
  readonly corner: { readonly x: number; readonly y: number };
  readonly messages: string[];
}

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
function itemsOf(stack: Element, reading: Reading): readonly FileItem[] {
  const { files, corner, messages } = reading;
  const elements = [...stack.children];
  const over = elements.splice(MOST_LAYERS).length;
  if (over > 0) messages.push(t("painting.leftOutLayers", { count: over }));
  return elements.toReversed().flatMap((element): FileItem[] => {
    const look = lookOf(element, messages);
    if (element.localName === "stack") return [{ ...look, items: itemsOf(element, reading) }];
    const png = files[element.getAttribute("src") ?? ""];
    const size = png && sizeOf(png);
    if (element.localName !== "layer" || !png || !size) {
      messages.push(t("painting.leftOutPicture", { name: look.title || element.localName }));
      return [];
    }
    const x = corner.x + whole(element, "x");
    const y = corner.y + whole(element, "y");
    return [{ ...look, png, placement: { x, y, ...size, rotation: 0 } }];
  });
}

function whole(element: Element, name: string): number {
  return Math.trunc(Number(element.getAttribute(name))) || 0;
}

function lookOf(element: Element, messages: string[]): FileLook {
  const opacity = Number(element.getAttribute("opacity") ?? 1);
  const operation = element.getAttribute("composite-op") ?? "svg:src-over";
  const title = element.getAttribute("name") ?? "";
  const mode = modeOf(operation);
  if (mode === null) messages.push(t("painting.leftOutMode", { name: title, mode: operation }));
  return {
    title,
    opacity: Number.isFinite(opacity) ? Math.min(1, Math.max(0, opacity)) : 1,
    mode: mode ?? "normal",
    visible: element.getAttribute("visibility") !== "hidden",
  };
}

/** Null for one that layers here do not have. */
function modeOf(operation: string): string | null {
  const plain = operation.replace(/^(svg|krita):/, "").replaceAll("-", " ");
  return MODES[operation] ?? (KNOWN.has(plain) ? plain : null);
}

/** Of a PNG: both sides stand in its header. */
function sizeOf(png: Uint8Array): { readonly width: number; readonly height: number } | null {
  const isPng = [137, 80, 78, 71].every((byte, index) => png[index] === byte);
  if (!isPng || png.length < 24) return null;
  const view = new DataView(png.buffer, png.byteOffset, png.byteLength);
  return { width: view.getUint32(16), height: view.getUint32(20) };
}
