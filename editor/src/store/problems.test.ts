/** A node that failed is a problem until it is solved: run anew, or edited. */
import { expect, test } from "vitest";
import { job } from "@/components/panels/testing";
import { setInput } from "@/model/edits";
import { readWorkflow } from "@/model/workflow";
import { type JobView, NO_JOBS, type NodeRun, type NodeState } from "./jobs";
import { failures, problemsOf } from "./problems";

const DOCUMENT = "doc";
const NODES = {
  size: { type: "Size", inputs: { width: 64 } },
  check: { type: "Check", inputs: { size: { from: "size" } } },
  other: { type: "Other", inputs: { width: 64 } },
};
const WORKFLOW = readWorkflow(JSON.stringify({ format: "nodegraph/1", nodes: NODES }));

function run(state: NodeState, node = "check"): NodeRun {
  const problem = state === "failed" ? { code: "node-failed", message: "too small", node } : null;
  const rest = {
    step: null,
    total: null,
    secondsLeft: null,
    seconds: null,
    preview: null,
    plot: null,
  };
  return { state, problem, calls: null, note: null, ...rest };
}

function ran(id: string, nodes: Record<string, NodeRun>, changes: Partial<JobView> = {}): JobView {
  const its = {
    document: DOCUMENT,
    attempt: 1,
    source: WORKFLOW,
    nodes: new Map(Object.entries(nodes)),
  };
  return job(id, { state: "failed", ...its, ...changes });
}

/** What is told after these jobs, the newest first. */
function told(jobs: readonly JobView[], workflow = WORKFLOW): string[] {
  const order = jobs.map(({ id }) => id);
  const state = { ...NO_JOBS, order, jobs: new Map(jobs.map((each) => [each.id, each])) };
  return failures(state, DOCUMENT, workflow).map(({ node, message }) => `${node}: ${message}`);
}

const FAILED = ran("first", { size: run("done"), check: run("failed") });
const FOUND = ["check: too small"];

test("it is told while the rest of its job still runs, and once the job has failed", () => {
  const nodes = { check: run("failed"), other: run("running") };
  expect(told([ran("first", nodes, { state: "running" })])).toEqual(FOUND);
  const problems = [{ code: "node-failed", message: "too small", node: "check[2]" }];
  const nested = { check: run("failed", "check[2]") };
  expect(told([ran("first", nested, { problems })])).toEqual(["check[2]: too small"]);
});

test("running something else, or waiting to be run anew, solves nothing", () => {
  const elsewhere = ran(
    "second",
    { other: run("done"), check: run("skipped") },
    { state: "finished" },
  );
  expect(told([elsewhere, FAILED])).toEqual(FOUND);
  const waiting = ran("third", { check: run("waiting") }, { state: "queued", attempt: 0 });
  expect(told([waiting, FAILED])).toEqual(FOUND);
});

test.each(["running", "done", "cached"] as const)(
  "a newer run in which it is %s solves it",
  (state) => {
    const block = {
      block: run("failed", "block/check"),
      "block/check": run("failed", "block/check"),
    };
    const before = ran("first", { ...block, check: run("failed") });
    const newer = { block: run("waiting"), "block/check": run(state), check: run(state) };
    expect(told([ran("second", newer, { state: "running" }), before])).toEqual([]);
  },
);

test("an edit that reaches it solves it, others don't, and undone it is there again", () => {
  expect(told([FAILED], setInput(WORKFLOW, null, "size", "width", 128))).toEqual([]);
  expect(told([FAILED], setInput(WORKFLOW, null, "other", "width", 128))).toEqual(FOUND);
  expect(told([FAILED], WORKFLOW)).toEqual(FOUND);
});

test("what a run failed for besides its nodes is told until there is a newer run", () => {
  const killed = ran("first", {}, { problems: [{ code: "worker-died", message: "was killed" }] });
  expect(told([killed])).toEqual(["undefined: was killed"]);
  expect(told([ran("second", {}, { state: "finished" }), killed])).toEqual([]);
});

test("what is only warned of is told as such, behind what keeps it from running", () => {
  const missing = { code: "missing-input", message: "is missing", node: "check", port: "size" };
  const large = { code: "untrained-size", message: "is of a size far from it", node: "size" };
  const found = problemsOf([missing], [], [], [large]);
  expect(found.map(({ finding, isWarning }) => [finding.code, isWarning])).toEqual([
    ["missing-input", false],
    ["untrained-size", true],
  ]);
});
