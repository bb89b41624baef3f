/**
 * The service worker's answers. It keeps the page and the files that the page loads, so that the
 * editor opens while the server is away. It keeps nothing of the API: documents are kept by the page.
 *
 * The page itself always comes from the server if that answers: an old page never meets a new
 * server because of this. Files have their content's hash in their name: what is kept is right.
 */

/** The files of one build. */
export interface Shell {
  /** Names the build, and its cache. */
  readonly build: string;
  /** Paths below the worker's own address. */
  readonly files: readonly string[];
}

/** Something that waits for work, or takes an answer. */
export interface WorkerEvent {
  waitUntil(work: Promise<unknown>): void;
}

export interface FetchEvent {
  readonly request: Request;
  respondWith(answer: Promise<Response>): void;
}

/** The part of a worker's global object that is used, so that tests bring their own. */
export interface WorkerScope {
  readonly caches: CacheStorage;
  /** Where the worker's script is. */
  readonly location: { readonly href: string };
  readonly clients: { claim(): Promise<void> };
  fetch(request: Request | string, options?: RequestInit): Promise<Response>;
  skipWaiting(): Promise<void>;
  addEventListener(kind: "install" | "activate", listener: (event: WorkerEvent) => void): void;
  addEventListener(kind: "fetch", listener: (event: FetchEvent) => void): void;
}

const PREFIX = "nodegraph-shell";
/** Addresses of the page below the worker's own. */
const PAGES = new Set(["", "generate"]);
/** Files beside the page that keep their name when they change. */
const NAMED = ["favicon.svg", "manifest.webmanifest", "icon-192.png", "icon-512.png"];
/** What a proxy says of a server that is away. */
const AWAY = new Set([502, 503, 504]);
/** Files that are fetched at once: the page has work of its own meanwhile. */
const AT_ONCE = 4;
/** Open pages of the build before may still ask for its files. */
const BUILDS_KEPT = 2;

export function startShell(scope: WorkerScope, { build, files }: Shell): void {
  const base = new URL("./", scope.location.href).href;
  // Servers of the same host, each below a path of its own, share the browser's caches.
  const prefix = `${PREFIX} ${base} `;
  const name = prefix + build;

  scope.addEventListener("install", (event) =>
    event.waitUntil(keepAll().then(() => scope.skipWaiting())),
  );
  scope.addEventListener("activate", (event) =>
    event.waitUntil(dropOld().then(() => scope.clients.claim())),
  );
  scope.addEventListener("fetch", (event) => {
    const answer = answerOf(event.request);
    if (answer !== null) event.respondWith(answer);
  });

  function answerOf(request: Request): Promise<Response> | null {
    if (request.method !== "GET" || !request.url.startsWith(base)) return null;
    const path = new URL(request.url).pathname.slice(new URL(base).pathname.length);
    if (request.mode === "navigate") return PAGES.has(path) ? newest(request, base) : null;
    if (path.startsWith("assets/")) return keptOr(request);
    return NAMED.includes(path) ? newest(request, request.url) : null;
  }

  /** From the server; what is kept where that is away. */
  async function newest(request: Request, key: string): Promise<Response> {
    const kept = () => keptIn(name, key);
    try {
      const answer = await scope.fetch(request);
      return AWAY.has(answer.status) ? ((await kept()) ?? answer) : answer;
    } catch (error) {
      const answer = await kept();
      if (answer === undefined) throw error;
      return answer;
    }
  }

  /** What is kept of any build, for its name tells its content; else from the server. */
  async function keptOr(request: Request): Promise<Response> {
    return (await keptFile(request.url)) ?? scope.fetch(request);
  }

  async function keptFile(url: string): Promise<Response | undefined> {
    for (const key of await ownCaches()) {
      const found = await keptIn(key, url);
      if (found !== undefined) return found;
    }
    return undefined;
  }

  function keptIn(cacheName: string, url: string): Promise<Response | undefined> {
    return scope.caches.match(url, { ...LOOSELY, cacheName });
  }

  /** Keep all of this build, or nothing: half a page would be worse than none. */
  async function keepAll(): Promise<void> {
    // The page comes last: it is there, so all is.
    if ((await keptIn(name, base)) !== undefined) return;
    try {
      const page = await fetched(base, "no-cache");
      checkPage(await page.clone().text(), files);
      const cache = await scope.caches.open(name);
      const left = [...files, ...NAMED];
      const work = async () => {
        for (let path = left.pop(); path !== undefined; path = left.pop()) {
          const url = base + path;
          const isHashed = path.startsWith("assets/");
          const known = isHashed ? await keptFile(url) : undefined;
          await cache.put(url, known ?? (await fetched(url, isHashed ? "default" : "no-cache")));
        }
      };
      await Promise.all(Array.from({ length: AT_ONCE }, work));
      await cache.put(base, page);
    } catch (error) {
      await scope.caches.delete(name);
      throw error;
    }
  }

  /** An answer that is what was asked for: one to log in, or of a proxy, isn't. */
  async function fetched(url: string, cache: RequestCache): Promise<Response> {
    const answer = await scope.fetch(url, { cache, credentials: "same-origin" });
    if (!answer.ok || answer.redirected) throw new Error(`${url} answered ${answer.status}`);
    return answer;
  }

  /** The caches of this server, the newest first. */
  async function ownCaches(): Promise<readonly string[]> {
    const keys = await scope.caches.keys();
    return keys.filter((key) => key.startsWith(prefix)).reverse();
  }

  async function dropOld(): Promise<void> {
    const others = (await ownCaches()).filter((key) => key !== name);
    for (const key of others.slice(BUILDS_KEPT - 1)) await scope.caches.delete(key);
  }
}

/** The same file comes packed in several ways, and a page's address may carry a question. */
const LOOSELY: CacheQueryOptions = { ignoreVary: true, ignoreSearch: true };

/** Names of the files that a page loads first, below its own address. */
export function filesOf(page: string): readonly string[] {
  return [...page.matchAll(/(?:src|href)="[^"]*?(assets\/[\w.-]+)"/g)].map(([, path = ""]) => path);
}

/** The page that the server has just now must be of this build. */
function checkPage(page: string, files: readonly string[]): void {
  const strange = filesOf(page).find((path) => !files.includes(path));
  if (strange !== undefined) throw new Error(`${strange} is of another build`);
}
