/** A few node types and a small graph of them, for the tests of the canvas. */
import { input, output, portType, spec } from "@/model/fixtures/specs";
import { nodeTypesOf } from "@/model/spec";
import { readWorkflow, type Workflow } from "@/model/workflow";
import type { Scene } from "./adapt";

const INT = { json_schema: { type: "integer" }, required: false, default: 0 };
const FLOAT = { json_schema: { type: "number" }, required: false, default: 1 };

export const TYPES = nodeTypesOf({
  items: [
    spec("Load", { outputs: [output("model", "Model"), output("words", "Words")] }),
    spec("Text", { inputs: [input("encoder", "Words")], outputs: [output("positive", "Cond")] }),
    spec("Sample", {
      inputs: [input("model", "Model"), input("positive", "Cond"), input("seed", "int", INT)],
      outputs: [output("latent", "Latent")],
    }),
    spec("Count", { outputs: [output("number", "int")] }),
    spec("Scale", {
      inputs: [input("latent", "Latent"), input("by", "float", FLOAT)],
      outputs: [output("latent", "Latent")],
    }),
  ],
  port_types: ["Any", "Model", "Words", "Cond", "Latent", "int", "float"].map((name, index) => ({
    ...portType(name),
    color: `#00000${index}`,
  })),
});

export function workflow(): Workflow {
  return readWorkflow(`{
    "format": "nodegraph/1",
    "nodes": {
      "load": {"type": "Load"},
      "text": {"type": "Text", "inputs": {"encoder": {"from": "load.words"}}},
      "sample": {"type": "Sample", "inputs": {"model": {"from": "load.model"}, "positive": {"from": "text"}, "seed": 7}},
      "count": {"type": "Count"},
      "scale": {"type": "Scale", "inputs": {"latent": {"from": "sample"}}}
    }
  }`);
}

export function scene(of: Workflow = workflow()): Scene {
  return { workflow: of, scope: null, types: TYPES };
}
