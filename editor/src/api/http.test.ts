import { afterEach, expect, test, vi } from "vitest";
import { ApiProblem, addressOf, isAborted, OfflineFault, onLoginNeeded, request } from "./http";

afterEach(() => vi.unstubAllGlobals());

function answer(status: number, body: string, headers: Record<string, string> = {}) {
  const fetched = vi.fn(async () => new Response(body === "" ? null : body, { status, headers }));
  vi.stubGlobal("fetch", fetched);
  return fetched;
}

test("an answer's JSON is given, and nothing where there is none", async () => {
  answer(200, '{"paused": false}');
  expect(await request("GET", "/queue")).toEqual({ paused: false });
  answer(204, "");
  expect(await request("DELETE", "/jobs/x")).toBeUndefined();
});

test("numbers that JavaScript can't hold are exact where that is asked for", async () => {
  const text = '{"seed": 9007199254740993, "cfg": 4.0, "digest": "1234567890123456", "steps": 20}';
  answer(200, text);
  expect(await request("GET", "/jobs/x", { exact: true })).toEqual({
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
  const error = await request("POST", "/jobs", { body: {} }).catch((found: unknown) => found);
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
  await expect(request("GET", "/jobs")).rejects.toMatchObject({ status: 500 });
});

test("a proxy that finds no server behind it means that the server is away", async () => {
  answer(502, "<html>Bad gateway</html>");
  await expect(request("GET", "/jobs")).rejects.toBeInstanceOf(OfflineFault);
});

test("a server that isn't there is a fault of its own, and stopping is none", async () => {
  vi.stubGlobal("fetch", () => Promise.reject(new TypeError("failed to fetch")));
  await expect(request("GET", "/jobs")).rejects.toBeInstanceOf(OfflineFault);
  vi.stubGlobal("fetch", () => Promise.reject(new DOMException("stopped", "AbortError")));
  expect(isAborted(await request("GET", "/jobs").catch((found: unknown) => found))).toBe(true);
});

test("who must log in is told", async () => {
  const told = vi.fn();
  const stop = onLoginNeeded(told);
  answer(401, "{}");
  await expect(request("GET", "/jobs")).rejects.toMatchObject({ status: 401 });
  expect(told).toHaveBeenCalledOnce();
  stop();
});

test("addresses take lists and leave out what isn't given", () => {
  expect(
    addressOf("/jobs", { state: ["queued", "running"], tag: null, text: "a b", limit: 2 }),
  ).toBe("/api/v1/jobs?state=queued&state=running&text=a+b&limit=2");
});
