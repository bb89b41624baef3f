import { describe, expect, test } from "vitest";
import { builtInTypes } from "@/model/fixtures";
import { readWorkflow } from "@/model/workflow";
import { fileName } from "./fileTypes";
import { matches } from "./matches";
import { missingModels, missingPacks } from "./missing";
import { nameFault, suggestedName } from "./savedNames";
import { sinceText } from "./times";

describe("names", () => {
  test.each([
    ["Text to image", "text_to_image.json"],
    ["../../etc/passwd", "etc_passwd.json"],
    ["Äpfel: 3/4 🍎", "äpfel_3_4.json"],
    ["", "workflow.json"],
  ])("of a file from %s", (title, name) => {
    expect(fileName(title, "json")).toBe(name);
  });

  test.each(["apple still life", "Äpfel (2)", "a+b, c"])("%s may be saved", (name) => {
    expect(nameFault(name)).toBeNull();
  });

  test.each([
    "",
    " ",
    "a/b",
    "a:b",
    ".hidden",
    "-x",
    "end.",
    "con",
    "LPT1.x",
    "x".repeat(121),
    "a\u200b",
  ])("%j may not", (name) => expect(nameFault(name)).not.toBeNull());

  test("are suggested from titles", () => {
    expect(suggestedName(" What: a/b? ")).toBe("What a b");
    expect(suggestedName("...")).toBe("");
  });
});

test("a query's words may stand in any of the texts, in any order", () => {
  expect(matches("Image to", ["Text to image"])).toBe(true);
  expect(matches("text image", ["text_to_image"])).toBe(true);
  expect(matches("video", ["Text to image"])).toBe(false);
  expect(matches("", ["anything"])).toBe(true);
});

test("times are said as people say them", () => {
  expect(sinceText(1000, 1010)).toBe("now");
  expect(sinceText(1000, 1000 + 3 * 3600)).toBe("3 hours ago");
  expect(sinceText(0, 86_400)).toBe("yesterday");
});

describe("what is missing", () => {
  const workflow = readWorkflow(
    JSON.stringify({
      format: "nodegraph/1",
      requires: { cool: ">=2" },
      nodes: {
        a: { type: "cool:Thing" },
        b: { type: "Gone" },
        c: { type: "LoadModel", inputs: { model: "big" } },
        d: { type: "block" },
      },
      subgraphs: { block: { nodes: { inner: { type: "cool:Other" } } } },
    }),
  );

  test("are packs with their types, also those inside blocks", () => {
    const found = missingPacks(workflow, builtInTypes(), ["cool"]);
    expect(found.map(({ places: _, ...pack }) => pack)).toEqual([
      { pack: "cool", versions: ">=2", types: ["cool:Thing", "cool:Other"] },
      { pack: "", versions: "", types: ["Gone"] },
    ]);
    expect(found[1]?.places).toHaveLength(1);
  });

  test("are models with the nodes that name them", () => {
    expect(missingModels(workflow, ["big"])).toEqual([
      { model: "big", places: [{ scope: null, node: "c" }] },
    ]);
  });
});
