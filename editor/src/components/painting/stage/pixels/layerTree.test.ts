import { expect, it } from "vitest";
import { testCanvas, testLayer } from "../testing";
import { itemsFor, layersOf, layerTree, type TreeItem } from "./layerTree";

/** Nodes as they lie on each other, groups in brackets, tints before what they color. */
function drawn(items: readonly TreeItem[]): string {
  return items
    .map((item) => (item.kind === "layer" ? item.node : `${item.tint ?? ""}(${drawn(item.items)})`))
    .join(" ");
}

it("puts the mask over regions, control layers and pictures", () => {
  const canvas = testCanvas(
    testLayer("mask", { kind: "mask" }),
    testLayer("region", { kind: "region", region: { prompt: "p", port: "text", text: "" } }),
    testLayer("control", { kind: "control" }),
    testLayer("bottom"),
    testLayer("top"),
    testLayer("reference", { kind: "reference" }),
  );
  expect(drawn(layerTree(canvas, ({ kind }) => kind))).toBe(
    "bottom top (control) region(region) mask(mask)",
  );
});

it("has groups in groups, and leaves out what is hidden", () => {
  const canvas = testCanvas(
    testLayer("a", { parent: "inner" }),
    testLayer("hidden", { parent: "inner", visible: false }),
    { ...group("inner"), parent: "outer" },
    testLayer("b", { parent: "outer" }),
    group("outer"),
    testLayer("c"),
  );
  expect(drawn(layerTree(canvas))).toBe("((a) b) c");
  expect(layersOf(layerTree(canvas)).map(({ node }) => node)).toEqual(["a", "b", "c"]);
});

it("has groups among layers that are taken alone, with what is seen in them", () => {
  const canvas = testCanvas(
    testLayer("below"),
    testLayer("a", { parent: "group" }),
    testLayer("hidden", { parent: "group", visible: false }),
    { ...group("group"), opacity: 0.5 },
    testLayer("above"),
  );
  const items = itemsFor(canvas, ["below", "group"]);
  expect(drawn(items)).toBe("below (a)");
  expect(items[1]?.opacity).toBe(0.5);
});

it("gives each region a color of its own", () => {
  const region = (node: string, prompt: string) =>
    testLayer(node, { kind: "region", region: { prompt, port: "text", text: "" } });
  const canvas = testCanvas(region("a", "one"), region("b", "two"), region("c", "one"));
  const tints = layerTree(canvas).map((item) => (item.kind === "group" ? item.tint : null));
  expect(drawn(layerTree(canvas))).toBe(`${tints[0]}(a c) ${tints[1]}(b)`);
  expect(tints[0]).not.toBe(tints[1]);
});

function group(node: string) {
  const { kind, title, opacity, mode, visible, parent } = testLayer(node);
  return { node, kind, title, opacity, mode, visible, parent };
}
