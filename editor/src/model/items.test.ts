import { describe, expect, it } from "vitest";
import { edgeItem, endItem, endLinkItem, groupItem, itemOf, rerouteItem } from "./items";

describe("an item", () => {
  it.each([
    ["blur", { kind: "node", name: "blur" }],
    [groupItem("1"), { kind: "group", id: "1" }],
    [edgeItem("blur.image"), { kind: "edge", id: "blur.image" }],
    [rerouteItem("blur.image", 2), { kind: "reroute", edge: "blur.image", index: 2 }],
    [endItem("outputs"), { kind: "end", end: "outputs" }],
    [
      endLinkItem("inputs", "width", "size.width"),
      { kind: "endLink", end: "inputs", port: "width", target: "size.width" },
    ],
    [
      endLinkItem("outputs", "image", "decode"),
      { kind: "endLink", end: "outputs", port: "image", target: "decode" },
    ],
  ])("is read from %s", (id, item) => {
    expect(itemOf(id)).toEqual(item);
  });
});
