/** How large things are on the canvas before they were measured. */
import type { Box, Layout, Point, Size } from "./layout";
import { isLink, literalOf } from "./links";
import { nodesOf, type Scope } from "./scope";
import { defaultOf, type InputSpec, type NodeSpec, type NodeTypes, typeOf } from "./spec";
import { isOfModels, widgetOf } from "./widgets";
import type { NodeEntry, Workflow } from "./workflow";

export interface Extent {
  readonly width: number;
  readonly height: number;
}

export const USUAL_WIDTH = 240;
/** Of what holds long texts, many settings or a picture that is chosen. */
const WIDE = 288;
/** Of what shows the pictures that a run gives. */
const RESULT_WIDTH = 320;
/** Beside a card's pictures, and below them. */
export const PICTURE_MARGIN = 6;
/** The least that a card leaves to its pictures, however low it is made. */
export const LEAST_PICTURE = 96;
/** The same of a picture that is chosen. */
export const LEAST_CHOSEN = 112;
/** What else there is of a field that holds one: its label, name and gaps. */
const CHOOSER = 52;
/** How much lower than its card is wide it may be, and how high it gets by width alone. */
const LOWER = 192;
const HIGHEST_CHOSEN = 520;
/** Of a pack's widget, until it says. */
export const PACK_WIDGET_HEIGHT = 180;
/** How high a field of text gets before it scrolls. */
export const TALLEST_TEXT = 260;
const HEAD = 30;
const BORDERS = 2;
const ROW = 24;
/** Above and below the rows of ports. */
const PORTS = 8;
/** Above and below the fields, and between them. */
const FIELDS = 10;
const GAP = 3;
const FIELD = 28;
const SLIM_FIELD = 24;
/** The line that says how many inputs are left to the inspector. */
const MORE = 14;
/** What a pack's widget says of itself below it. */
const PACK_FOOT = 20;
const LABEL = 22;
/** Of a label within its field, above a text. */
const LABEL_WITHIN = 18;
/** Of the button beside a label. */
const MENU = 20;
/** How wide a seed is at least beside its label, with the gap between. */
const SEED = 200;
const LEAST_LINES = 2;
const LINE = 17.4;
const LETTER = 6.6;
const MARGIN = 16;
/** Below a text in its field. */
const PADDING = 7;

const PICTURES = /^(list\[)*(Image|Video)\b/;

/** Whether a run is there to give pictures by it: its card has room for them from the start. */
export function showsPictures(spec: NodeSpec | null): boolean {
  return spec?.output === true && spec.inputs.some(({ type }) => PICTURES.test(type));
}

/** How wide a card is until somebody makes it wider. */
export function usualWidth(spec: NodeSpec | null): number {
  if (spec === null) return USUAL_WIDTH;
  if (showsPictures(spec)) return RESULT_WIDTH;
  return spec.category === "sampling" || spec.inputs.some(isLarge) ? WIDE : USUAL_WIDTH;
}

function isLarge(input: InputSpec): boolean {
  const widget = widgetOf(input);
  if (widget?.kind === "text") return widget.multiline;
  if (widget?.kind === "pack") return true;
  return widget?.kind === "file" && !isOfModels(widget.file);
}

/** The height of the part of a card that holds its pictures: those of a run are square as a rule. */
export function pictureHeight(spec: NodeSpec | null, own: Size | undefined, width: number): number {
  if (!showsPictures(spec)) return 0;
  const least = own?.height === undefined ? width - 2 * PICTURE_MARGIN : LEAST_PICTURE;
  return least + PICTURE_MARGIN;
}

/** The size of a node's card, guessed from its type and texts, unless the layout says. */
function guessSize(
  entry: NodeEntry,
  spec: NodeSpec | null,
  own: Size | undefined,
  isCollapsed: boolean,
): Extent {
  const width = own?.width ?? usualWidth(spec);
  if (isCollapsed) return { width, height: HEAD + BORDERS };
  const body = bodyHeight(entry, spec, width) + pictureHeight(spec, own, width);
  return { width, height: own?.height ?? HEAD + body + BORDERS };
}

function bodyHeight(entry: NodeEntry, spec: NodeSpec | null, width: number): number {
  if (!spec) return 2 * ROW;
  const isField = (input: InputSpec) =>
    widgetOf(input) !== null && !isLink(entry.inputs.get(input.name));
  const isHidden = (input: InputSpec) => input.advanced && !entry.inputs.has(input.name);
  const fields = spec.inputs.filter(isField);
  const hidden = spec.inputs.filter(isHidden).length;
  const ports = spec.inputs.filter((input) => !isField(input) && !isHidden(input));
  const rows = Math.max(ports.length, spec.outputs.length);
  const shown = fields.filter((input) => !isHidden(input));
  return portsHeight(rows) + fieldsHeight(entry, shown, hidden, width);
}

/** The height of the part of a card that holds its ports. */
export function portsHeight(rows: number): number {
  return rows === 0 ? 0 : rows * ROW + PORTS;
}

/**
 * The height, guessed for long texts, of the part of a card that holds its fields.
 *
 * @param hidden How many inputs it leaves to the inspector.
 */
export function fieldsHeight(
  entry: NodeEntry,
  fields: readonly InputSpec[],
  hidden: number,
  width: number,
): number {
  const heights = fields.map((input) => fieldHeight(entry, input, width));
  if (hidden > 0) heights.push(MORE);
  return heights.reduce((sum, each) => sum + each + GAP, heights.length > 0 ? FIELDS - GAP : 0);
}

function fieldHeight(entry: NodeEntry, input: InputSpec, width: number): number {
  const widget = widgetOf(input);
  switch (widget?.kind) {
    case "number":
    case "toggle":
    case "choice":
      return SLIM_FIELD;
    case "seed":
      return seedHeight(input, width);
    case "json":
      return longFieldHeight(entry, input, width);
    case "pack":
      return LABEL + PACK_WIDGET_HEIGHT + PACK_FOOT;
    case "text":
      return widget.multiline ? longFieldHeight(entry, input, width) : SLIM_FIELD;
    case "file":
      if (isOfModels(widget.file)) return SLIM_FIELD;
      return CHOOSER + (holdsPicture(input) ? chosenHeight(width) : 0);
    default:
      return FIELD;
  }
}

/** A seed stands below its label where a card has no room for both beside each other. */
function seedHeight(input: InputSpec, width: number): number {
  const label = input.name.length * LETTER + MENU;
  return label + SEED <= width - MARGIN - BORDERS ? SLIM_FIELD : 2 * SLIM_FIELD + 2;
}

/** Whether it names a picture or a film, which is shown. */
export function holdsPicture(input: InputSpec): boolean {
  const widget = widgetOf(input);
  return widget?.kind === "file" && (widget.file === "image" || widget.file === "video");
}

function chosenHeight(width: number): number {
  return Math.min(HIGHEST_CHOSEN, Math.max(LEAST_CHOSEN, width - LOWER));
}

/** The height, guessed, of a field that grows with its text until it scrolls, and of its label. */
function longFieldHeight(entry: NodeEntry, input: InputSpec, width: number): number {
  const text = literalOf(entry.inputs.get(input.name)) ?? defaultOf(input);
  const room = Math.max(1, Math.floor((width - 2 * MARGIN) / LETTER));
  const written = typeof text === "string" ? text.split("\n") : [];
  const lines = written.reduce((sum, line) => sum + Math.max(1, Math.ceil(line.length / room)), 0);
  return LABEL_WITHIN + Math.min(TALLEST_TEXT, PADDING + LINE * Math.max(LEAST_LINES, lines));
}

/** The sizes of a graph's nodes: measured ones where there are any, else guessed. */
export function sizesOf(
  workflow: Workflow,
  scope: Scope,
  layout: Layout,
  types: NodeTypes | null,
  measured: ReadonlyMap<string, Size> = new Map(),
): ReadonlyMap<string, Extent> {
  const size = (name: string, entry: NodeEntry): Extent => {
    const known = measured.get(name);
    if (known?.height !== undefined) return { width: known.width, height: known.height };
    const spec = types && typeOf(types, workflow, entry);
    return guessSize(entry, spec, known ?? layout.sizes.get(name), layout.collapsed.has(name));
  };
  return new Map([...nodesOf(workflow, scope)].map(([name, entry]) => [name, size(name, entry)]));
}

/** The smallest box around some, with a margin; null around none. */
export function around(boxes: Iterable<Box>, margin = 0): Box | null {
  const all = [...boxes];
  if (all.length === 0) return null;
  const left = Math.min(...all.map((box) => box.x)) - margin;
  const top = Math.min(...all.map((box) => box.y)) - margin;
  const right = Math.max(...all.map((box) => box.x + box.width)) + margin;
  const bottom = Math.max(...all.map((box) => box.y + box.height)) + margin;
  return { x: left, y: top, width: right - left, height: bottom - top };
}

export function boxAt(at: Point, size: Extent): Box {
  return { x: at.x, y: at.y, width: size.width, height: size.height };
}

/** Whether a box's middle lies within another box. */
export function isWithin(inner: Box, outer: Box): boolean {
  const x = inner.x + inner.width / 2;
  const y = inner.y + inner.height / 2;
  const { x: left, y: top, width, height } = outer;
  return x >= left && x <= left + width && y >= top && y <= top + height;
}
