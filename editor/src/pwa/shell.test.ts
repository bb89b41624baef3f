import { expect, test, vi } from "vitest";
import { filesOf, type Shell, startShell, type WorkerScope } from "./shell";

const BASE = "https://studio.example/below/";
const BUILD: Shell = { build: "one", files: ["assets/main-1.js", "assets/late-1.js"] };
const NEXT: Shell = { build: "two", files: ["assets/main-2.js", "assets/late-1.js"] };

function pageOf(main: string): string {
  return `<script src="./${main}"></script><link rel="icon" href="./favicon.svg">`;
}

/** A server that can go away, and the caches of a browser. */
class World {
  readonly stores = new Map<string, Map<string, Response>>();
  readonly asked: string[] = [];
  page = pageOf("assets/main-1.js");
  status: number | null = 200;
  redirects = false;

  fetch = async (request: Request | string): Promise<Response> => {
    const url = typeof request === "string" ? request : request.url;
    this.asked.push(url.slice(BASE.length));
    if (this.status === null) throw new TypeError("Failed to fetch");
    const isPage = url === BASE || url === `${BASE}generate`;
    const answer = new Response(isPage ? this.page : url, { status: this.status });
    if (this.redirects) Object.defineProperty(answer, "redirected", { value: true });
    return answer;
  };

  readonly caches = {
    keys: async () => [...this.stores.keys()],
    delete: async (name: string) => this.stores.delete(name),
    open: async (name: string) => {
      const store = this.stores.get(name) ?? new Map<string, Response>();
      this.stores.set(name, store);
      return { put: async (url: string, answer: Response) => void store.set(url, answer) };
    },
    match: async (url: string, { cacheName = "" }: { cacheName?: string } = {}) =>
      this.stores.get(cacheName)?.get(url)?.clone(),
  };

  /** The worker of a build, as it is before it is installed. */
  worker(shell: Shell) {
    const listeners = new Map<string, (event: never) => void>();
    const skipWaiting = vi.fn(async () => undefined);
    const scope = {
      caches: this.caches,
      location: { href: `${BASE}sw.js` },
      clients: { claim: async () => undefined },
      fetch: this.fetch,
      skipWaiting,
      addEventListener: (kind: string, listener: (event: never) => void) =>
        listeners.set(kind, listener),
    } as unknown as WorkerScope;
    startShell(scope, shell);
    const lived = (kind: string) => {
      let work: Promise<unknown> = Promise.resolve();
      const waitUntil = (given: Promise<unknown>) => {
        work = given;
      };
      listeners.get(kind)?.({ waitUntil } as never);
      return work;
    };
    const ask = async (path: string, mode = "cors", method = "GET"): Promise<string | null> => {
      const url = path.includes("://") ? path : BASE + path;
      const found: Promise<Response>[] = [];
      const respondWith = (answer: Promise<Response>) => found.push(answer);
      listeners.get("fetch")?.({ request: { url, mode, method }, respondWith } as never);
      return found[0] === undefined ? null : (await found[0]).text();
    };
    return {
      skipWaiting,
      ask,
      install: () => lived("install"),
      activate: () => lived("activate"),
    };
  }

  async started(shell: Shell) {
    const worker = this.worker(shell);
    await worker.install();
    await worker.activate();
    this.asked.length = 0;
    return worker;
  }
}

test("the page comes from the server, and from what is kept where that is away", async () => {
  const world = new World();
  const worker = await world.started(BUILD);
  world.page = "a newer page";
  expect(await worker.ask("", "navigate")).toBe("a newer page");
  for (const status of [null, 502, 503, 504]) {
    world.status = status;
    expect(await worker.ask("", "navigate")).toBe(pageOf("assets/main-1.js"));
    expect(await worker.ask("generate", "navigate")).toBe(pageOf("assets/main-1.js"));
  }
  world.status = 500;
  expect(await worker.ask("", "navigate")).toBe("a newer page");
});

test("files whose name tells their content are asked for once", async () => {
  const world = new World();
  const worker = await world.started(BUILD);
  expect(await worker.ask("assets/late-1.js")).toBe(`${BASE}assets/late-1.js`);
  expect(world.asked).toEqual([]);
  expect(await worker.ask("assets/unknown-9.js")).toBe(`${BASE}assets/unknown-9.js`);
  expect(world.asked).toEqual(["assets/unknown-9.js"]);
});

test("the API, logins and other pages are none of its business, and nothing of them is kept", async () => {
  const world = new World();
  const worker = await world.started(BUILD);
  for (const path of ["api/v1/jobs", "packs/a/panel/b/c", "openapi.json"])
    expect(await worker.ask(path)).toBeNull();
  for (const path of ["login", "logout", "api/v1/artifacts/1"])
    expect(await worker.ask(path, "navigate")).toBeNull();
  expect(await worker.ask("", "navigate", "POST")).toBeNull();
  expect(await worker.ask("https://studio.example/assets/main-1.js")).toBeNull();
  const kept = [...world.stores.values()].flatMap((store) => [...store.keys()]);
  expect(kept.filter((url) => !/(below\/$|assets\/|\.svg$|\.png$|manifest)/.test(url))).toEqual([]);
});

test.each([
  ["a server that ends meanwhile", (world: World) => (world.status = null)],
  ["a login that is asked for", (world: World) => (world.redirects = true)],
  ["a page of another build", (world: World) => (world.page = pageOf("assets/main-2.js"))],
])("%s leaves nothing half kept", async (_, spoil) => {
  const world = new World();
  const worker = world.worker(BUILD);
  spoil(world);
  await expect(worker.install()).rejects.toThrow();
  expect(world.stores.size).toBe(0);
  expect(worker.skipWaiting).not.toHaveBeenCalled();
});

test("a new build fetches only what is new, and pages of the one before still find their files", async () => {
  const world = new World();
  const old = await world.started(BUILD);
  world.page = pageOf("assets/main-2.js");
  const next = world.worker(NEXT);
  await next.install();
  expect(world.asked).toContain("assets/main-2.js");
  expect(world.asked).not.toContain("assets/late-1.js");
  await next.activate();
  world.status = null;
  expect(await old.ask("assets/main-1.js")).toBe(`${BASE}assets/main-1.js`);
  expect(await next.ask("assets/main-1.js")).toBe(`${BASE}assets/main-1.js`);
  expect(await next.ask("", "navigate")).toBe(pageOf("assets/main-2.js"));
});

test("of older builds only the last is kept, and other servers of the host keep theirs", async () => {
  const world = new World();
  world.stores.set("nodegraph-shell https://studio.example/ other", new Map());
  for (const build of ["one", "two", "three"]) await world.started({ ...BUILD, build });
  expect([...world.stores.keys()].map((key) => key.split(" ").at(-1))).toEqual([
    "other",
    "two",
    "three",
  ]);
});

test("a build that is kept already is not fetched again", async () => {
  const world = new World();
  await world.started(BUILD);
  await world.worker(BUILD).install();
  expect(world.asked).toEqual([]);
});

test("the files that a page loads are read from it, below a path too", () => {
  expect(filesOf(`<script src="/below/assets/a-1.js"><link href="./assets/b_2.css">`)).toEqual([
    "assets/a-1.js",
    "assets/b_2.css",
  ]);
  expect(filesOf('<script src="/src/main.tsx">')).toEqual([]);
});
