import { describe, expect, it } from "vitest";
import { input, spec } from "./fixtures/specs";
import { nodeTypesOf } from "./spec";
import { checkTable, readTable } from "./table";
import { readWorkflow } from "./workflow";

const TYPES = nodeTypesOf(
  {
    items: [
      spec("Sample", {
        inputs: [
          input("seed", "int", {
            widget: "seed",
            json_schema: { type: "integer", minimum: 0 },
          }),
          input("cfg", "float", { json_schema: { type: "number", minimum: 1, maximum: 20 } }),
          input("text", "str", { json_schema: { type: "string" } }),
          input("fast", "bool", { json_schema: { type: "boolean" } }),
        ],
      }),
    ],
    port_types: [],
  },
  "test",
);
const WORKFLOW = readWorkflow(
  JSON.stringify({
    format: "nodegraph/1",
    parameters: { prompt: "sample.text", seed: "sample.seed" },
    nodes: { sample: { type: "Sample", inputs: { text: "a" } } },
  }),
);

const table = (text: string) => {
  const found = readTable(text);
  if ("fault" in found) throw new Error(JSON.stringify(found.fault));
  return found.table;
};
const faultIn = (text: string) => {
  const found = readTable(text);
  return "fault" in found ? found.fault : null;
};

describe("a table", () => {
  it("is read from CSV with quotes, other delimiters and empty cells", () => {
    const found = table('prompt;seed\n"a; ""red"" cat\non a mat";1\n\nb;\n');
    expect(found.columns).toEqual(["prompt", "seed"]);
    expect(found.rows).toEqual([
      ['a; "red" cat\non a mat', "1"],
      ["b", null],
    ]);
  });

  it("is read from lines of JSON, seeds to the last digit", () => {
    const found = table('{"prompt": "a", "seed": 18446744073709551557}\n{"cfg": 2}\n');
    expect(found.columns).toEqual(["prompt", "seed", "cfg"]);
    expect(String(found.rows[0]?.[1])).toBe("18446744073709551557");
    expect(found.rows[1]?.[0]).toBeNull();
  });

  it.each([
    ["", null, "empty"],
    ["prompt\n", null, "empty"],
    ["prompt,prompt\na,b", 1, "columns"],
    ["prompt,\na,b", 1, "columns"],
    ["prompt\na\nb,c", 3, "long"],
    ['prompt\n"a', 2, "quote"],
    ['{"a": 1}\n{', 2, "json"],
    ['{"a": 1}\n[1]', 2, "object"],
  ])("that is wrong says where: %j", (text, line, code) => {
    expect(faultIn(text)).toEqual({ line, code });
  });
});

describe("the columns of a table", () => {
  it("are parameters or inputs, and each wrong cell is named", () => {
    const text = "prompt,sample.cfg,seed,size\na,2,1,9\nb,40,x,9\n";
    const { columns, faults } = checkTable(table(text), WORKFLOW, TYPES);
    expect(columns.map(({ input: found }) => found?.name ?? null)).toEqual([
      "text",
      "cfg",
      "seed",
      null,
    ]);
    expect(faults.map(({ row, column }) => [row, column])).toEqual([
      [1, 1],
      [1, 2],
    ]);
  });

  it("take switches and texts as they are written", () => {
    const text = "sample.fast,prompt\nyes,12\nno,true\nmaybe,c\n";
    const { faults } = checkTable(table(text), WORKFLOW, TYPES);
    expect(faults.map(({ row, column }) => [row, column])).toEqual([[2, 0]]);
  });
});
