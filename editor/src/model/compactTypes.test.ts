import { expect, test } from "vitest";
import { completeSpec, withHelp } from "./compactTypes";
import { inputOf, nodeTypesOf } from "./spec";

const BLUR = completeSpec({
  type: "Blur",
  version: 2,
  lane: "cpu",
  inputs: [
    { name: "image", type: "Image", required: true },
    { name: "invert", type: "bool", default: false },
  ],
  outputs: [{ name: "image", type: "Image" }],
});

test("fields that are left out are false, null or empty", () => {
  expect(BLUR).toMatchObject({
    version: 2,
    deterministic: false,
    output: false,
    tags: [],
    help: "",
  });
  expect(inputOf(BLUR, "image")).toMatchObject({ required: true, default: null, widget: "" });
  expect(inputOf(BLUR, "invert")).toMatchObject({ required: false, default: false, body: null });
  expect(BLUR.outputs).toEqual([{ name: "image", type: "Image", nullable: false, help: "" }]);
});

test("texts join the types that have some, and the others stay", () => {
  const types = nodeTypesOf({ items: [BLUR, { ...BLUR, type: "Other" }], port_types: [] }, "tag");
  const texts = { summary: "Soft.", tags: ["soft"], help: "Soft.", inputs: { image: "Any." } };
  const known = withHelp(types, {
    Blur: { ...texts, outputs: {} },
    Gone: { ...texts, outputs: {} },
  });
  expect([...known.byName.keys()]).toEqual(["Blur", "Other"]);
  expect(known.byName.get("Blur")).toMatchObject({ summary: "Soft.", tags: ["soft"] });
  expect(known.byName.get("Blur")?.inputs.map(({ help }) => help)).toEqual(["Any.", ""]);
  expect(known.byName.get("Other")).toBe(types.byName.get("Other"));
  expect(known.digest).toBe("tag");
});
