import { afterEach, beforeEach, expect, test } from "vitest";
import { nodeTypesOf } from "@/model/spec";
import { readWorkflow } from "@/model/workflow";
import { useCatalogue } from "@/store/catalogue";
import { activeDocument, useDocuments } from "@/store/documents";
import { NO_PLAN, usePlan } from "@/store/plan";
import { useUi } from "@/store/ui";
import { followMissing } from "./missingNotice";

const WORKFLOW = readWorkflow('{"format": "nodegraph/1", "nodes": {"a": {"type": "later:Late"}}}');
let stop = () => {};

function told(unread: readonly string[]): string | null {
  useCatalogue.setState({ types: nodeTypesOf({ items: [], port_types: [], unread }) });
  const { id } = activeDocument();
  usePlan.setState({ ...NO_PLAN, state: "invalid", document: id, workflow: WORKFLOW });
  return useUi.getState().dialog?.name ?? null;
}

beforeEach(() => {
  useDocuments.getState().restore([], null);
  stop = followMissing();
  useDocuments.getState().open(WORKFLOW, { origin: "file" });
});

afterEach(() => {
  stop();
  useUi.getState().closeDialog();
});

test("a node whose pack is still being read is missed only when that is there", () => {
  expect(told(["other", "later"])).toBeNull();
  expect(told(["other"])).toBe("missing");
});
