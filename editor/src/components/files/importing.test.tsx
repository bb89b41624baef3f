import { render, screen, within } from "@testing-library/react";
import userEvent from "@testing-library/user-event";
import { beforeEach, expect, test, vi } from "vitest";
import { builtInTypes } from "@/model/fixtures";
import { layoutOf } from "@/model/layout";
import { useCatalogue } from "@/store/catalogue";
import { activeDocument, currentWorkflow, useDocuments } from "@/store/documents";
import { useNotices } from "@/store/notices";
import { useUi } from "@/store/ui";
import { stubServer } from "@/test/answers";
import type { ToldTranslation } from "./importing";
import { placeholders } from "./missing";
import { openFiles } from "./opening";
import TranslatedDialog from "./TranslatedDialog";

const API = '{"3": {"class_type": "Sparkle", "inputs": {"seed": 1}}}';
const REPORT = {
  format: "api",
  nodes: 2,
  untranslated: [
    {
      node: "sparkle",
      type: "Sparkle",
      pack: "glitter",
      stand_ins: [],
      reason: "unknown",
      command: "nodegraph pack add glitter",
    },
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

function answered(report: object, workflow = WORKFLOW): void {
  const rest = JSON.stringify(report).slice(1);
  stubServer(async () => new Response(`{"workflow": ${workflow}, ${rest}`));
}

async function drop(names = ["apple pie.json"]): Promise<void> {
  const files = names.map((name) => new File([API], name, { type: "application/json" }));
  await openFiles(
    files.map((file) => ({ file, handle: null })),
    { x: 0, y: 0 },
  );
}

const TOLD = { name: "apple pie.json", document: "d", report: REPORT };

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
  expect(useUi.getState().dialog).toMatchObject({
    name: "translated",
    props: { told: [{ report: REPORT }] },
  });
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
  stubServer(async () => new Response(JSON.stringify(problem), { status: 422 }));
  await drop();
  const told = useNotices.getState().items.at(-1);
  expect(told).toMatchObject({ kind: "error", title: expect.stringContaining("apple pie.json") });
  expect(JSON.stringify(told)).toContain("its version is not known");
  expect(currentWorkflow(activeDocument()).nodes.size).toBe(0);
});

test("the report says which nodes, of which pack, which models, and where they go", () => {
  render(<TranslatedDialog told={[TOLD]} onClose={vi.fn()} />);
  expect(screen.getByText(/1 of 2 nodes/)).toBeInTheDocument();
  expect(screen.getByText("Sparkle")).toBeInTheDocument();
  expect(screen.getByText("nodegraph pack add glitter")).toBeInTheDocument();
  expect(screen.getByText("glitter")).toBeInTheDocument();
  expect(screen.getByText(/folder “vae”/)).toBeInTheDocument();
  expect(screen.getByRole("link")).toHaveAttribute("href", "https://example.com/ae");
  expect(screen.getByText("pear.png")).toBeInTheDocument();
  expect(screen.getByText("noise differs")).toBeInTheDocument();
});

test("of several files each has its report, and a node is shown where it is", async () => {
  answered(REPORT);
  await drop(["first.json", "second.json"]);
  const told = useUi.getState().dialog?.props.told as ToldTranslation[];
  expect(told.map(({ name }) => name)).toEqual(["first.json", "second.json"]);
  render(<TranslatedDialog told={told} onClose={vi.fn()} />);
  const first = screen.getByRole("region", { name: "first.json" });
  expect(within(first).getByRole("heading", { name: "first.json" })).toBeInTheDocument();
  expect(screen.getByRole("button", { name: "Go to the workflows" })).toBeInTheDocument();
  expect(activeDocument().id).not.toBe(told[0]?.document);
  await userEvent.click(within(first).getByRole("button", { name: "Show “sparkle”" }));
  expect(activeDocument().id).toBe(told[0]?.document);
});

test.each([
  [1, 0, "Its one node was converted."],
  [2, 0, "All 2 nodes were converted."],
  [1, 1, "Its one node could not be converted. It is on the canvas as a placeholder."],
])("of %i nodes, %i of them as placeholders, it says so", (nodes, lacking, words) => {
  const untranslated = REPORT.untranslated.slice(0, lacking);
  const told = [{ ...TOLD, report: { ...REPORT, nodes, untranslated } }];
  render(<TranslatedDialog told={told} onClose={vi.fn()} />);
  expect(screen.getByText(words)).toBeInTheDocument();
});

test("an address that is none of the web is no link", () => {
  const models = [{ name: "a", folder: "", url: "javascript:alert(1)" }];
  const told = [{ ...TOLD, report: { ...REPORT, models } }];
  render(<TranslatedDialog told={told} onClose={vi.fn()} />);
  expect(screen.queryByRole("link")).toBeNull();
});

test("cards that would lie on each other are moved apart once the node types are there", async () => {
  const workflow = {
    format: "nodegraph/1",
    nodes: { first: { type: "comfyui:A" }, second: { type: "comfyui:B" } },
    ui: {
      positions: { first: [0, 0], second: [10, 20] },
      comfyui: { format: "ui", is_spread: false },
    },
  };
  answered({ ...REPORT, ...NOTHING }, JSON.stringify(workflow));
  await drop();
  const places = () => layoutOf(currentWorkflow(activeDocument()), null).positions;
  expect(places().get("second")).toEqual({ x: 10, y: 20 });
  useCatalogue.setState({ types: builtInTypes() });
  const positions = places();
  expect(positions.get("first")).toEqual({ x: 0, y: 0 });
  expect(positions.get("second")?.x).toBe(10);
  expect(positions.get("second")?.y).toBeGreaterThan(60);
});
