import { beforeEach, describe, expect, it } from "vitest";
import { hasText } from "@/i18n";
import { addNode, connect } from "@/model/edits";
import { emptyWorkflow, type Workflow } from "@/model/workflow";
import { activeDocument, currentWorkflow, useDocuments } from "@/store/documents";
import { useUi } from "@/store/ui";
import { eventually } from "@/test/eventually";
import { commands } from "./editing";
import { allCommands, commandFor, registerCommands, run } from "./registry";

registerCommands(commands);

function chain(): Workflow {
  const one = addNode(emptyWorkflow(), null, { type: "Load", at: { x: 0, y: 0 } }).workflow;
  const two = addNode(one, null, { type: "Blur", at: { x: 300, y: 0 } }).workflow;
  const three = addNode(two, null, { type: "Save", at: { x: 600, y: 0 } }).workflow;
  const linked = connect(three, null, { node: "load", port: "" }, { node: "blur", port: "image" });
  return connect(linked, null, { node: "blur", port: "" }, { node: "save", port: "image" });
}

const select = (...items: string[]) => useDocuments.getState().select(items);
const workflow = () => currentWorkflow(activeDocument());
const names = () => [...workflow().nodes.keys()];
const selection = () => [...activeDocument().selection];

beforeEach(() => {
  for (const { id } of useDocuments.getState().documents) useDocuments.getState().close(id);
  useDocuments.getState().open(chain());
});

/** The clipboard events of a browser, which jsdom has none of. */
function clipboardEvent(type: string, text = ""): Event & { written: () => string } {
  const data = new Map([["text/plain", text]]);
  const event = new Event(type, { bubbles: true, cancelable: true });
  const clipboardData = {
    files: [],
    getData: (kind: string) => data.get(kind) ?? "",
    setData: (kind: string, value: string) => data.set(kind, value),
  };
  return Object.assign(event, { clipboardData, written: () => data.get("text/plain") ?? "" });
}

describe("editing commands", () => {
  it("all have texts", () => {
    for (const { label } of commands) expect(hasText(label)).toBe(true);
  });

  it("have keys of their own", () => {
    const keys = allCommands().flatMap((command) => command.keys ?? []);
    expect(new Set(keys).size).toBe(keys.length);
  });

  it("undo and redo", () => {
    select("save");
    run("edit.delete");
    expect(names()).toEqual(["load", "blur"]);
    run("edit.undo");
    expect(names()).toEqual(["load", "blur", "save"]);
    run("edit.redo");
    expect(names()).toEqual(["load", "blur"]);
  });

  it("select all, none, the others, and along links", () => {
    run("select.all");
    expect(selection()).toEqual(["load", "blur", "save"]);
    select("blur");
    run("select.invert");
    expect(selection()).toEqual(["load", "save"]);
    select("blur");
    run("select.upstream");
    expect(selection().sort()).toEqual(["blur", "edge/blur.image", "load"]);
    run("select.none");
    expect(selection()).toEqual([]);
  });

  it("mute and bypass, and let run again", () => {
    select("load", "blur");
    run("nodes.mute");
    expect(workflow().nodes.get("blur")?.mode).toBe("mute");
    run("nodes.mute");
    expect(workflow().nodes.get("blur")?.mode).toBeNull();
    run("nodes.bypass", "save");
    expect(workflow().nodes.get("save")?.mode).toBe("bypass");
  });

  it("duplicate, group and collapse", () => {
    select("blur");
    run("edit.duplicate");
    expect(selection()).toEqual(["blur_2"]);
    run("nodes.collapse");
    run("nodes.group");
    expect(selection()).toEqual(["group/group_1"]);
  });

  it("make a block of a name that is asked for, and take it apart", async () => {
    select("blur");
    run("nodes.makeSubgraph");
    await eventually(() => expect(useUi.getState().question).not.toBeNull());
    useUi.getState().question?.answer("Soft");
    await eventually(() => expect(names()).toEqual(["load", "soft", "save"]));
    run("nodes.unpackSubgraph");
    expect(names()).toEqual(["load", "blur", "save"]);
  });

  it("tell what can't be done, and change nothing", async () => {
    select("load", "save");
    run("nodes.makeSubgraph");
    await eventually(() => expect(useUi.getState().question).not.toBeNull());
    useUi.getState().question?.answer("Bad");
    const { useNotices } = await import("@/store/notices");
    await eventually(() =>
      expect(useNotices.getState().items.at(-1)?.detail).toContain("through blur"),
    );
    expect(names()).toEqual(["load", "blur", "save"]);
  });
});

describe("the clipboard", () => {
  it("takes nodes from one document to another", () => {
    select("load", "blur");
    const copied = clipboardEvent("copy");
    document.body.dispatchEvent(copied);
    expect(copied.defaultPrevented).toBe(true);
    useDocuments.getState().open(emptyWorkflow(), { replaceEmpty: false });
    document.body.dispatchEvent(clipboardEvent("paste", copied.written()));
    expect(names()).toEqual(["load", "blur"]);
    expect(selection()).toEqual(["load", "blur"]);
  });

  it("cuts", () => {
    select("save");
    document.body.dispatchEvent(clipboardEvent("cut"));
    expect(names()).toEqual(["load", "blur"]);
  });

  it("leaves text fields and other texts alone", () => {
    const field = document.body.appendChild(document.createElement("textarea"));
    select("save");
    const copied = clipboardEvent("copy");
    field.dispatchEvent(copied);
    expect(copied.defaultPrevented).toBe(false);
    field.remove();
    const pasted = clipboardEvent("paste", "just words");
    document.body.dispatchEvent(pasted);
    expect(pasted.defaultPrevented).toBe(false);
  });

  it("gets its usual keys from the browser", () => {
    select("save");
    expect(commandFor(new KeyboardEvent("keydown", { key: "c", ctrlKey: true }))).toBeNull();
    expect(commandFor(new KeyboardEvent("keydown", { key: "d", ctrlKey: true }))?.id).toBe(
      "edit.duplicate",
    );
  });
});
