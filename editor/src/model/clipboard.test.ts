import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { copy, isWorkflowText, paste } from "./clipboard";
import { addNode, addNote } from "./edits";
import { EditFault } from "./fault";
import { graphs, picks, someOf, TYPES } from "./fixtures/graphs";
import { edgesOf } from "./graph";
import { fromPlain } from "./json";
import { layoutOf } from "./layout";
import { makeSubgraph } from "./subgraphs";
import { emptyWorkflow, readWorkflow, workflowFromJson, writeWorkflow } from "./workflow";

describe("copy and paste", () => {
  it("give the same graph in an empty workflow", () => {
    fc.assert(
      fc.property(graphs, (workflow) => {
        const text = copy(workflow, null, workflow.nodes.keys());
        expect(isWorkflowText(text)).toBe(true);
        const pasted = paste(emptyWorkflow(), null, text, null).workflow;
        expect(pasted.nodes).toEqual(workflow.nodes);
        expect(layoutOf(pasted, null).positions).toEqual(layoutOf(workflow, null).positions);
      }),
    );
  });

  it("cut links to what isn't copied, and link them again if asked", () => {
    fc.assert(
      fc.property(graphs, picks, (workflow, picked) => {
        const names = someOf(workflow, picked);
        const text = copy(workflow, null, names);
        const inner = edgesOf(workflow.nodes).filter(
          ({ from, to }) => names.includes(from.node) && names.includes(to.node),
        );
        expect(edgesOf(readWorkflow(text).nodes)).toHaveLength(inner.length);
        const linked = paste(workflow, null, text, null, { links: true });
        const all = edgesOf(workflow.nodes).filter(({ to }) => names.includes(to.node));
        const added = edgesOf(linked.workflow.nodes).filter(({ to }) =>
          linked.items.includes(to.node),
        );
        expect(added).toHaveLength(all.length);
      }),
    );
  });

  it("put the top left corner where it is wanted, and notes too", () => {
    const noted = addNote(emptyWorkflow(), null, {
      text: "hello",
      box: { x: 50, y: 60, width: 100, height: 80 },
    });
    const both = addNode(noted.workflow, null, { type: "Save", at: { x: 90, y: 20 } });
    const text = copy(both.workflow, null, [both.name, `note/${noted.id}`]);
    const pasted = paste(both.workflow, null, text, { x: 1000, y: 1000 });
    const layout = layoutOf(pasted.workflow, null);
    expect(layout.positions.get("save_2")).toEqual({ x: 1040, y: 1000 });
    expect(layout.notes[1]?.box).toEqual({ x: 1000, y: 1040, width: 100, height: 80 });
    expect(pasted.items).toEqual(["save_2", "note/note_2"]);
  });

  it("stand aside of what is there", () => {
    const one = addNode(emptyWorkflow(), null, { type: "Save", at: { x: 0, y: 0 } }).workflow;
    const text = copy(one, null, ["save"]);
    const twice = paste(paste(one, null, text, null).workflow, null, text, null).workflow;
    expect([...layoutOf(twice, null).positions.values()]).toEqual([
      { x: 0, y: 0 },
      { x: 40, y: 40 },
      { x: 80, y: 80 },
    ]);
  });

  it("bring blocks along, under another name where theirs means something else", () => {
    const base = addNode(emptyWorkflow(), null, { type: "Blur", at: { x: 0, y: 0 } }).workflow;
    const made = makeSubgraph(base, null, ["blur"], "Soft", TYPES);
    const text = copy(made.workflow, null, [made.node]);
    const again = paste(made.workflow, null, text, null).workflow;
    expect([...again.subgraphs.keys()]).toEqual(["Soft"]);
    const other = makeSubgraph(
      addNode(emptyWorkflow(), null, { type: "Save", at: { x: 0, y: 0 } }).workflow,
      null,
      ["save"],
      "Soft",
      TYPES,
    ).workflow;
    const mixed = paste(other, null, text, null);
    expect([...mixed.workflow.subgraphs.keys()]).toEqual(["Soft", "Soft_2"]);
    expect(mixed.workflow.nodes.get(mixed.items[0] ?? "")?.type).toBe("Soft_2");
    expect(layoutOf(mixed.workflow, "Soft_2").positions.size).toBe(1);
  });

  it("refuse a block within itself", () => {
    const base = addNode(emptyWorkflow(), null, { type: "Blur", at: { x: 0, y: 0 } }).workflow;
    const made = makeSubgraph(base, null, ["blur"], "Soft", TYPES);
    const text = copy(made.workflow, null, [made.node]);
    expect(() => paste(made.workflow, "Soft", text, null)).toThrow(EditFault);
  });

  it("take a whole file with its parameters", () => {
    const file = workflowFromJson(
      fromPlain({
        format: "nodegraph/1",
        parameters: { amount: { input: "blur.amount", label: "Amount" } },
        nodes: { blur: { type: "Blur", inputs: { amount: 2 } } },
      }),
    );
    const text = writeWorkflow(file);
    const once = paste(emptyWorkflow(), null, text, null).workflow;
    expect(once.parameters).toEqual(file.parameters);
    const twice = paste(once, null, text, null).workflow;
    expect(twice.parameters.get("amount_2")?.input).toBe("blur_2.amount");
  });

  it.each(["", "hello", "{}", '{"format": "else"}', '{"format": "nodegraph/1"'])(
    "know that %j is nothing to paste",
    (text) => expect(isWorkflowText(text)).toBe(false),
  );
});
