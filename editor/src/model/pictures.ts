/**
 * The workflow in a file: in a picture that nodegraph saved, or a workflow file itself. What is in
 * results of other kinds, a server tells: see `workflowOfTexts`.
 *
 * Pictures carry it as nodegraph/media/images/images.py writes it: PNG in a text chunk, JPEG and WebP
 * in the EXIF user comment, as JSON with all texts. Those of ComfyUI are told from ours, in MP4, too.
 */
import { Inflate } from "fflate";
import { t } from "@/i18n";
import { joinedBytes } from "./bytes";
import { isOfComfyUi, textsOfComfyUi } from "./comfyui";
import { isObject, type Json, JsonFault, type JsonObject, readJson } from "./json";
import { mp4Texts } from "./mp4";
import { type Workflow, workflowFromJson } from "./workflow";

/** A file without a workflow that can be read; the message says what to do. */
export class PictureFault extends Error {
  constructor(
    message: string,
    readonly code: "no-workflow" | "foreign" | "damaged" | "unknown-kind" | "too-large",
    /** What holds a workflow of ComfyUI, for the server to translate; null where nothing does. */
    readonly texts: Readonly<Record<string, string>> | null = null,
  ) {
    super(message);
    this.name = "PictureFault";
  }
}

export interface FoundWorkflow {
  readonly workflow: Workflow;
  /** Other texts in the picture, by name: nodegraph's version, a recipe. */
  readonly texts: ReadonlyMap<string, string>;
}

const WORKFLOW = "workflow";
/** Where nodegraph's is in pictures that a client of ComfyUI made, whose own is at `workflow`. */
const OWN_WORKFLOW = "nodegraph_workflow";
/** Characters of all texts in a file; a small file can claim any size. */
const LARGEST = 64 * 1024 * 1024;

/** The workflow that a file holds. Throws PictureFault, JsonFault or WorkflowFault. */
export function workflowOfFile(bytes: Uint8Array, name: string, mime = ""): FoundWorkflow {
  const kind = kindOf(bytes);
  if (kind === null) {
    if (isText(bytes, name, mime)) return fromText(bytes, name);
    throw new PictureFault(t("pictures.unknownKind", { name }), "unknown-kind");
  }
  return workflowOfTexts(TEXTS[kind](bytes), name);
}

/** The workflow among the texts that a file carries. Throws as `workflowOfFile`. */
export function workflowOfTexts(texts: ReadonlyMap<string, string>, name: string): FoundWorkflow {
  const text = texts.get(OWN_WORKFLOW) ?? texts.get(WORKFLOW);
  const json = text === undefined ? undefined : ownJson(text);
  if (json === undefined) throw noWorkflow(texts, name);
  const rest = new Map([...texts].filter(([key]) => key !== WORKFLOW && key !== OWN_WORKFLOW));
  return { workflow: workflowFromJson(json), texts: rest };
}

/** Whether a file may hold a workflow, by its name and kind, before it is read. */
export function mayHoldWorkflow(file: { readonly name: string; readonly type: string }): boolean {
  return (
    /^(image\/(png|jpe?g|webp)|application\/json)$/.test(file.type) ||
    /\.(png|jpe?g|webp|json)$/i.test(file.name)
  );
}

/** A workflow that isn't another tool's; that stands under the name `workflow`, too. */
function ownJson(text: string): Json | undefined {
  try {
    const json = readJson(text);
    return isOfComfyUi(json) ? undefined : json;
  } catch (fault) {
    // ComfyUI writes NaN, which is no JSON.
    if (fault instanceof JsonFault && !text.includes('"format"')) return undefined;
    throw fault;
  }
}

function noWorkflow(texts: ReadonlyMap<string, string>, name: string): PictureFault {
  const comfyUi = textsOfComfyUi(texts);
  if (comfyUi || texts.has("parameters") || texts.has("invokeai_metadata")) {
    return new PictureFault(t("pictures.foreign", { name }), "foreign", comfyUi);
  }
  return new PictureFault(t("pictures.noWorkflow", { name }), "no-workflow");
}

function fromText(bytes: Uint8Array, name: string): FoundWorkflow {
  let text: string;
  try {
    text = new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch {
    throw new JsonFault(t("pictures.noText"), 1, 1);
  }
  const json = readJson(text);
  if (isPlot(json)) return workflowOfTexts(textsAmong(json), name);
  if (!isOfComfyUi(json)) return { workflow: workflowFromJson(json), texts: new Map() };
  throw new PictureFault(t("pictures.foreign", { name }), "foreign", { workflow: text });
}

/** Plots are JSON, too, and carry their texts beside what they show. */
function isPlot(json: Json): json is JsonObject {
  return isObject(json) && String(json.get("format")).startsWith("nodegraph/plot/");
}

function textsAmong(json: JsonObject): Texts {
  return new Map(
    [...json].filter((entry): entry is [string, string] => typeof entry[1] === "string"),
  );
}

function isText(bytes: Uint8Array, name: string, mime: string): boolean {
  if (/\.json$/i.test(name) || mime === "application/json") return true;
  const start = new TextDecoder().decode(bytes.subarray(0, 64)).trimStart();
  return start.startsWith("{");
}

// Kinds of files

type Kind = "png" | "jpeg" | "webp" | "mp4";
type Texts = Map<string, string>;

function kindOf(bytes: Uint8Array): Kind | null {
  if (latin(bytes, 0, 8) === "\x89PNG\r\n\x1a\n") return "png";
  if (bytes[0] === 0xff && bytes[1] === 0xd8) return "jpeg";
  if (latin(bytes, 4, 8) === "ftyp") return "mp4";
  return latin(bytes, 0, 4) === "RIFF" && latin(bytes, 8, 12) === "WEBP" ? "webp" : null;
}

const TEXTS: Readonly<Record<Kind, (bytes: Uint8Array) => Texts>> = {
  png: pngTexts,
  jpeg: jpegTexts,
  webp: webpTexts,
  mp4: mp4Texts,
};

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

function latin(bytes: Uint8Array, start: number, end: number): string {
  let text = "";
  for (let at = start; at < Math.min(end, bytes.length); at += 0x8000) {
    text += String.fromCharCode(...bytes.subarray(at, Math.min(at + 0x8000, end, bytes.length)));
  }
  return text;
}

function utf8(bytes: Uint8Array): string {
  return new TextDecoder().decode(bytes);
}

// PNG

function pngTexts(bytes: Uint8Array): Texts {
  const texts: Texts = new Map();
  const view = viewOf(bytes);
  let at = 8;
  while (at + 12 <= bytes.length) {
    const length = view.getUint32(at);
    const kind = latin(bytes, at + 4, at + 8);
    // Cut short: what stands before the cut still counts.
    if (at + 12 + length > bytes.length) break;
    const data = bytes.subarray(at + 8, at + 8 + length);
    if (kind === "tEXt" || kind === "zTXt" || kind === "iTXt") addPngText(texts, kind, data);
    if (kind === "eXIf") addAll(texts, exifTexts(data));
    if (kind === "IEND") break;
    at += 12 + length;
  }
  return texts;
}

function addPngText(texts: Texts, kind: string, data: Uint8Array): void {
  const end = data.indexOf(0);
  if (end < 0) return;
  const name = latin(data, 0, end);
  const text = pngText(kind, data.subarray(end + 1));
  if (text !== null && !texts.has(name)) texts.set(name, text);
}

function pngText(kind: string, rest: Uint8Array): string | null {
  if (kind === "tEXt") return latin(rest, 0, rest.length);
  // The first byte names the method of compression, of which there is just one, 0.
  if (kind === "zTXt") {
    const plain = rest[0] === 0 ? unzlib(rest.subarray(1)) : null;
    return plain && latin(plain, 0, plain.length);
  }
  const [isPacked, method] = [rest[0] === 1, rest[1]];
  const language = rest.indexOf(0, 2);
  const translated = language < 0 ? -1 : rest.indexOf(0, language + 1);
  if (translated < 0) return null;
  const body = rest.subarray(translated + 1);
  if (!isPacked) return utf8(body);
  const plain = method === 0 ? unzlib(body) : null;
  return plain && utf8(plain);
}

/** Unpack a zlib stream, giving up once there is too much of it; null if it is damaged. */
function unzlib(packed: Uint8Array): Uint8Array | null {
  const parts: Uint8Array[] = [];
  let size = 0;
  const inflate = new Inflate((part) => {
    size += part.length;
    if (size > LARGEST) throw new PictureFault(t("pictures.tooLarge"), "too-large");
    parts.push(part);
  });
  try {
    const body = packed.subarray(2, packed.length - 4);
    for (let at = 0; at < body.length; at += 16_384) {
      inflate.push(body.subarray(at, at + 16_384), at + 16_384 >= body.length);
    }
  } catch (fault) {
    if (fault instanceof PictureFault) throw fault;
    return null;
  }
  return joinedBytes(parts, size);
}

// JPEG and WebP

function jpegTexts(bytes: Uint8Array): Texts {
  const view = viewOf(bytes);
  let at = 2;
  while (at + 4 <= bytes.length && bytes[at] === 0xff) {
    const marker = bytes[at + 1] ?? 0;
    // Bytes that fill up, and markers without a body.
    if (marker === 0xff) at += 1;
    else if (marker === 0x01 || (marker >= 0xd0 && marker <= 0xd8)) at += 2;
    else if (marker === 0xd9 || marker === 0xda) break;
    else {
      const length = view.getUint16(at + 2);
      const body = bytes.subarray(at + 4, at + 2 + length);
      if (marker === 0xe1 && latin(body, 0, 6) === "Exif\0\0") return exifTexts(body.subarray(6));
      at += 2 + Math.max(2, length);
    }
  }
  return new Map();
}

function webpTexts(bytes: Uint8Array): Texts {
  const view = viewOf(bytes);
  let at = 12;
  while (at + 8 <= bytes.length) {
    const length = view.getUint32(at + 4, true);
    const body = bytes.subarray(at + 8, at + 8 + length);
    if (latin(bytes, at, at + 4) === "EXIF") {
      return exifTexts(latin(body, 0, 6) === "Exif\0\0" ? body.subarray(6) : body);
    }
    at += 8 + length + (length % 2);
  }
  return new Map();
}

const EXIF_IFD = 0x8769;
const USER_COMMENT = 0x9286;

/** The texts in an EXIF block: of the user comment, else ComfyUI's; empty where there are none. */
function exifTexts(block: Uint8Array): Texts {
  const order = latin(block, 0, 2);
  if (order !== "II" && order !== "MM") return new Map();
  const reader = new ExifReader(block, order === "II");
  const texts = commentTexts(reader);
  return texts.size > 0 ? texts : taggedTexts(reader);
}

/** ComfyUI writes `workflow:{…}` and `prompt:{…}` into tags that are meant for a camera's name. */
function taggedTexts(reader: ExifReader): Texts {
  const texts: Texts = new Map();
  for (const text of reader.texts(reader.uint32(4))) {
    const [, name, rest] = /^(workflow|prompt):([\s\S]*)$/i.exec(text) ?? [];
    if (name && rest) texts.set(name.toLowerCase(), rest);
  }
  return texts;
}

function commentTexts(reader: ExifReader): Texts {
  const inner = reader.entry(reader.uint32(4), EXIF_IFD);
  const comment = inner && reader.entry(reader.uint32(inner.at), USER_COMMENT);
  if (!comment || comment.count <= 8) return new Map();
  const data = reader.data(comment);
  return textsOfComment(data.subarray(8), latin(data, 0, 7));
}

function textsOfComment(data: Uint8Array, encoding: string): Texts {
  const text = encoding === "UNICODE" ? new TextDecoder("utf-16be").decode(data) : utf8(data);
  const texts: Texts = new Map();
  try {
    const json = readJson(text.replace(/\0+$/, ""));
    if (!isObject(json)) return texts;
    for (const [key, value] of json) if (typeof value === "string") texts.set(key, value);
  } catch {
    // A foreign comment is no fault of the picture.
  }
  return texts;
}

interface ExifEntry {
  readonly count: number;
  /** Where its value stands, or where the place of a longer one is written. */
  readonly at: number;
}

class ExifReader {
  private readonly view: DataView;

  constructor(
    private readonly bytes: Uint8Array,
    private readonly isLittle: boolean,
  ) {
    this.view = viewOf(bytes);
  }

  uint32(at: number): number {
    return at + 4 <= this.bytes.length ? this.view.getUint32(at, this.isLittle) : 0;
  }

  private uint16(at: number): number {
    return at + 2 <= this.bytes.length ? this.view.getUint16(at, this.isLittle) : 0;
  }

  entry(directory: number, tag: number): ExifEntry | null {
    const count = this.uint16(directory);
    for (let index = 0; index < count; index += 1) {
      const at = directory + 2 + 12 * index;
      if (this.uint16(at) === tag) return { count: this.uint32(at + 4), at: at + 8 };
    }
    return null;
  }

  /** The texts of a directory. */
  texts(directory: number): readonly string[] {
    const ASCII = 2;
    const places = Array.from(
      { length: this.uint16(directory) },
      (_, at) => directory + 2 + 12 * at,
    );
    return places
      .filter((at) => this.uint16(at + 2) === ASCII && this.uint32(at + 4) > 4)
      .map((at) => utf8(this.data({ count: this.uint32(at + 4), at: at + 8 })).replace(/\0+$/, ""));
  }

  /** The bytes of an entry of more than four. */
  data(entry: ExifEntry): Uint8Array {
    const start = this.uint32(entry.at);
    return this.bytes.subarray(start, start + entry.count);
  }
}

function addAll(texts: Texts, more: Texts): void {
  for (const [key, value] of more) if (!texts.has(key)) texts.set(key, value);
}
