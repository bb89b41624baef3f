import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { stubCanvases, testLayer } from "../testing";
import { LayerPixels, type Painted } from "./layerPixels";
import { Shelf } from "./shelf";
import { type Edit, newCanvas, type Picture } from "./surface";

const onChange = vi.fn<() => void>();
const requests: string[] = [];
let shelf: Shelf;
let pixels: LayerPixels;

const picture = (size: number): Picture => ({
  image: newCanvas(size, size),
  width: size,
  height: size,
});
/** A stroke over a square that begins left of and above the layer. */
const stroke: Edit = {
  operation: "source-over",
  opacity: 1,
  bounds: { x: -10, y: -10, width: 20, height: 20 },
  pixels: ({ width, height }) => new Uint8ClampedArray(width * height * 4),
};

function show(value: string, more = {}): void {
  const layer = testLayer("a", { picture: { node: "file", value }, ...more });
  pixels.sync(layer, value, `/${value}`);
}

function paint(): Painted {
  const painted = pixels.paint("a", stroke);
  if (painted === null) throw new Error("nothing was painted");
  return painted;
}

beforeEach(() => {
  stubCanvases();
  onChange.mockClear();
  requests.length = 0;
  shelf = new Shelf(async (url) => {
    requests.push(url);
    return picture(100);
  });
  pixels = new LayerPixels(shelf, onChange);
});

afterEach(() => vi.unstubAllGlobals());

it("asks again for a picture of another page that the server gets only later", async () => {
  vi.useFakeTimers();
  let isThere = false;
  shelf = new Shelf(async () => {
    if (!isThere) throw new Error("404");
    return picture(100);
  });
  pixels = new LayerPixels(shelf, onChange);
  show("theirs");
  await vi.advanceTimersByTimeAsync(1000);
  expect(pixels.isReady("a")).toBe(false);
  isThere = true;
  await vi.advanceTimersByTimeAsync(2000);
  expect(pixels.isReady("a")).toBe(true);
  vi.useRealTimers();
});

it("a layer is ready once its picture has come", async () => {
  show("one");
  expect(pixels.isReady("a")).toBe(false);
  await vi.waitFor(() => expect(onChange).toHaveBeenCalled());
  expect(pixels.isReady("a")).toBe(true);
  expect(pixels.extent("a")).toEqual({ x: 0, y: 0, width: 100, height: 100 });
});

it("a stroke beyond a layer makes it grow", () => {
  shelf.keep("one", picture(100));
  show("one");
  const { placement } = paint();
  expect(placement.x).toBeLessThanOrEqual(-10);
  expect(placement.x + placement.width).toBeGreaterThanOrEqual(100);
});

it("a stroke is there until the graph has its file, and then without loading", () => {
  shelf.keep("one", picture(100));
  show("one");
  const before = pixels.version;
  const painted = paint();
  show("one");
  painted.named("two");
  show("two", { placement: painted.placement });
  expect(pixels.version).toBe(before);
  expect(pixels.extent("a").x).toBeLessThanOrEqual(-10);
  expect(requests).toEqual([]);
});

it("a graph that has the stroke's file before the layer knows its name changes nothing", () => {
  shelf.keep("one", picture(100));
  show("one");
  const before = pixels.version;
  const painted = paint();
  show("two", { placement: painted.placement });
  painted.named("two");
  show("two", { placement: painted.placement });
  expect(pixels.version).toBe(before);
  expect(requests).toEqual([]);
});

it("the graph may lag behind several strokes", () => {
  shelf.keep("one", picture(100));
  show("one");
  const [first, second] = [paint(), paint()];
  const before = pixels.version;
  first.named("two");
  show("two", { placement: first.placement });
  second.named("three");
  show("three", { placement: second.placement });
  expect(pixels.version).toBe(before);
});

it("undo shows the pixels before the stroke, and redo those after it, without loading", () => {
  shelf.keep("one", picture(100));
  show("one");
  const painted = paint();
  painted.named("two");
  show("two", { placement: painted.placement });
  show("one");
  expect(pixels.extent("a")).toEqual({ x: 0, y: 0, width: 100, height: 100 });
  show("two", { placement: painted.placement });
  expect(pixels.extent("a")).toMatchObject({ x: painted.placement.x, y: painted.placement.y });
  expect(requests).toEqual([]);
});

it("a stroke whose file could not be kept goes", () => {
  shelf.keep("one", picture(100));
  show("one");
  paint().failed();
  show("one");
  expect(pixels.extent("a")).toEqual({ x: 0, y: 0, width: 100, height: 100 });
});

it("a layer that is moved takes its strokes along", () => {
  shelf.keep("one", picture(100));
  show("one");
  const painted = paint();
  painted.named("two");
  show("two", { placement: painted.placement });
  show("two", { placement: { ...painted.placement, x: painted.placement.x + 300 } });
  expect(pixels.extent("a").x).toBe(painted.placement.x + 300);
});

it("layers of the same file have strokes of their own", () => {
  shelf.keep("one", picture(100));
  show("one");
  pixels.sync(testLayer("b"), "one", "/one");
  paint();
  expect(pixels.extent("b")).toEqual({ x: 0, y: 0, width: 100, height: 100 });
});
