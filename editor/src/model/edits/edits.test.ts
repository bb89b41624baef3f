import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { EditFault } from "../fault";
import { graphs, picks, someOf, TYPES } from "../fixtures/graphs";
import { edgesOf, wouldCycle } from "../graph";
import { fromPlain } from "../json";
import { layoutOf } from "../layout";
import { linkJson, linkOf, targetOf } from "../links";
import { inputOf, outputOf, typeOf } from "../spec";
import { readWorkflow, type Workflow, workflowFromJson, writeWorkflow } from "../workflow";
import {
  addGroup,
  addNode,
  addNote,
  addReroute,
  clearPrecision,
  connect,
  disconnect,
  duplicate,
  exposeParameter,
  itemsInGroup,
  moveItems,
  moveLink,
  removeItems,
  removeNodes,
  renameNode,
  renameParameter,
  reorderParameters,
  resizeNode,
  setCollapsed,
  setColor,
  setInput,
  setLabel,
  setMeta,
  setMode,
  setSeedMode,
  setShown,
  updateNote,
} from ".";

const CHAIN = workflowFromJson(
  fromPlain({
    format: "nodegraph/1",
    parameters: { strength: "blur.amount" },
    nodes: {
      load: { type: "Load", inputs: { path: "a.png" } },
      blur: { type: "Blur", inputs: { image: { from: "load.image" }, amount: 3 } },
      save: { type: "Save", inputs: { image: { from: "blur" } } },
    },
    subgraphs: {
      block: {
        inputs: { amount: { to: ["inner.amount"] } },
        outputs: { image: "inner" },
        nodes: { inner: { type: "Blur" } },
      },
    },
    ui: { positions: { load: [0, 0], blur: [300, 0] }, other: { kept: true } },
  }),
);

/** What every workflow that the editor makes must be: readable, and without loose links. */
function expectSound(workflow: Workflow): void {
  const text = writeWorkflow(workflow);
  expect(writeWorkflow(readWorkflow(text))).toBe(text);
  for (const entry of workflow.nodes.values()) {
    for (const value of entry.inputs.values()) {
      const link = linkOf(value);
      if (link) expect(workflow.nodes.has(link.node)).toBe(true);
    }
  }
  for (const { input } of workflow.parameters.values()) {
    expect(workflow.nodes.has(targetOf(input)?.node ?? "")).toBe(true);
  }
}

function input(workflow: Workflow, node: string, port: string) {
  return workflow.nodes.get(node)?.inputs.get(port);
}

describe("edits", () => {
  it("leave untouched parts the same objects", () => {
    const moved = moveItems(CHAIN, null, new Map([["blur", { x: 9.6, y: 1 }]]));
    expect(moved.nodes).toBe(CHAIN.nodes);
    expect(layoutOf(moved, null).positions.get("load")).toBe(
      layoutOf(CHAIN, null).positions.get("load"),
    );
    expect(layoutOf(moved, null).groups).toBe(layoutOf(CHAIN, null).groups);
    const set = setInput(CHAIN, null, "blur", "amount", 4);
    expect(set.ui).toBe(CHAIN.ui);
    expect(set.nodes.get("load")).toBe(CHAIN.nodes.get("load"));
    expect(edgesOf(set.nodes).find(({ id }) => id === "save.image")).toBe(
      edgesOf(CHAIN.nodes).find(({ id }) => id === "save.image"),
    );
    const inner = setInput(CHAIN, "block", "inner", "amount", 1);
    expect(inner.nodes).toBe(CHAIN.nodes);
    expect(layoutOf(moveItems(CHAIN, "block", new Map([["inner", { x: 1, y: 1 }]])), null)).toBe(
      layoutOf(CHAIN, null),
    );
  });

  it("that change nothing give back the same workflow", () => {
    const same = [
      setInput(CHAIN, null, "blur", "amount", 3),
      setLabel(CHAIN, null, "blur", ""),
      setMode(CHAIN, null, ["blur", "nobody"], null),
      setMeta(CHAIN, {}),
      moveItems(CHAIN, null, new Map([["blur", { x: 300.2, y: 0 }]])),
      setColor(CHAIN, null, ["blur"], ""),
      setCollapsed(CHAIN, null, ["blur"], false),
      resizeNode(CHAIN, null, "blur", null),
      removeItems(CHAIN, null, []),
      removeNodes(CHAIN, null, ["nobody"]),
      connect(CHAIN, null, { node: "blur", port: "" }, { node: "save", port: "image" }),
      disconnect(CHAIN, null, ["blur.amount"]),
      renameNode(CHAIN, null, "blur", "blur"),
      reorderParameters(CHAIN, ["strength"]),
    ];
    for (const workflow of same) expect(workflow).toBe(CHAIN);
  });

  it("keep what the file says besides", () => {
    const moved = moveItems(CHAIN, null, new Map([["save", { x: 600, y: 0 }]]));
    expect(moved.ui.get("other")).toBe(CHAIN.ui.get("other"));
  });
});

describe("renameNode", () => {
  it("follows everything that refers to the node", () => {
    let workflow = addReroute(CHAIN, null, "blur.image", 0, { x: 1, y: 2 });
    workflow = setSeedMode(workflow, null, "blur", "amount", "random");
    workflow = setShown(workflow, null, "blur", "amount", true);
    workflow = setCollapsed(setColor(workflow, null, ["blur"], "#123456"), null, ["blur"], true);
    const renamed = renameNode(workflow, null, "blur", "soft");
    expect(JSON.stringify(writeWorkflow(renamed))).not.toContain("blur");
    expect(writeWorkflow(renameNode(renamed, null, "soft", "blur"))).toBe(writeWorkflow(workflow));
  });

  it("follows the inputs and outputs of a block", () => {
    const block = renameNode(CHAIN, "block", "inner", "core").subgraphs.get("block");
    expect(block?.inputs.get("amount")?.to).toEqual(["core.amount"]);
    expect(block?.outputs.get("image")).toBe("core");
  });

  it("refuses names that can't be or are taken", () => {
    expect(() => renameNode(CHAIN, null, "blur", "a.b")).toThrow(EditFault);
    expect(() => renameNode(CHAIN, null, "blur", "")).toThrow(EditFault);
    expect(() => renameNode(CHAIN, null, "blur", "save")).toThrow(EditFault);
  });

  it("there and back is nothing, in any graph", () => {
    fc.assert(
      fc.property(graphs, fc.nat(11), (workflow, index) => {
        const name = [...workflow.nodes.keys()][index % workflow.nodes.size] ?? "";
        const renamed = renameNode(workflow, null, name, "other");
        expectSound(renamed);
        expect(renamed.nodes.has(name)).toBe(false);
        expect(writeWorkflow(renameNode(renamed, null, "other", name))).toBe(
          writeWorkflow(workflow),
        );
      }),
    );
  });
});

describe("removing", () => {
  it("takes links, parameters and layout along", () => {
    const left = removeNodes(CHAIN, null, ["blur"]);
    expectSound(left);
    expect([...left.nodes.keys()]).toEqual(["load", "save"]);
    expect(left.parameters.size).toBe(0);
    expect(layoutOf(left, null).positions.has("blur")).toBe(false);
  });

  it("reconnects what fits by type", () => {
    const left = removeNodes(CHAIN, null, ["blur"], { reconnect: true, types: TYPES });
    expect(input(left, "save", "image")).toEqual(linkJson({ node: "load", port: "image" }));
  });

  it("reconnects through several, and never types that don't fit", () => {
    fc.assert(
      fc.property(graphs, picks, (workflow, picked) => {
        const names = someOf(workflow, picked);
        const left = removeNodes(workflow, null, names, { reconnect: true, types: TYPES });
        expectSound(left);
        for (const { from, to } of edgesOf(left.nodes)) {
          const [a, b] = [left.nodes.get(from.node), left.nodes.get(to.node)];
          const given = a && typeOf(TYPES, left, a);
          const taken = b && typeOf(TYPES, left, b);
          expect(given && outputOf(given, from.port)?.type).toBe(
            taken && inputOf(taken, to.port)?.type,
          );
        }
      }),
    );
  });

  it("takes links, notes, groups and points", () => {
    const grouped = addGroup(CHAIN, null, {
      title: "G",
      box: { x: -50, y: -50, width: 900, height: 400 },
    });
    const noted = addNote(grouped.workflow, null, {
      text: "N",
      box: { x: 0, y: 0, width: 10, height: 10 },
    });
    expect(itemsInGroup(noted.workflow, null, grouped.id)).toEqual([
      "load",
      "blur",
      `note/${noted.id}`,
    ]);
    const pointed = addReroute(noted.workflow, null, "save.image", 0, { x: 5, y: 5 });
    const left = removeItems(pointed, null, [
      `group/${grouped.id}`,
      `note/${noted.id}`,
      "reroute/save.image/0",
      "edge/blur.image",
    ]);
    expect(left.ui).toEqual(CHAIN.ui);
    expect(input(left, "blur", "image")).toBeUndefined();
  });

  it("takes a block's output along, and the links to it outside", () => {
    const used = addNode(CHAIN, null, { type: "block", at: { x: 0, y: 0 }, name: "use" });
    const linked = connect(
      used.workflow,
      null,
      { node: "use", port: "" },
      { node: "save", port: "image" },
    );
    const left = removeNodes(linked, "block", ["inner"]);
    expect(left.subgraphs.get("block")?.outputs.size).toBe(0);
    expect(left.subgraphs.get("block")?.inputs.get("amount")?.to).toEqual([]);
    expect(input(left, "save", "image")).toBeUndefined();
  });
});

describe("links", () => {
  it("never close a circle", () => {
    fc.assert(
      fc.property(graphs, fc.nat(11), fc.nat(11), (workflow, a, b) => {
        const names = [...workflow.nodes.keys()];
        const from = names[a % names.length] ?? "";
        const to = names[b % names.length] ?? "";
        const act = () =>
          connect(workflow, null, { node: from, port: "" }, { node: to, port: "x" });
        if (wouldCycle(workflow.nodes, from, to)) expect(act).toThrow(EditFault);
        else expectSound(act());
      }),
    );
  });

  it("lose the points they ran through when they lead elsewhere", () => {
    const pointed = addReroute(CHAIN, null, "save.image", 0, { x: 5, y: 5 });
    const relinked = connect(
      pointed,
      null,
      { node: "load", port: "image" },
      { node: "save", port: "image" },
    );
    expect(layoutOf(relinked, null).reroutes.size).toBe(0);
  });

  it("move to another input with their points", () => {
    const pointed = addReroute(CHAIN, null, "blur.image", 0, { x: 5, y: 5 });
    const moved = moveLink(pointed, null, "blur.image", { node: "save", port: "image" });
    expect(input(moved, "blur", "image")).toBeUndefined();
    expect(layoutOf(moved, null).reroutes.get("save.image")).toEqual([{ x: 5, y: 5 }]);
  });
});

describe("addNode and duplicate", () => {
  it("find free names", () => {
    const one = addNode(CHAIN, null, { type: "VAEDecode", at: { x: 0, y: 0 } });
    const two = addNode(one.workflow, null, { type: "VAEDecode", at: { x: 0, y: 0 } });
    expect([one.name, two.name]).toEqual(["vae_decode", "vae_decode_2"]);
  });

  it("refuse a block within itself", () => {
    expect(() => addNode(CHAIN, "block", { type: "block", at: { x: 0, y: 0 } })).toThrow(EditFault);
  });

  it("keep links among the copies and from outside", () => {
    fc.assert(
      fc.property(graphs, picks, (workflow, picked) => {
        const names = someOf(workflow, picked);
        const { workflow: found, items } = duplicate(workflow, null, names);
        expectSound(found);
        expect(items).toHaveLength(names.length);
        names.forEach((name, index) => {
          const [original, copy] = [found.nodes.get(name), found.nodes.get(items[index] ?? "")];
          expect([...(copy?.inputs.keys() ?? [])].sort()).toEqual(
            [...(original?.inputs.keys() ?? [])].sort(),
          );
        });
        expect(writeWorkflow(removeNodes(found, null, items))).toBe(writeWorkflow(workflow));
      }),
    );
  });
});

describe("parameters", () => {
  it("are exposed, renamed and put in order", () => {
    const more = exposeParameter(CHAIN, "strength", "load.path", { label: "File" });
    expect(more.name).toBe("strength_2");
    const renamed = renameParameter(more.workflow, "strength_2", "file");
    const ordered = reorderParameters(renamed, ["file"]);
    expect([...ordered.parameters.keys()]).toEqual(["file", "strength"]);
    expect(() => renameParameter(renamed, "file", "strength")).toThrow(EditFault);
  });
});

it("notes keep unknown keys of the file", () => {
  const text = `{"format": "nodegraph/1", "ui": {"notes": [{"id": "note_1", "text": "a",
    "box": [1, 2, 3, 4], "font": "serif"}, "unreadable"]}}`;
  const changed = updateNote(readWorkflow(text), null, "note_1", { text: "b" });
  expect(writeWorkflow(changed)).toContain(
    '[{"id": "note_1", "text": "b", "box": [1, 2, 3, 4], "font": "serif"}, "unreadable"]',
  );
});

describe("clearPrecision", () => {
  it("leaves to the settings what a result has noted", () => {
    const noted = { ...CHAIN, extra: new Map([["cpu_precision", "mixed"]]) };
    expect(writeWorkflow(clearPrecision(noted))).toBe(writeWorkflow(CHAIN));
    expect(clearPrecision(CHAIN)).toBe(CHAIN);
  });
});
