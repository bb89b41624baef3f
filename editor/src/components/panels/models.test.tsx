import { render, screen, waitFor, within } from "@testing-library/react";
import userEvent from "@testing-library/user-event";
import { beforeEach, describe, expect, it } from "vitest";
import type { ModelDownloadEntry, StarterModelEntry } from "@/api/schema";
import MissingDialog from "@/components/files/MissingDialog";
import { builtInTypes, galleryWorkflow } from "@/model/fixtures";
import { toPlain } from "@/model/json";
import { NO_FILTER } from "@/model/models";
import { useCatalogue } from "@/store/catalogue";
import { useConnection } from "@/store/connection";
import { activeDocument, currentWorkflow, useDocuments } from "@/store/documents";
import { useDownloads } from "@/store/downloads";
import { useMissingModels } from "@/store/missingModels";
import { useModelOffers } from "@/store/modelOffers";
import { useModels } from "@/store/models";
import { NO_PLAN, usePlan } from "@/store/plan";
import { useUi } from "@/store/ui";
import { stubServer } from "@/test/answers";
import { modelEntry } from "@/test/models";
import ModelsPanel from "./ModelsPanel";

const SETTINGS = {
  width: 1024,
  height: 1024,
  steps: 28,
  guidance: 6,
  sampler: null,
  schedule: null,
};
const XL = modelEntry("xl.safetensors", { title: "Large", family: "sdxl", suits: SETTINGS });
const INK = modelEntry("loras/ink.safetensors", {
  use: "lora",
  node: "LoadLora",
  family: null,
  trigger_words: ["ink drawing"],
  tags: ["drawing"],
  stars: 4,
  sha256: "ab".repeat(32),
});
const STARTER: StarterModelEntry = {
  id: "xl",
  title: "Stable Diffusion XL",
  description: "A good all-rounder.",
  purpose: "image",
  family: "sdxl",
  license: "openrail++",
  license_url: "https://example.org/license",
  source: "a/xl",
  variant: "fp16",
  kind: "checkpoint",
  bytes: 6.9e9,
  memory: 8e9,
  settings: SETTINGS,
  is_gated: false,
  fits: true,
  installed: null,
};
const DOWNLOAD: ModelDownloadEntry = {
  id: "one",
  name: "xl.safetensors",
  source: "a/xl",
  state: "running",
  bytes: 6.9e9,
  done: 2.3e9,
  speed: 5e7,
  seconds_left: 92,
  error: null,
  created: 1,
};

let asked: { method: string; path: string; body: unknown }[];
let answers: Record<string, unknown>;

beforeEach(() => {
  asked = [];
  answers = {
    "GET /models": { items: [XL, INK], folders: [] },
    "GET /models/starter": { items: [STARTER] },
    "POST /models/downloads": DOWNLOAD,
    "GET /models/uses": { saved: ["portrait"], jobs: 3, last: null },
  };
  stubServer(async (address: string, { method = "GET", body }: RequestInit = {}) => {
    const path = decodeURIComponent(address.replace(/^.*\/api\/v1/, ""));
    asked.push({ method, path, body: typeof body === "string" ? JSON.parse(body) : body });
    const answer = answers[`${method} ${path.split("?")[0]}`];
    return method === "DELETE"
      ? new Response(null, { status: 204 })
      : Response.json(answer ?? { source: null, page: null });
  });
  useCatalogue.setState({ types: builtInTypes(), models: [XL, INK] });
  useConnection.setState({ caller: { name: "me", scopes: ["read", "run", "models"] } });
  useModels.setState({ tab: "own", shown: null, filter: NO_FILTER, sort: "name" });
  useDownloads.setState({ items: [], asked: new Map(), refused: new Map(), starting: new Set() });
  useModelOffers.setState({ plan: null, search: { text: "" } });
  useMissingModels.setState({ sources: null, isAsking: false, problem: null });
  usePlan.setState({ ...NO_PLAN });
  useDocuments.getState().restore([], null);
  useDocuments.getState().open(galleryWorkflow("text_to_image"));
});

const value = (node: string, port: string) =>
  toPlain(currentWorkflow(activeDocument()).nodes.get(node)?.inputs.get(port) ?? null);
const cards = () => screen.getAllByRole("gridcell").map((card) => card.getAttribute("aria-label"));

describe("the library", () => {
  it("says what models are, is searched, and puts one into the graph by a click", async () => {
    render(<ModelsPanel />);
    expect(cards()[0]).toContain("ink, LoRA");
    expect(cards()[0]).toContain("4 stars");
    await userEvent.type(screen.getByRole("searchbox"), "large");
    expect(cards()).toHaveLength(1);
    expect(screen.getByRole("status")).toHaveTextContent("1 of 2 models");
    await userEvent.click(screen.getByRole("gridcell"));
    expect(value("load", "model")).toBe("xl.safetensors");
  });

  it("labels a card by the words that are written on it", () => {
    render(<ModelsPanel />);
    const words = (text: string | null) => text?.match(/[\p{L}\p{N}]+/gu)?.join(" ") ?? "";
    for (const card of screen.getAllByRole("gridcell"))
      expect(words(card.getAttribute("aria-label"))).toContain(words(card.textContent));
  });

  it("is walked by arrow keys; Space shows all of one", async () => {
    render(<ModelsPanel />);
    screen.getAllByRole("gridcell")[0]?.focus();
    await userEvent.keyboard("{ArrowRight}");
    const [ink, xl] = screen.getAllByRole("gridcell");
    expect(xl ?? ink).toHaveFocus();
    await userEvent.keyboard(" ");
    expect(await screen.findByRole("heading", { name: "Large" })).toBeInTheDocument();
  });

  it("is filtered by what there is", async () => {
    render(<ModelsPanel />);
    await userEvent.click(screen.getByRole("button", { name: "Filters" }));
    await userEvent.selectOptions(screen.getByLabelText("Kind"), "LoRA");
    expect(cards()).toHaveLength(1);
    await userEvent.selectOptions(screen.getByLabelText("Only"), "Duplicates");
    expect(screen.getByText("No model fits")).toBeInTheDocument();
    await userEvent.click(screen.getByRole("button", { name: "Clear search and filters" }));
    expect(cards()).toHaveLength(2);
  });
});

describe("the details of a model", () => {
  beforeEach(() => useModels.getState().show(INK.name));

  it("are noted: stars, tags and trigger words", async () => {
    render(<ModelsPanel />);
    await userEvent.click(screen.getByRole("button", { name: "5 stars" }));
    await userEvent.type(screen.getByLabelText("Add a tag"), "style{Enter}");
    await userEvent.click(screen.getByRole("button", { name: "Edit the trigger words" }));
    const words = screen.getByRole("textbox", { name: "Trigger words" });
    await userEvent.clear(words);
    await userEvent.type(words, "ink, black lines");
    await userEvent.click(screen.getByRole("button", { name: "Save" }));
    const changes = asked.filter(({ method }) => method === "PATCH").map(({ body }) => body);
    expect(changes).toEqual([
      { stars: 5 },
      { tags: ["drawing", "style"] },
      { trigger_words: ["ink", "black lines"] },
    ]);
  });

  it("put trigger words into the prompt", async () => {
    render(<ModelsPanel />);
    await userEvent.click(screen.getByRole("button", { name: "ink drawing" }));
    expect(value("positive", "text")).toMatch(/, ink drawing$/);
  });

  it("tell what uses a model before it is removed", async () => {
    render(<ModelsPanel />);
    await userEvent.click(screen.getByRole("button", { name: "Remove…" }));
    await waitFor(() => expect(useUi.getState().question).not.toBeNull());
    const { question } = useUi.getState();
    expect(question?.detail).toContain("“portrait”");
    expect(question?.detail).toContain("3 jobs");
    expect(asked.some(({ method }) => method === "DELETE")).toBe(false);
    question?.answer("confirm");
    await waitFor(() => expect(asked.some(({ method }) => method === "DELETE")).toBe(true));
  });

  it("say so where models may not be changed", () => {
    useConnection.setState({ caller: { name: "me", scopes: ["read", "run"] } });
    render(<ModelsPanel />);
    expect(screen.getByText(/Only people with the right “models”/)).toBeInTheDocument();
    expect(screen.queryByRole("button", { name: "Remove…" })).toBeNull();
    expect(screen.queryByLabelText("Add a tag")).toBeNull();
    expect(screen.getByRole("button", { name: "4 stars" })).toBeDisabled();
  });
});

describe("getting models", () => {
  beforeEach(() => useModels.getState().showTab("get"));

  it("is one click for those of the catalogue, with bytes, speed and time left", async () => {
    render(<ModelsPanel />);
    const card = await screen.findByRole("listitem");
    expect(card).toHaveTextContent("6.9 GB");
    expect(within(card).getByRole("link", { name: "openrail++" })).toBeInTheDocument();
    await userEvent.click(screen.getByRole("button", { name: "Get Stable Diffusion XL" }));
    const body = asked.find(
      ({ path, method }) => method === "POST" && /downloads$/.test(path),
    )?.body;
    expect(body).toEqual({ source: "a/xl", variant: "fp16", kind: "checkpoint" });
    const [shown] = await screen.findAllByText(/2.3 GB of 6.9 GB/);
    expect(shown).toHaveTextContent("50 MB/s · about 1 min 32 s left");
  });

  it("offers what is here already to the graph", async () => {
    answers["GET /models/starter"] = { items: [{ ...STARTER, installed: XL.name }] };
    render(<ModelsPanel />);
    await userEvent.click(await screen.findByRole("button", { name: /^Put Stable Diffusion XL/ }));
    expect(value("load", "model")).toBe("xl.safetensors");
  });

  it("says why a download failed, and tries it again", async () => {
    const error = "The disk is full. Free some.";
    const failed = { ...DOWNLOAD, source: "b/other", state: "failed" as const, error };
    useDownloads.setState({ items: [failed] });
    render(<ModelsPanel />);
    const list = screen.getByRole("region", { name: "Downloads" });
    expect(within(list).getByRole("alert")).toHaveTextContent("The disk is full. Free some.");
    await userEvent.click(within(list).getByRole("button", { name: /^Try the download/ }));
    expect(asked.at(-1)).toMatchObject({ method: "POST", path: "/models/downloads/one/resume" });
  });

  it("is told of, not offered, to those who may not", async () => {
    useConnection.setState({ caller: { name: "me", scopes: ["read"] } });
    render(<ModelsPanel />);
    expect(await screen.findByText(/may get models for this server/)).toBeInTheDocument();
    await screen.findByRole("listitem");
    expect(screen.queryByRole("button", { name: /^Get Stable/ })).toBeNull();
    expect(screen.queryByRole("searchbox")).toBeNull();
  });
});

describe("what a workflow lacks", () => {
  const source = (name: string, more: object) => ({
    name,
    source: null,
    kind: null,
    sha256: null,
    bytes: null,
    license: null,
    license_url: null,
    is_gated: false,
    problem: null,
    installed_as: null,
    ...more,
  });

  beforeEach(() => {
    answers["POST /models/missing"] = {
      items: [
        source("a.safetensors", { source: "a/xl", kind: "checkpoint", bytes: 2e9, license: "mit" }),
        source("b.safetensors", { problem: "the workflow does not state where to get it" }),
        source("tiny-old", { installed_as: "xl.safetensors" }),
      ],
    };
    const models = ["a.safetensors", "b.safetensors", "tiny-old"];
    usePlan.setState({ missing: { models, packs: [] } });
  });

  it("is got with one click, and what can't be got says why", async () => {
    render(<MissingDialog onClose={() => undefined} />);
    const all = await screen.findByRole("button", { name: "Get it (2.0 GB)" });
    expect(screen.getByText("Licenses: mit")).toBeInTheDocument();
    expect(screen.getByText("The workflow does not state where to get it.")).toBeInTheDocument();
    await userEvent.click(all);
    const started = asked.find(({ path, method }) => method === "POST" && /downloads$/.test(path));
    expect(started?.body).toMatchObject({ source: "a/xl", name: "a.safetensors" });
    expect(await screen.findByRole("progressbar")).toBeInTheDocument();
  });

  it("is replaced by the same model under another name", async () => {
    useDocuments.getState().change("", (workflow) => {
      const nodes = new Map(workflow.nodes);
      const load = nodes.get("load");
      if (load) nodes.set("load", { ...load, inputs: new Map([["model", "tiny-old"]]) });
      return { ...workflow, nodes };
    });
    render(<MissingDialog onClose={() => undefined} />);
    await userEvent.click(await screen.findByRole("button", { name: "Use that one" }));
    expect(value("load", "model")).toBe("xl.safetensors");
  });
});
