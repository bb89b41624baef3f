/** Workflows of ComfyUI and settings of other tools, told from others; the server translates them. */
import { isObject, type Json, type JsonObject } from "./json";
import type { NodeEntry } from "./workflow";

/** What node types begin with that couldn't be translated; the rest is ComfyUI's name. */
const PLACEHOLDER = "comfyui:";

/** ComfyUI's name of the node that a placeholder stands for; null for other types. */
export function placeholderType(type: string): string | null {
  return type.startsWith(PLACEHOLDER) ? type.slice(PLACEHOLDER.length) : null;
}

/** The pack that brings it there; "" if that isn't known. */
export function placeholderPack({ extra }: NodeEntry): string {
  const pack = extra.get("pack");
  return typeof pack === "string" ? pack : "";
}

/** Whether a document is one of ComfyUI's, of its page or of its server, wrapped or not. */
export function isOfComfyUi(json: Json | undefined): boolean {
  if (!isObject(json) || json.has("format")) return false;
  if (Array.isArray(json.get("nodes"))) return true;
  if (holdsDrawing(json) || holdsDrawing(inner(inner(json, "extra_data"), "extra_pnginfo")))
    return true;
  const prompt = inner(json, "prompt");
  return [...(prompt ?? json).values()].some(isNode);
}

function holdsDrawing(json: JsonObject | null): boolean {
  return Array.isArray(inner(json, "workflow")?.get("nodes"));
}

function inner(json: JsonObject | null, key: string): JsonObject | null {
  const found = json?.get(key);
  return isObject(found) ? found : null;
}

function isNode(json: Json): boolean {
  return isObject(json) && typeof json.get("class_type") === "string";
}

/** The texts among those of a picture or video that ComfyUI may have written; null if none is. */
export function textsOfComfyUi(texts: ReadonlyMap<string, string>): Record<string, string> | null {
  const found = ["workflow", "prompt", "comment"].flatMap((name) => {
    const text = texts.get(name);
    return text?.trimStart().startsWith("{") ? [[name, text] as const] : [];
  });
  return found.length > 0 ? Object.fromEntries(found) : null;
}

/** How texts begin, or what is in them, that other tools write into pictures, by their names. */
const SETTINGS: Readonly<Record<string, RegExp>> = {
  parameters: /^\s*\{|Steps:/,
  Comment: /^\s*\{/,
  comment: /^\s*\{/,
  invokeai_metadata: /^\s*\{/,
  "sd-metadata": /^\s*\{/,
  Dream: /^\s*"/,
  "XML:com.adobe.xmp": /UserComment/,
  xmp: /UserComment/,
};
/** Names of texts that say which tool it was, or belong to the others. */
const BESIDE = ["Software", "Source", "Title", "Description", "fooocus_scheme"];

/** The texts among those of a picture that a tool may have written its settings into; null if
 * there are none. */
export function settingsOfTools(texts: ReadonlyMap<string, string>): Record<string, string> | null {
  const isSetting = (name: string, text: string) => SETTINGS[name]?.test(text) ?? false;
  const entries = [...texts].filter(([name, text]) => isSetting(name, text));
  if (entries.length === 0) return textsOfComfyUi(texts);
  const others = [...texts].filter(([name]) => BESIDE.includes(name));
  return Object.fromEntries([...others, ...entries]);
}
