import { beforeEach, expect, it } from "vitest";
import { builtInTypes } from "@/model/fixtures";
import { input, output, spec } from "@/model/fixtures/specs";
import { fromPlain, toPlain } from "@/model/json";
import { emptyWorkflow, workflowFromJson } from "@/model/workflow";
import { useCatalogue } from "@/store/catalogue";
import { activeDocument, currentWorkflow, useDocuments } from "@/store/documents";
import { useNotices } from "@/store/notices";
import { areWordsTaught, putInversion, putLora } from "./loras";

const NODES = {
  load: { type: "LoadModel", inputs: { model: "tiny" } },
  fox: { type: "EncodePrompt", inputs: { encoder: { from: "load.text_encoder" }, text: "ink" } },
  sample: {
    type: "KSampler",
    inputs: { model: { from: "load.model" }, positive: { from: "fox" } },
  },
};

const INVERSION = spec("LoadTextualInversion", {
  inputs: [input("text_encoder", "TextEncoder"), input("embedding", "str"), input("token", "str")],
  outputs: [output("text_encoder", "TextEncoder")],
});

const documents = () => useDocuments.getState();
const notices = () => useNotices.getState().items.length;
const put = () =>
  putLora({ node: "fox", port: "text" }, { name: "styles/ink", words: "" }, "", false);

beforeEach(() => {
  const types = builtInTypes();
  const byName = new Map(types.byName).set("LoadTextualInversion", INVERSION);
  useCatalogue.setState({ types: { ...types, byName } });
  useNotices.setState({ items: [] });
  documents().open(workflowFromJson(fromPlain({ format: "nodegraph/1", nodes: NODES })));
});

it("a LoRA that was put on is told of for as long as it is there", () => {
  put();
  expect(currentWorkflow(activeDocument()).nodes.has("load_lora")).toBe(true);
  expect(notices()).toBe(1);
  documents().change("Title", (workflow) => ({ ...workflow, title: "Inked" }));
  expect(notices()).toBe(1);
  documents().undo();
  documents().undo();
  expect(currentWorkflow(activeDocument()).nodes.has("load_lora")).toBe(false);
  expect(notices()).toBe(0);
});

it("a LoRA of a workflow that was closed isn't told of", () => {
  put();
  documents().close(activeDocument().id);
  expect(notices()).toBe(0);
});

it("a textual inversion is loaded by its word, with the prompt's text in one step", () => {
  const glow = { word: "glow", file: "embeddings/glow.safetensors" };
  putInversion({ node: "fox", port: "text" }, glow, "a glow", false);
  const { nodes } = currentWorkflow(activeDocument());
  const { inputs } = nodes.get("load_textual_inversion") ?? {};
  expect(areWordsTaught("fox")).toBe(true);
  expect(toPlain(inputs?.get("token") ?? null)).toBe("glow");
  expect(toPlain(inputs?.get("embedding") ?? null)).toBe(glow.file);
  expect(toPlain(inputs?.get("text_encoder") ?? null)).toEqual({ from: "load.text_encoder" });
  expect(toPlain(nodes.get("fox")?.inputs.get("encoder") ?? null)).toEqual({
    from: "load_textual_inversion",
  });
  expect(toPlain(nodes.get("fox")?.inputs.get("text") ?? null)).toBe("a glow");
  expect(notices()).toBe(1);
  documents().undo();
  expect([...currentWorkflow(activeDocument()).nodes.keys()]).toEqual(Object.keys(NODES));
  expect(notices()).toBe(0);
});

it("a textual inversion that nothing can be taught is a word as any other", () => {
  documents().open(emptyWorkflow());
  expect(areWordsTaught("fox")).toBe(false);
});
