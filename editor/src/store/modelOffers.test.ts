import { QueryObserver } from "@tanstack/react-query";
import { beforeEach, expect, it, vi } from "vitest";
import { stubServer } from "@/test/answers";
import { isReference, offersOf, useModelOffers } from "./modelOffers";
import { queries } from "./queries";

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
  useModelOffers.setState({ plan: null, search: { text: "" } });
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

it("only words are searched for", () => {
  const enabled = [" ", "org/name", " ink "].map((text) => offersOf({ text }).enabled);
  expect(enabled).toEqual([false, false, true]);
});

it("a search that is overtaken by another says nothing", async () => {
  const shown = new QueryObserver(queries, offersOf({ text: "ink" }));
  const stop = shown.subscribe(() => undefined);
  await vi.waitUntil(() => answers.has("/models/search?text=ink"));
  shown.setOptions(offersOf({ text: "oil" }));
  await vi.waitUntil(() => answers.has("/models/search?text=oil"));
  answers.get("/models/search?text=oil")?.({ items: [{ reference: "oil" }], next: null });
  answers.get("/models/search?text=ink")?.({ items: [{ reference: "ink" }], next: null });
  await vi.waitUntil(() => shown.getCurrentResult().data !== undefined);
  expect(shown.getCurrentResult().data?.items).toEqual([{ reference: "oil" }]);
  stop();
});

it("what is searched for once more is asked once more", async () => {
  const shown = new QueryObserver(queries, offersOf({ text: "ink" }));
  const stop = shown.subscribe(() => undefined);
  await vi.waitUntil(() => answers.has("/models/search?text=ink"));
  answers.get("/models/search?text=ink")?.({ title: "Refused", detail: "no answer" }, 502);
  await vi.waitUntil(() => shown.getCurrentResult().isError);
  answers.clear();
  const again = state().find({ text: "ink" });
  await vi.waitUntil(() => answers.has("/models/search?text=ink"));
  answers.get("/models/search?text=ink")?.({ items: [], next: null });
  await again;
  expect(shown.getCurrentResult().data?.items).toEqual([]);
  stop();
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
