import { describe, expect, test } from "vitest";
import { builtInTypes } from "./fixtures";
import { fromPlain, integerFromText, readJson } from "./json";
import type { InputSpec } from "./spec";
import { checkValue, widgetOf } from "./widgets";

const types = builtInTypes();

function input(type: string, name: string): InputSpec {
  const found = types.byName.get(type)?.inputs.find((port) => port.name === name);
  if (!found) throw new Error(`no ${type}.${name}`);
  return found;
}

function made(changes: Partial<InputSpec>): InputSpec {
  return { ...input("Calculate", "b"), name: "value", ...changes };
}

describe("an input's widget", () => {
  test.each([
    ["KSampler", "model", null],
    ["KSampler", "seed", { kind: "seed" }],
    [
      "KSampler",
      "cfg",
      { kind: "number", integer: false, minimum: 0, maximum: 100, step: 0.1, slider: true },
    ],
    ["EmptyLatent", "width", { kind: "number", integer: true, step: 8, slider: true }],
    [
      "Range",
      "stop",
      { kind: "number", integer: true, minimum: null, maximum: null, slider: false },
    ],
    ["KSampler", "sampler", { kind: "choice" }],
    ["EncodePrompt", "text", { kind: "text", multiline: true, prompt: true }],
    ["SaveImage", "name", { kind: "text", multiline: false, prompt: false }],
    ["Gate", "open", { kind: "toggle" }],
    ["LoadImage", "path", { kind: "file", file: "image" }],
    ["LoadModel", "model", { kind: "file", file: "model" }],
    ["Fold", "body", { kind: "subgraph" }],
    ["ImageGrid", "captions", { kind: "json" }],
    ["Gate", "value", null],
  ])("%s.%s", (type, name, expected) => {
    const found = widgetOf(input(type, name));
    if (expected === null) expect(found).toBeNull();
    else expect(found).toMatchObject(expected);
  });

  test.each(["lora", "embedding"])("is of files of kind %s where it says so", (file) => {
    const spec = made({ widget: `file:${file}`, type: "str", json_schema: { type: "string" } });
    expect(widgetOf(spec)).toEqual({ kind: "file", file });
  });

  test("is a colour for what is called one", () => {
    const spec = made({ name: "background_color", type: "str", json_schema: { type: "string" } });
    expect(widgetOf(spec)).toEqual({ kind: "color" });
  });

  test("is a number where null or a number may stand", () => {
    const schema = { anyOf: [{ type: "integer", minimum: 1 }, { type: "null" }] };
    expect(widgetOf(made({ json_schema: schema }))).toMatchObject({ kind: "number", minimum: 1 });
  });
});

describe("a value", () => {
  const check = (type: string, name: string, json: string) =>
    checkValue(input(type, name), readJson(json));

  test.each([
    ["KSampler", "steps", "20"],
    ["KSampler", "steps", "20.0"],
    ["KSampler", "cfg", "4"],
    ["KSampler", "cfg", "4.0"],
    ["KSampler", "seed", "18446744073709551615"],
    ["KSampler", "sampler", '"euler"'],
    ["KSampler", "negative", "null"],
    ["KSampler", "model", '{"from": "load.model"}'],
    ["EmptyLatent", "width", "512"],
    ["ImageGrid", "captions", '["a", "b"]'],
    ["Switch", "on_true", '{"value": {"from": 1}}'],
  ])("%s.%s takes %s", (type, name, json) => {
    expect(check(type, name, json)).toBeNull();
  });

  test.each([
    ["KSampler", "steps", "0", "1"],
    ["KSampler", "steps", "2.5", "integer"],
    ["KSampler", "steps", "true", "integer"],
    ["KSampler", "seed", "18446744073709551616", "18446744073709551615"],
    ["KSampler", "seed", "-1", "0"],
    ["KSampler", "sampler", '"eular"', "eular is not one of the choices. Nearest: euler"],
    ["SaveImage", "format", '"gif"', "gif is not one of the choices: png, "],
    ["KSampler", "model", '"tiny"', "link"],
    ["EmptyLatent", "width", "513", "512 or 520"],
    ["ImageGrid", "captions", '["a", 2]', "Item 2"],
    ["Gate", "open", "1", "True or false"],
  ])("%s.%s refuses %s", (type, name, json, says) => {
    expect(check(type, name, json)).toContain(says);
  });

  test("that is missing is told only where it is needed", () => {
    expect(checkValue(input("KSampler", "model"), undefined)).not.toBeNull();
    expect(checkValue(input("KSampler", "steps"), undefined)).toBeNull();
  });

  test("of many choices tells the nearest, and how many others there are", () => {
    const options = widgetOf(input("KSampler", "schedule"));
    const count = options?.kind === "choice" ? options.options.length : 0;
    const fault = check("KSampler", "schedule", '"karas"');
    expect(fault).toMatch(/^karas is not one of the choices\. Nearest: karras, \w+, \w+, and \d+/);
    expect(fault).toContain(`and ${count - 3} others.`);
    expect(check("KSampler", "schedule", `"${"long ".repeat(1000)}"`)?.length).toBeLessThan(160);
  });

  test("with half a character is told", () => {
    expect(checkValue(input("SaveImage", "name"), fromPlain("\ud800"))).toContain("incomplete");
  });

  test("of any size is compared exactly", () => {
    const seed = input("KSampler", "seed");
    expect(checkValue(seed, integerFromText("9223372036854775806") ?? 0)).toBeNull();
  });
});
