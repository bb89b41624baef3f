import { render, screen } from "@testing-library/react";
import { beforeEach, expect, test, vi } from "vitest";
import { activeDocument, currentWorkflow, useDocuments } from "@/store/documents";
import { useNotices } from "@/store/notices";
import { useUi } from "@/store/ui";
import { placeholders } from "./missing";
import { openFiles } from "./opening";
import TranslatedDialog from "./TranslatedDialog";

const API = '{"3": {"class_type": "Sparkle", "inputs": {"seed": 1}}}';
const REPORT = {
  format: "api",
  nodes: 2,
  untranslated: [
    { node: "sparkle", type: "Sparkle", pack: "glitter", stand_ins: [], reason: "unknown" },
  ],
  models: [{ name: "ae.safetensors", folder: "vae", url: "https://example.com/ae" }],
  files: ["pear.png"],
  families: [],
  differences: [{ node: "", message: "noise differs" }],
  problems: [],
};
const WORKFLOW = `{"format": "nodegraph/1", "nodes": {
  "sparkle": {"type": "comfyui:Sparkle", "pack": "glitter", "inputs": {"seed": 18446744073709551615}}
}}`;
const NOTHING = { untranslated: [], models: [], files: [], differences: [] };

function answered(report: object): void {
  const rest = JSON.stringify(report).slice(1);
  vi.stubGlobal("fetch", async () => new Response(`{"workflow": ${WORKFLOW}, ${rest}`));
}

async function drop(text = API): Promise<void> {
  const file = new File([text], "apple pie.json", { type: "application/json" });
  await openFiles([{ file, handle: null }], { x: 0, y: 0 });
}

beforeEach(() => {
  useDocuments.getState().restore([], null);
  useNotices.setState({ items: [] });
  useUi.setState({ dialog: null });
});

test("a file of ComfyUI's opens translated, under its own name, and what lacks is told", async () => {
  answered(REPORT);
  await drop();
  const workflow = currentWorkflow(activeDocument());
  expect(workflow.title).toBe("apple pie");
  expect(activeDocument()).toMatchObject({ origin: "import", fileHandle: null });
  expect(String(workflow.nodes.get("sparkle")?.inputs.get("seed"))).toBe("18446744073709551615");
  expect(useUi.getState().dialog).toMatchObject({ name: "translated", props: { report: REPORT } });
  expect(useNotices.getState().items).toMatchObject([{ kind: "warning", detail: "1 of 2 nodes" }]);
  expect(placeholders(workflow)).toMatchObject([{ type: "Sparkle", pack: "glitter" }]);
});

test("one that lacks nothing opens without a dialog", async () => {
  answered({ ...REPORT, ...NOTHING });
  await drop();
  expect(useUi.getState().dialog).toBeNull();
  expect(useNotices.getState().items[0]).toMatchObject({ kind: "success" });
});

test("one that the server refuses says why, and opens nothing", async () => {
  const problem = { title: "Invalid request", detail: "its version is not known", status: 422 };
  vi.stubGlobal("fetch", async () => new Response(JSON.stringify(problem), { status: 422 }));
  await drop();
  const told = useNotices.getState().items.at(-1);
  expect(told).toMatchObject({ kind: "error", title: expect.stringContaining("apple pie.json") });
  expect(JSON.stringify(told)).toContain("its version is not known");
  expect(currentWorkflow(activeDocument()).nodes.size).toBe(0);
});

test("the report says which nodes, of which pack, which models, and where they go", () => {
  render(<TranslatedDialog report={REPORT} onClose={vi.fn()} />);
  expect(screen.getByText(/1 of 2 nodes/)).toBeInTheDocument();
  expect(screen.getByText("Sparkle")).toBeInTheDocument();
  expect(screen.getByText("glitter")).toBeInTheDocument();
  expect(screen.getByText(/folder “vae”/)).toBeInTheDocument();
  expect(screen.getByRole("link")).toHaveAttribute("href", "https://example.com/ae");
  expect(screen.getByText("pear.png")).toBeInTheDocument();
  expect(screen.getByText("noise differs")).toBeInTheDocument();
});

test("an address that is none of the web is no link", () => {
  const models = [{ name: "a", folder: "", url: "javascript:alert(1)" }];
  render(<TranslatedDialog report={{ ...REPORT, models }} onClose={vi.fn()} />);
  expect(screen.queryByRole("link")).toBeNull();
});
