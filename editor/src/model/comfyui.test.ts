import { readFileSync } from "node:fs";
import { resolve } from "node:path";
import { expect, test } from "vitest";
import { isOfComfyUi, settingsOfTools } from "./comfyui";
import { type Json, readJson } from "./json";
import { mp4Texts } from "./mp4";
import { PictureFault, workflowOfFile } from "./pictures";

const API = '{"3": {"class_type": "KSampler", "inputs": {}}}';
const UI = '{"nodes": [], "links": [], "version": 0.4}';

function bytesOf(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}

function picture(name: string): Uint8Array {
  return readFileSync(resolve(import.meta.dirname, "fixtures/pictures", name));
}

function textsOf(bytes: Uint8Array, name: string): PictureFault["texts"] {
  try {
    workflowOfFile(bytes, name);
  } catch (fault) {
    if (fault instanceof PictureFault) return fault.texts;
  }
  return null;
}

test.each([
  [API, true],
  [UI, true],
  [`{"prompt": ${API}}`, true],
  [`{"workflow": ${UI}}`, true],
  [`{"client_id": "a", "extra_data": {"extra_pnginfo": {"workflow": ${UI}}}}`, true],
  ['{"format": "nodegraph/1", "nodes": {}}', false],
  ['{"nodes": {}}', false],
  ["[]", false],
])("%s is ComfyUI's: %s", (text, is) => {
  expect(isOfComfyUi(readJson(text) as Json)).toBe(is);
});

test("a file of ComfyUI's is handed on as it is", () => {
  expect(textsOf(bytesOf(API), "a.json")).toEqual({ workflow: API });
  expect(textsOf(bytesOf('{"format": "nodegraph/1"}'), "a.json")).toBeNull();
});

test.each([
  ["foreign.png", ["prompt", "workflow"]],
  ["comfyui.webp", ["prompt", "workflow"]],
  ["comfyui.mp4", ["prompt", "workflow"]],
  ["commented.mp4", ["comment"]],
])("%s carries it in its metadata", (name, keys) => {
  const texts = textsOf(picture(name), name) ?? {};
  expect(Object.keys(texts).sort()).toEqual(keys);
  for (const text of Object.values(texts)) expect(text).toMatch(/^\{.*\}$/s);
});

test("a damaged video holds nothing, and hurts nobody", () => {
  const bytes = picture("comfyui.mp4");
  for (let end = 0; end < bytes.length; end += 7) mp4Texts(bytes.subarray(0, end));
  for (let at = 0; at < bytes.length; at += 11) {
    const changed = Uint8Array.from(bytes);
    changed[at] = 255;
    mp4Texts(changed);
  }
  expect(mp4Texts(new Uint8Array(40)).size).toBe(0);
});

test.each([
  [{ parameters: "a\nSteps: 20" }, ["parameters"]],
  [{ parameters: "somebody's words" }, null],
  [{ Comment: "Created with GIMP" }, null],
  [
    { Software: "NovelAI", Description: "a", Comment: "{}" },
    ["Comment", "Description", "Software"],
  ],
  [{ "XML:com.adobe.xmp": "<exif:UserComment>" }, ["XML:com.adobe.xmp"]],
  [{ xmp: "<dc:title>" }, null],
  [{ prompt: API }, ["prompt"]],
])("of the texts %o a tool's are %o", (texts, names) => {
  const settings = settingsOfTools(new Map(Object.entries(texts)));
  expect(settings && Object.keys(settings).sort()).toEqual(names);
});
