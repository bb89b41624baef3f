import { beforeEach, expect, it } from "vitest";
import { builtInTypes } from "@/model/fixtures";
import { fromPlain } from "@/model/json";
import { workflowFromJson } from "@/model/workflow";
import { useCatalogue } from "@/store/catalogue";
import { activeDocument, currentWorkflow, useDocuments } from "@/store/documents";
import { useNotices } from "@/store/notices";
import { putLora } from "./loras";

const NODES = {
  load: { type: "LoadModel", inputs: { model: "tiny" } },
  fox: { type: "EncodePrompt", inputs: { encoder: { from: "load.text_encoder" }, text: "ink" } },
  sample: {
    type: "KSampler",
    inputs: { model: { from: "load.model" }, positive: { from: "fox" } },
  },
};

const documents = () => useDocuments.getState();
const notices = () => useNotices.getState().items.length;
const put = () =>
  putLora({ node: "fox", port: "text" }, { name: "styles/ink", words: "" }, "", false);

beforeEach(() => {
  useCatalogue.setState({ types: builtInTypes() });
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
