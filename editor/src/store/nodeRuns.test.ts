import { expect, test } from "vitest";
import type { JobEvent } from "@/api/events";
import { event } from "@/test/scriptedServer";
import { type Expected, NodeRuns, type Pictures } from "./nodeRuns";

class Album implements Pictures {
  readonly open: string[] = [];
  private made = 0;
  make(): string {
    const address = `blob:${++this.made}`;
    this.open.push(address);
    return address;
  }
  drop(address: string): void {
    this.open.splice(this.open.indexOf(address), 1);
  }
}

/** An event of a node: kind, node, seconds, data. */
type Told = readonly [string, string | null, number, JobEvent["data"]?];

function runs(told: readonly Told[], expected: Record<string, Expected> = {}, album = new Album()) {
  const found = new NodeRuns(album);
  found.expect(new Map(Object.entries(expected)));
  for (const [kind, node, seconds, data = {}] of told)
    found.apply(event(kind, { node, seconds, data }));
  return found;
}

function states(found: NodeRuns): Record<string, string> {
  return Object.fromEntries([...found.nodes()].map(([name, run]) => [name, run.state]));
}

test("a node waits, runs, and is done, with the seconds it took", () => {
  const found = runs([["job.claimed", null, 0]], { sample: { seconds: 2, calls: 1 } });
  expect(states(found)).toEqual({ sample: "waiting" });
  found.apply(event("node.started", { node: "sample", seconds: 0.1 }));
  expect(states(found)).toEqual({ sample: "running" });
  found.apply(
    event("node.finished", {
      node: "sample",
      seconds: 2,
      data: { seconds: 1.9, calls: 1, cached: 0 },
    }),
  );
  expect(found.nodes().get("sample")).toMatchObject({ state: "done", seconds: 1.9 });
});

test("the time left is what the speed of the steps says", () => {
  const found = runs([
    ["node.started", "sample", 0],
    ["node.progress", "sample", 3, { step: 1, total: 10 }],
    ["node.progress", "sample", 5, { step: 5, total: 10 }],
  ]);
  // 0.5 seconds a step; the first one, which loads the model, doesn't count.
  expect(found.nodes().get("sample")).toMatchObject({ step: 5, total: 10, secondsLeft: 2.5 });
});

test("a plan tells the time left and the progress before any step", () => {
  const found = runs([["node.started", "a", 1]], {
    a: { seconds: 3, calls: 1 },
    b: { seconds: 1, calls: 1 },
    kept: { seconds: 0, calls: 1 },
  });
  expect(found.secondsLeft()).toBe(4);
  found.apply(event("node.finished", { node: "a", seconds: 4, data: { seconds: 3 } }));
  expect(found.secondsLeft()).toBe(1);
  expect(found.progress()).toBeCloseTo(0.75);
});

test("the calls of a mapped node count as the node", () => {
  const found = runs(
    [
      ["node.started", "sample[0]", 0],
      ["call.ended", "sample[0]", 2, { seconds: 2 }],
      ["node.started", "sample[1]", 2],
      ["node.progress", "sample[1]", 2.5, { step: 1, total: 4 }],
      ["node.progress", "sample[1]", 3, { step: 2, total: 4 }],
    ],
    { sample: { seconds: 5, calls: 3 } },
  );
  const run = found.nodes().get("sample");
  expect([...found.nodes().keys()]).toEqual(["sample"]);
  expect(run).toMatchObject({ state: "running", step: 2, calls: { done: 1, total: 3 } });
  // The rest of this call, and one more like the first.
  expect(run?.secondsLeft).toBeCloseTo(1 + 2);
});

test("a node whose calls were all cached is cached", () => {
  const found = runs([
    ["node.started", "positive", 0],
    ["node.finished", "positive", 1, { seconds: 0, calls: 2, cached: 2 }],
  ]);
  expect(states(found)).toEqual({ positive: "cached" });
});

test("a block is told as what is in it comes to", () => {
  const expected = {
    "make/size": { seconds: 0, calls: 1 },
    "make/sample": { seconds: 2, calls: 1 },
  };
  const found = runs([["nodes.cached", null, 0, { nodes: ["make/size"] }]], expected);
  expect(states(found)).toMatchObject({ make: "waiting" });
  found.apply(event("node.started", { node: "make/sample", seconds: 0 }));
  expect(found.nodes().get("make")).toMatchObject({
    state: "running",
    step: 1,
    total: 2,
    secondsLeft: 2,
  });
  found.apply(event("node.finished", { node: "make/sample", seconds: 2, data: { seconds: 2 } }));
  expect(found.nodes().get("make")).toMatchObject({ state: "done", seconds: 2 });
});

const LOOP: readonly Told[] = [
  ["node.started", "walk", 0],
  ["node.expanded", "walk", 0, { nodes: ["walk/__value_0__", "walk/0/sample", "walk/1/sample"] }],
  ["node.started", "walk/0/sample", 0],
  ["node.finished", "walk/0/sample", 2, { seconds: 2 }],
  ["node.started", "walk/1/sample", 2],
];

test("the rounds of a loop are told together under the name of the node in the block", () => {
  const found = runs(LOOP);
  expect(found.nodes().get("walk/sample")).toMatchObject({
    state: "running",
    calls: { done: 1, total: 2 },
    secondsLeft: 2,
  });
  expect(found.nodes().get("walk")).toMatchObject({ state: "running", step: 1, total: 2 });
  expect([...found.nodes().keys()].filter((name) => name.includes("__"))).toEqual([]);
});

test("a node that is called by a number is no round", () => {
  const found = runs([["nodes.cached", null, 0, { nodes: ["make/10", "make/inner/3"] }]]);
  expect(states(found)).toEqual({
    "make/10": "cached",
    make: "cached",
    "make/inner": "cached",
    "make/inner/3": "cached",
  });
});

test("a failure is shown at its node and at every block around it", () => {
  const data = { code: "invalid-value", message: "no such item", port: "index" };
  const found = runs([...LOOP, ["node.failed", "walk/1/sample", 3, data]]);
  for (const name of ["walk/1/sample", "walk/sample", "walk"]) {
    expect(found.nodes().get(name)).toMatchObject({
      state: "failed",
      problem: { code: "invalid-value", port: "index", node: "walk/1/sample" },
    });
  }
});

test("the newest preview takes the place of the one before, which is let go", () => {
  const album = new Album();
  const image = new Uint8Array([1]);
  const found = runs(
    [
      ["node.preview", "a", 0, { image }],
      ["node.preview", "a", 1, { image }],
    ],
    {},
    album,
  );
  expect(found.nodes().get("a")?.preview).toBe("blob:2");
  expect(album.open).toEqual(["blob:2"]);
  found.dropPreviews();
  expect(album.open).toEqual([]);
  expect(found.nodes().get("a")?.preview).toBeNull();
});

test("a job that goes on in another worker begins anew and keeps what is expected", () => {
  const expected = { a: { seconds: 1, calls: 1 }, b: { seconds: 1, calls: 1 } };
  const found = runs(
    [
      ["node.finished", "a", 1, { seconds: 1 }],
      ["node.started", "b", 1],
      ["job.requeued", null, 0],
    ],
    expected,
  );
  expect(states(found)).toEqual({ a: "done", b: "waiting" });
  found.apply(event("job.claimed", { attempt: 2 }));
  expect(states(found)).toEqual({ a: "waiting", b: "waiting" });
  expect(found.progress()).toBe(0);
  found.apply(event("node.restored", { node: "b", seconds: 0.1, data: { step: 7, total: 20 } }));
  expect(found.nodes().get("b")).toMatchObject({ state: "running", step: 7, note: "restored" });
});

test("what never ran by the end of a job isn't shown", () => {
  const expected = { taken: { seconds: 1, calls: 1 }, other: { seconds: null, calls: 1 } };
  const found = runs(
    [
      ["nodes.cached", null, 0, { nodes: ["taken"] }],
      ["job.finished", null, 0],
    ],
    expected,
  );
  expect(states(found)).toEqual({ taken: "cached" });
});

test("events that change nothing leave what is shown the same", () => {
  const found = runs([["nodes.cached", null, 0, { nodes: ["a"] }]]);
  const before = found.nodes();
  found.apply(event("memory", { node: "a", seconds: 1 }));
  found.apply(event("something.new", { seconds: 2 }));
  expect(found.nodes()).toBe(before);
  found.apply(event("node.started", { node: "b", seconds: 3 }));
  expect(found.nodes().get("a")).toBe(before.get("a"));
});

test("how long a list takes of which nobody knows the length isn't told by its first item", () => {
  const found = runs(
    [
      ["node.started", "sample", 0],
      ["node.progress", "sample[0]", 1, { step: 1, total: 20 }],
      ["node.progress", "sample[0]", 2, { step: 19, total: 20 }],
    ],
    { sample: { seconds: null, calls: null } },
  );
  expect(found.secondsLeft()).toBeNull();
  expect(found.progress()).toBeLessThan(0.5);
  const before = found.progress();
  found.apply(event("call.ended", { node: "sample[0]", seconds: 2.1, data: { seconds: 2 } }));
  expect(found.progress()).toBeGreaterThanOrEqual(before);
  expect(found.progress()).toBeLessThan(1);
});

test("the whole goes on through a node that takes far longer than all before it", () => {
  const found = runs([
    ["job.started", null, 0, { nodes: 4 }],
    ...["load", "words", "size"].flatMap((name): readonly Told[] => [
      ["node.started", name, 0],
      ["node.finished", name, 1, { seconds: 1 }],
    ]),
    ["node.started", "train", 1],
  ]);
  const told = [found.progress()];
  for (let step = 1; step <= 100; step += 1) {
    const data = { step, total: 100 };
    found.apply(event("node.progress", { node: "train", seconds: 1 + 6 * step, data }));
    told.push(found.progress());
  }
  const steps = told.slice(1).map((now, index) => now - (told[index] ?? 0));
  // All but the first steps, by whose time the rest is told.
  expect(Math.min(...steps.slice(2))).toBeGreaterThan(0);
  expect(told[50]).toBeLessThan(0.95);
  expect(told.at(-1)).toBeLessThanOrEqual(1);
});
