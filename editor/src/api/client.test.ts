import { afterEach, expect, test, vi } from "vitest";
import { api, getJob, read, verbatim } from "./client";
import { ApiProblem, addressOf, isAborted, OfflineFault, onLoginNeeded } from "./http";

const JOB = { params: { path: { id: "x" } } };

afterEach(() => vi.unstubAllGlobals());

function answer(status: number, body: string, headers: Record<string, string> = {}) {
  const fetched = vi.fn(async () => new Response(body === "" ? null : body, { status, headers }));
  vi.stubGlobal("fetch", fetched);
  return fetched;
}

test("an answer's JSON is given, and nothing where there is none", async () => {
  answer(200, '{"paused": false}');
  expect(await api.GET("/queue")).toEqual({ paused: false });
  answer(204, "");
  expect(await api.DELETE("/jobs/{id}", JOB)).toBeUndefined();
});

test("numbers that JavaScript can't hold are exact where that is asked for", async () => {
  const text = '{"seed": 9007199254740993, "cfg": 4.0, "digest": "1234567890123456", "steps": 20}';
  answer(200, text);
  expect(await getJob("x")).toEqual({
    ...JSON.parse(text),
    seed: 9007199254740993n,
  });
});

test("a problem is thrown with all its findings", async () => {
  const problems = [{ code: "unknown-node-type", message: "there is no such node type" }];
  const type = "/problems/invalid-workflow";
  answer(
    422,
    JSON.stringify({ type, title: "It can't run", detail: "because", status: 422, problems }),
  );
  const error = await api
    .POST("/jobs", { body: { workflow: {} } })
    .catch((found: unknown) => found);
  expect(error).toBeInstanceOf(ApiProblem);
  expect(error).toMatchObject({
    status: 422,
    code: "invalid-workflow",
    detail: "because",
    problems,
  });
});

test("an error page of somebody between is a problem too", async () => {
  answer(500, "<html>Broken</html>");
  await expect(api.GET("/jobs")).rejects.toMatchObject({ status: 500 });
});

test("a proxy that finds no server behind it means that the server is away", async () => {
  answer(502, "<html>Bad gateway</html>");
  await expect(api.GET("/jobs")).rejects.toBeInstanceOf(OfflineFault);
});

test("a server that isn't there is a fault of its own, and stopping is none", async () => {
  vi.stubGlobal("fetch", () => Promise.reject(new TypeError("failed to fetch")));
  await expect(api.GET("/jobs")).rejects.toBeInstanceOf(OfflineFault);
  vi.stubGlobal("fetch", () => Promise.reject(new DOMException("stopped", "AbortError")));
  expect(isAborted(await api.GET("/jobs").catch((found: unknown) => found))).toBe(true);
});

test("who must log in is told", async () => {
  const told = vi.fn();
  const stop = onLoginNeeded(told);
  answer(401, "{}");
  await expect(api.GET("/jobs")).rejects.toMatchObject({ status: 401 });
  expect(told).toHaveBeenCalledOnce();
  stop();
});

test("addresses take lists and leave out what isn't given", () => {
  expect(
    addressOf("/jobs", { state: ["queued", "running"], tag: null, text: "a b", limit: 2 }),
  ).toBe("/api/v1/jobs?state=queued&state=running&text=a+b&limit=2");
});

test("a request goes below the server's path, with what is asked for and who asks", async () => {
  document.head.innerHTML = '<meta name="root-path" content="/studio" />';
  const fetched = answer(200, '{"items": [], "next": null}');
  const leaving = new AbortController();
  const query = { state: ["queued" as const, "running" as const], text: "a b", tag: null };
  await api.GET("/jobs", { params: { query }, signal: leaving.signal });
  document.head.innerHTML = "";
  const [asked] = fetched.mock.calls[0] as unknown as [Request];
  const { pathname, searchParams } = new URL(asked.url);
  expect(pathname).toBe("/studio/api/v1/jobs");
  expect([...searchParams]).toEqual([
    ["state", "queued"],
    ["state", "running"],
    ["text", "a b"],
  ]);
  expect([asked.credentials, asked.headers.get("accept")]).toEqual([
    "same-origin",
    "application/json",
  ]);
  expect(asked.signal.aborted).toBe(false);
  leaving.abort();
  expect(asked.signal.aborted).toBe(true);
});

test("texts of workflows are sent as they are, alone and beside other members", async () => {
  const fetched = answer(200, "{}");
  const text = '{"nodes": {"a": {"inputs": {"seed": 9007199254740993, "cfg": 4.0}}}}';
  await api.PUT("/workflows/{name}", { params: { path: { name: "a/b" } }, body: verbatim(text) });
  await api.POST("/jobs/rows", { body: { workflow: verbatim(text), rows: "a\n1", name: "x" } });
  const asked = fetched.mock.calls.map((call) => (call as unknown as [Request])[0]);
  expect(asked.map(({ url }) => new URL(url).pathname)).toEqual([
    "/api/v1/workflows/a%2Fb",
    "/api/v1/jobs/rows",
  ]);
  expect(await asked[0]?.text()).toBe(text);
  expect(await asked[1]?.text()).toBe(`{"workflow":${text},"rows":"a\\n1","name":"x"}`);
});

test("a file is sent as what it is", async () => {
  const fetched = answer(204, "");
  const body = new Blob(["a,1"], { type: "text/csv" });
  await api.PUT("/tag-lists/{name}", { params: { path: { name: "mine" } }, body });
  const [asked] = fetched.mock.calls[0] as unknown as [Request];
  expect(asked.headers.get("content-type")).toBe("text/csv");
});

test("what isn't from a nodegraph server counts as lost, and so does an answer that breaks off", async () => {
  answer(200, "<html>Welcome to the hotel</html>");
  await expect(api.GET("/queue")).rejects.toThrow("not from a nodegraph server");
  const broken = new ReadableStream({ pull: (stream) => stream.error(new TypeError("cut off")) });
  vi.stubGlobal("fetch", async () => new Response(broken));
  await expect(read("text", "get", "/templates")).rejects.toBeInstanceOf(OfflineFault);
});

// None of it runs: it compiles only as long as the compiler refuses each of the marked lines.
export async function typed(id: string): Promise<void> {
  await api.GET("/jobs/{id}", { params: { path: { id } } });
  const { items } = await api.GET("/jobs", { params: { query: { state: ["queued"], limit: 3 } } });
  const state: "queued" | "running" | "finished" | "failed" | "cancelled" | undefined =
    items[0]?.state;
  await api.POST("/jobs/{id}/move", { params: { path: { id } }, body: { to: "first" } });
  const nothing: undefined = await api.DELETE("/jobs/{id}", { params: { path: { id } } });

  // @ts-expect-error There is no such path.
  await api.GET("/jbos");
  // @ts-expect-error It can't be put there.
  await api.PUT("/jobs");
  // @ts-expect-error The path has a parameter.
  await api.GET("/jobs/{id}");
  // @ts-expect-error It is called otherwise.
  await api.GET("/jobs/{id}", { params: { path: { job: id } } });
  // @ts-expect-error There is no such query.
  await api.GET("/jobs", { params: { query: { limits: 3 } } });
  // @ts-expect-error It is a number.
  await api.GET("/jobs", { params: { query: { limit: "3" } } });
  // @ts-expect-error There is no such state.
  await api.GET("/jobs", { params: { query: { state: ["queued", "lost"] } } });
  // @ts-expect-error It has a body.
  await api.POST("/jobs/{id}/move", { params: { path: { id } } });
  // @ts-expect-error It can't be moved there.
  await api.POST("/jobs/{id}/move", { params: { path: { id } }, body: { to: "middle" } });
  // @ts-expect-error It takes no body.
  await api.POST("/queue/pause", { body: {} });
  // @ts-expect-error An answer has no such member.
  (await api.GET("/queue")).pause;
  void [state, nothing];
}
