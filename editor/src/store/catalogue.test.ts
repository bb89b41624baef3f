import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { EventSocket } from "@/api/socket";
import { labelOf } from "@/model/spec";
import { eventually } from "@/test/eventually";
import { ScriptedServer } from "@/test/scriptedServer";
import { modelFor, startCatalogue, useCatalogue } from "./catalogue";
import { setSocket, socket } from "./connection";
import { setSetting } from "./settings";

const LIST = {
  items: [{ type: "LoadImage", label: "Load image", category: "image" }],
  port_types: [],
  frames: [],
  packs: {},
  problems: [],
  usage: { types: {}, links: {} },
  unread: [],
  isolated: {},
};
const NAMES: Record<string, object> = {
  de: { types: { LoadImage: "Bild laden" }, categories: { image: "Bild" }, ports: {} },
  fr: { types: { LoadImage: "Charger une image" }, categories: {}, ports: {} },
};
const SUMMARIES: Record<string, string> = { en: "Load a picture.", de: "Lädt ein Bild." };

let asked: string[];
let isBroken: boolean;
let stop: () => void;

beforeEach(() => {
  [asked, isBroken] = [[], false];
  vi.stubGlobal("fetch", async ({ url: address, headers }: Request) => {
    const url = new URL(address);
    const language = url.searchParams.get("language") ?? "en";
    asked.push(url.pathname.replace("/api/v1", "") + url.search);
    if (url.pathname.endsWith("/compact")) {
      const known = headers.get("if-none-match");
      if (known === "aa") return new Response(null, { status: 304 });
      return Response.json(LIST, { headers: { etag: "aa" } });
    }
    if (url.pathname.endsWith("/names"))
      return isBroken ? new Response(null, { status: 500 }) : Response.json(NAMES[language]);
    const summary = SUMMARIES[language] ?? "";
    const texts = { summary, tags: [], help: "", inputs: {}, outputs: {} };
    if (url.pathname.endsWith("/help")) return Response.json({ items: { LoadImage: texts } });
    return Response.json({ items: [], folders: [] });
  });
});

afterEach(() => {
  stop();
  setSocket(null);
  setSetting("language", "browser");
  vi.unstubAllGlobals();
});

/** Start with a language, and connect. */
function start(language: string): ScriptedServer {
  setSetting("language", language);
  const server = new ScriptedServer();
  setSocket(new EventSocket({ url: "ws://test", make: server.make }));
  stop = startCatalogue();
  socket().start();
  server.now.welcome();
  return server;
}

function shown() {
  const spec = useCatalogue.getState().types?.byName.get("LoadImage");
  return spec === undefined ? null : [labelOf(spec), spec.summary];
}

it("English node types need no other texts; those of another language come when it is chosen", async () => {
  start("en");
  await eventually(() => expect(shown()).toEqual(["Load image", "Load a picture."]));
  expect(asked.filter((path) => path.startsWith("/node-types"))).toEqual([
    "/node-types/compact",
    "/node-types/help",
  ]);
  setSetting("language", "de");
  await eventually(() => expect(shown()).toEqual(["Bild laden", "Lädt ein Bild."]));
  setSetting("language", "en");
  await eventually(() => expect(shown()).toEqual(["Load image", "Load a picture."]));
});

it("the language chosen last is shown, in whatever order answers come", async () => {
  start("de");
  setSetting("language", "fr");
  setSetting("language", "de");
  await eventually(() => expect(shown()).toEqual(["Bild laden", "Lädt ein Bild."]));
  setSetting("language", "fr");
  await eventually(() => expect(shown()?.[0]).toBe("Charger une image"));
});

it("names that cannot be fetched stay English until the next connection", async () => {
  isBroken = true;
  const server = start("de");
  await eventually(() => expect(shown()?.[0]).toBe("Load image"));
  isBroken = false;
  server.now.welcome();
  await eventually(() => expect(shown()?.[0]).toBe("Bild laden"));
});

it("a model for a node is one that suits the family", () => {
  const models = [
    { name: "a", family: "sdxl" },
    { name: "b", family: "sd15" },
    { name: "c", family: null },
  ].map((model) => ({ ...model, node: "LoadIPAdapter", problem: null }));
  useCatalogue.setState({ models: models as never });
  expect(modelFor("LoadIPAdapter", "sd15")).toBe("b");
  expect(modelFor("LoadIPAdapter", "flux")).toBe("c");
  expect(modelFor("LoadIPAdapter")).toBe("a");
  expect(modelFor("LoadControlNet")).toBeNull();
});
