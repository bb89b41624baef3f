import { expect, it } from "vitest";
import type { ArtifactEntry } from "@/api/schema";
import { setInput } from "@/model/edits";
import { readWorkflow } from "@/model/workflow";
import { runResults } from "./runResults";

const WORKFLOW = readWorkflow(
  JSON.stringify({
    format: "nodegraph/1",
    nodes: { paint: { type: "Paint", inputs: { seed: 1 } }, write: { type: "Write" } },
  }),
);
const CHANGED = setInput(WORKFLOW, null, "paint", "seed", 2);

const file = (name: string, node = "paint") =>
  ({ name, node, digest: name, job: "j" }) as ArtifactEntry;
const job = (...outputs: readonly ArtifactEntry[]) => ({ outputs, workflow: WORKFLOW });
const found = (...files: readonly ArtifactEntry[]) => [{ node: "paint", files, workflow: CHANGED }];
const told = (results: ReturnType<typeof runResults>) =>
  results.map(({ artifact, isEarlier }) => [artifact.name, isEarlier]);

it("has what came last at the end", () => {
  const jobs = [job(file("c")), job(file("a"), file("b"))];
  expect(told(runResults(jobs, [], WORKFLOW))).toEqual([
    ["a", false],
    ["b", false],
    ["c", false],
  ]);
});

it("tells what is of other values than those that stand there", () => {
  const jobs = [job(file("seen"), file("text", "write"), file("kept"))];
  expect(told(runResults(jobs, found(file("kept")), CHANGED))).toEqual([
    ["seen", true],
    ["text", false],
    ["kept", false],
  ]);
});

it("begins with what plans found, also of other values", () => {
  expect(told(runResults([], found(file("kept")), CHANGED))).toEqual([["kept", false]]);
  expect(told(runResults([], found(file("kept")), WORKFLOW))).toEqual([["kept", true]]);
});

it("keeps what plans found before a job gave other", () => {
  const results = runResults([job(file("new"))], found(file("opened")), WORKFLOW);
  expect(told(results)).toEqual([
    ["opened", true],
    ["new", false],
  ]);
});
