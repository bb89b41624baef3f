import { beforeEach, expect, it, vi } from "vitest";
import { stubServer } from "@/test/answers";
import { isReference, useModelOffers } from "./modelOffers";

let answers: Map<string, (body: unknown, status?: number) => void>;

beforeEach(() => {
  answers = new Map();
  stubServer(
    (path) =>
      new Promise<Response>((resolve) => {
        answers.set(path.replace(/^.*\/api\/v1/, ""), (body, status = 200) =>
          resolve(Response.json(body, { status })),
        );
      }),
  );
  useModelOffers.setState({
    hits: null,
    isSearching: false,
    searchProblem: null,
    plan: null,
    search: { text: "" },
  });
});

const state = () => useModelOffers.getState();

it.each([
  ["https://civitai.com/models/1", true],
  ["civitai:128713", true],
  ["org/name", true],
  ["ink drawing", false],
  ["ink", false],
])("%s names one model: %s", (text, is) => {
  expect(isReference(text)).toBe(is);
});

it("a search that is overtaken by another says nothing", async () => {
  const first = state().find({ text: "ink" });
  const second = state().find({ text: "oil" });
  answers.get("/models/search?text=oil")?.({ items: [{ reference: "oil" }], next: null });
  await second;
  answers.get("/models/search?text=ink")?.({ items: [{ reference: "ink" }], next: null });
  await first;
  expect(state().hits).toEqual([{ reference: "oil" }]);
  expect(state().isSearching).toBe(false);
});

it("an address is planned, and nothing is searched or downloaded", async () => {
  const found = state().find({ text: " https://example.org/a.safetensors " });
  expect(state().plan?.request.source).toBe("https://example.org/a.safetensors");
  await vi.waitUntil(() => answers.has("/models/downloads/plan"));
  answers.get("/models/downloads/plan")?.({ name: "a.safetensors", files: [] });
  await found;
  expect(state().plan?.offer?.name).toBe("a.safetensors");
  expect([...answers.keys()]).toEqual(["/models/downloads/plan"]);
});

it("a plan that is closed stays closed, and one that is refused says why", async () => {
  const late = state().look({ source: "a/b" });
  state().closePlan();
  await vi.waitUntil(() => answers.has("/models/downloads/plan"));
  answers.get("/models/downloads/plan")?.({ name: "b", files: [] });
  await late;
  expect(state().plan).toBeNull();
  answers.clear();
  const refused = state().look({ source: "a/c" });
  await vi.waitUntil(() => answers.has("/models/downloads/plan"));
  answers.get("/models/downloads/plan")?.({ title: "Refused", detail: "no such model" }, 422);
  await refused;
  expect(state().plan?.problem).toBe("No such model");
});
