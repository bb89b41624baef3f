import { expect, test } from "vitest";
import { find } from "../find";
import { layoutOf } from "../layout";
import { readWorkflow, writeWorkflow } from "../workflow";
import {
  addComment,
  duplicate,
  editComment,
  isOwnComment,
  removeComment,
  removeItems,
  renameNode,
  resolveThread,
  threadsOf,
} from ".";

const START = readWorkflow(
  JSON.stringify({ format: "nodegraph/1", nodes: { a: { type: "Number" }, b: { type: "Sum" } } }),
);
const FIRST = { id: "1", node: "b", author: "ada", at: "2026-01-01T10:00:00Z", text: "Why b?" };
const SECOND = { ...FIRST, id: "2", author: "bea", at: "2026-01-02T10:00:00Z", text: "Because." };
const both = [SECOND, FIRST].reduce(
  (workflow, comment) => addComment(workflow, null, { ...comment, resolved: false }),
  START,
);

test("a thread has its comments in the order of their times, and is in the file", () => {
  const again = readWorkflow(writeWorkflow(both));
  expect(threadsOf(again)).toEqual(threadsOf(both));
  expect(threadsOf(again)[0]?.comments.map(({ text }) => text)).toEqual(["Why b?", "Because."]);
});

test("a thread is resolved as a whole, and open again with the next comment", () => {
  const resolved = resolveThread(both, null, "b", { by: "cleo", at: "2026-01-03T10:00:00Z" });
  expect(threadsOf(resolved)[0]?.isResolved).toBe(true);
  const more = addComment(resolved, null, { ...FIRST, id: "3", resolved: false });
  expect(threadsOf(more)[0]?.isResolved).toBe(false);
});

test("who resolved a thread, and when, is in the file until it is open again", () => {
  const resolution = { by: "cleo", at: "2026-01-03T10:00:00Z" };
  const resolved = readWorkflow(writeWorkflow(resolveThread(both, null, "b", resolution)));
  const [comment] = layoutOf(resolved, null).comments;
  expect([comment?.resolvedBy, comment?.resolvedAt]).toEqual(["cleo", "2026-01-03T10:00:00Z"]);
  expect(resolveThread(resolved, null, "b", null)).toEqual(resolveThread(both, null, "b", null));
});

test("authors change their comments, and when they did is in the file", () => {
  const changed = editComment(both, null, "1", "Why not b?", "2026-01-04T10:00:00Z");
  const [thread] = threadsOf(readWorkflow(writeWorkflow(changed)));
  expect(thread?.comments[0]).toMatchObject({ text: "Why not b?", edited: "2026-01-04T10:00:00Z" });
  expect(thread?.comments[1]?.edited).toBeUndefined();
  expect(editComment(both, null, "1", "Why b?", "2026-01-04T10:00:00Z")).toBe(both);
  expect([FIRST, SECOND].map((each) => isOwnComment({ ...each, resolved: false }, "ada"))).toEqual([
    true,
    false,
  ]);
});

test("comments follow their node, go with it, and a copy has none", () => {
  expect(threadsOf(renameNode(both, null, "b", "c"))[0]?.node).toBe("c");
  expect(threadsOf(removeItems(both, null, ["b"]))).toEqual([]);
  const copied = duplicate(both, null, ["b"], { offset: { x: 9, y: 9 } }).workflow;
  expect(copied.nodes.size).toBe(3);
  expect(threadsOf(copied)).toHaveLength(1);
});

test("a comment is removed alone, and its words are found", () => {
  expect(find(both, "because").map((hit) => [hit.in, hit.item])).toEqual([["comment", "b"]]);
  const left = removeComment(both, null, "2");
  expect(layoutOf(left, null).comments.map(({ id }) => id)).toEqual(["1"]);
});
