import { beforeEach, expect, it } from "vitest";
import { builtInTypes } from "@/model/fixtures";
import { fromPlain, toPlain } from "@/model/json";
import { workflowFromJson } from "@/model/workflow";
import { useCatalogue } from "@/store/catalogue";
import { activeDocument, currentWorkflow, useDocuments } from "@/store/documents";
import { useNotices } from "@/store/notices";
import { modelEntry } from "@/test/models";
import { putModel, putWords } from "./models";
import { giveValue } from "./parameters";

const NODES = {
  load: { type: "LoadModel", inputs: { model: "tiny" } },
  fox: { type: "EncodePrompt", inputs: { encoder: { from: "load.text_encoder" }, text: "a fox" } },
  size: { type: "EmptyLatent", inputs: {} },
  sample: {
    type: "KSampler",
    inputs: {
      model: { from: "load.model" },
      positive: { from: "fox" },
      latent: { from: "size" },
      steps: 31,
    },
  },
};
const SUITS = { width: 1024, height: 1024, steps: 28, guidance: 6, sampler: null, schedule: null };
const XL = modelEntry("xl.safetensors", { title: "Large", suits: SUITS });

const nodes = () => currentWorkflow(activeDocument()).nodes;
const value = (node: string, port: string) => toPlain(nodes().get(node)?.inputs.get(port) ?? null);
const undo = () => useDocuments.getState().undo();

beforeEach(() => {
  useCatalogue.setState({ types: builtInTypes(), models: [XL] });
  useNotices.setState({ items: [] });
  useDocuments
    .getState()
    .open(workflowFromJson(fromPlain({ format: "nodegraph/1", nodes: NODES })));
});

it("a model goes into the only loader with what suits it, as one step to undo", () => {
  putModel(XL);
  expect(value("load", "model")).toBe("xl.safetensors");
  expect(value("size", "width")).toBe(1024);
  expect(value("sample", "steps")).toBe(31);
  const [notice] = useNotices.getState().items;
  expect(notice?.detail).toContain("1024 × 1024");
  expect(notice?.detail).not.toContain("28");
  undo();
  expect(value("load", "model")).toBe("tiny");
  expect(value("size", "width")).toBeNull();
});

it("a model that is chosen in the loader's own field does the same", () => {
  giveValue({ node: "load", port: "model" }, "xl.safetensors");
  expect(value("size", "height")).toBe(1024);
  undo();
  expect(value("size", "height")).toBeNull();
  expect(value("load", "model")).toBe("tiny");
});

it("the selected one of several loaders takes it, and else a new one is added", () => {
  const two = { ...NODES, other: { type: "LoadModel", inputs: {} } };
  useDocuments.getState().open(workflowFromJson(fromPlain({ format: "nodegraph/1", nodes: two })));
  useDocuments.getState().select(["other"]);
  putModel(XL);
  expect(value("other", "model")).toBe("xl.safetensors");
  expect(value("load", "model")).toBe("tiny");
  useDocuments.getState().select([]);
  putModel(XL);
  expect(value("load_model", "model")).toBe("xl.safetensors");
  expect([...activeDocument().selection]).toEqual(["load_model"]);
});

it("what is dropped beside the cards is added there, and on a card goes into it", () => {
  putModel(XL, { at: { x: 500, y: 40 }, node: null, port: "" });
  expect(value("load_model", "model")).toBe("xl.safetensors");
  expect(value("load", "model")).toBe("tiny");
  putModel(XL, { at: { x: 0, y: 0 }, node: "load", port: "model" });
  expect(value("load", "model")).toBe("xl.safetensors");
});

it("a LoRA goes on the model that the prompt leads, with its words in the prompt", () => {
  putModel(
    modelEntry("loras/ink.safetensors", {
      use: "lora",
      node: "LoadLora",
      trigger_words: ["ink drawing"],
    }),
  );
  expect(value("load_lora", "lora")).toBe("loras/ink.safetensors");
  expect(value("sample", "model")).toEqual({ from: "load_lora.model" });
  expect(value("fox", "text")).toBe("a fox, ink drawing");
  undo();
  expect([...nodes().keys()]).toEqual(Object.keys(NODES));
});

it("a model that no node loads is told of", () => {
  putModel(modelEntry("odd.bin", { node: null, problem: "it can't be read" }));
  expect([...nodes().keys()]).toEqual(Object.keys(NODES));
  expect(useNotices.getState().items[0]?.detail).toBe("it can't be read");
});

it("trigger words are put into the prompt once", () => {
  expect(putWords("ink drawing")).toBe(true);
  expect(putWords("ink drawing")).toBe(true);
  expect(value("fox", "text")).toBe("a fox, ink drawing");
});
