import { readdirSync, readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import cases from "./fixtures/written.json";
import { emptyWorkflow, readWorkflow, WorkflowFault, writeWorkflow } from "./workflow";

const GALLERY = "../workflows";
const files = readdirSync(GALLERY).filter((name) => name.endsWith(".json"));

describe("writeWorkflow", () => {
  it.each(files)("leaves %s as it is", (name) => {
    const text = readFileSync(`${GALLERY}/${name}`, "utf8");
    expect(writeWorkflow(readWorkflow(text))).toBe(text);
  });

  // What the engine itself writes for each text, its `Workflow.from_json(text).to_json()`.
  it.each(cases.map((item, index) => [index, item] as const))(
    "writes case %i as the engine does",
    (_, { given, written }) => {
      expect(writeWorkflow(readWorkflow(given))).toBe(written);
    },
  );

  it("writes an empty workflow", () => {
    expect(writeWorkflow(emptyWorkflow("A"))).toBe(
      '{\n  "format": "nodegraph/1",\n  "title": "A",\n  "nodes": {}\n}\n',
    );
  });
});

describe("readWorkflow", () => {
  it.each([
    ["[]", /JSON object/],
    ["{}", /`format` is missing/],
    ['{"format": "nodegraph/7"}', /newer/],
    ['{"format": "else"}', /unknown/],
  ])("refuses %s", (text, says) => {
    expect(() => readWorkflow(text)).toThrow(says);
  });

  it("tells all that is wrong at once, with its place", () => {
    const text = `{"format": "nodegraph/1", "title": 1, "nodes": {"a.b": {"type": "X"},
      "c": {"inputs": [], "version": 0, "mode": "off"}, "d": 3},
      "subgraphs": {"s": {"outputs": {"o": 1}, "inputs": {"i": {"to": [2]}}}}}`;
    const problems = problemsOf(text);
    expect(problems).toEqual([
      "`title` must be text",
      "`nodes.c.type` is missing",
      "`nodes.c.version` must be at least 1",
      "`nodes.c.inputs` must be an object",
      '`nodes.c.mode` must be "mute" or "bypass"',
      "`nodes.d` must be an object",
      "`a.b` can't be the name of a node: it may hold no . and no /",
      "`subgraphs.s.inputs.i.to.0` must be text",
      "`subgraphs.s.outputs.o` must be text",
    ]);
  });
});

function problemsOf(text: string): readonly string[] {
  try {
    readWorkflow(text);
    return [];
  } catch (fault) {
    if (fault instanceof WorkflowFault) return fault.problems;
    throw fault;
  }
}
