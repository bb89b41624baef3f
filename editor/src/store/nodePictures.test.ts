import { expect, test } from "vitest";
import type { ArtifactEntry } from "@/api/schema";
import { readWorkflow, type Workflow } from "@/model/workflow";
import { type KnownFiles, picturesOf } from "./nodePictures";

function prompting(text: string): Workflow {
  const nodes = { text: { type: "Text", inputs: { text } }, save: { type: "Save", inputs: {} } };
  Object.assign(nodes.save.inputs, { image: { from: "text" } });
  return { ...BASE, nodes: readWorkflow(JSON.stringify({ format: "nodegraph/1", nodes })).nodes };
}

const BASE = readWorkflow('{"format": "nodegraph/1", "nodes": {}}');
const CAR = prompting("a green car");
const NINE = prompting("9");
const OF_CAR = [{ digest: "car" } as ArtifactEntry];
const OF_NINE = [{ digest: "nine" } as ArtifactEntry];

function shown(known: Partial<KnownFiles>): string {
  const { files, isEarlier } = picturesOf({
    node: "save",
    workflow: CAR,
    found: null,
    last: [],
    lastFor: null,
    isChosen: false,
    ...known,
  });
  return `${files.map(({ digest }) => digest).join()}${isEarlier ? " earlier" : ""}`;
}

test("after a sweep a card shows the picture of its own values, not the last one", () => {
  const planned = { found: { files: OF_CAR, workflow: CAR } };
  expect(shown({ ...planned, last: OF_NINE, lastFor: NINE })).toBe("car");
  expect(shown({ ...planned, last: OF_NINE })).toBe("car");
});

test("a picture of other values is marked, and one of which nothing is known", () => {
  expect(shown({ last: OF_NINE, lastFor: NINE })).toBe("nine earlier");
  expect(shown({ last: OF_NINE })).toBe("nine earlier");
});

test("what was just run for the same values needs no new plan", () => {
  expect(shown({ last: OF_CAR, lastFor: prompting("a green car") })).toBe("car");
});

test("a reopened workflow shows what the plan finds, marked once its values are others", () => {
  const planned = { found: { files: OF_CAR, workflow: CAR } };
  expect(shown(planned)).toBe("car");
  expect(shown({ ...planned, workflow: NINE })).toBe("car earlier");
});

test("a job that was chosen is shown, and marked unless it has these values", () => {
  const planned = { found: { files: OF_CAR, workflow: CAR }, isChosen: true };
  expect(shown({ ...planned, last: OF_NINE })).toBe("nine earlier");
  expect(shown({ ...planned, last: OF_CAR })).toBe("car");
});
