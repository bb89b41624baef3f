/** Windows that edit one workflow, over connections that delay, drop and break. */
import fc from "fast-check";
import { expect, test } from "vitest";
import { addGroup, addNode, removeItems, renameNode, setInput, setNote } from "../edits";
import { begin, commit, currentValue, type History, redo, undo } from "../history";
import { changeLayout, layoutOf } from "../layout";
import { readWorkflow, type Workflow, writeWorkflow } from "../workflow";
import { applyPatch } from "./applying";
import { difference } from "./difference";
import { NameTaken, type Patch, type Path, readPatch, renamesOf, writePatch } from "./patch";
import { confirmed, nextPatch, received, replaced, type Shared } from "./rebase";

const START = readWorkflow(
  JSON.stringify({
    format: "nodegraph/1",
    nodes: { a: { type: "Number", inputs: { value: 1 } }, b: { type: "Sum" } },
    ui: { positions: { a: [0, 0], b: [100, 0] } },
  }),
);

function isProse(_: Workflow, path: Path): boolean {
  return path.at(-1) === "prompt";
}

interface Message {
  readonly revision: number;
  readonly id: string;
  readonly patch: string;
}

/** As nodegraph/server/content/drafts/rooms.py, with what it keeps in a file. */
class Server {
  value = START;
  log: Message[] = [];
  /** The revision that gave a node another name last. */
  private renamed = 0;

  take(id: string, text: string, base: number): "taken" | "behind" | "applied" {
    if (this.log.some((each) => each.id === id)) return "applied";
    if (base < this.renamed) return "behind";
    try {
      this.value = applyPatch(this.value, readPatch(text));
    } catch (fault) {
      if (fault instanceof NameTaken) return "taken";
      throw fault;
    }
    this.log.push({ revision: this.log.length + 1, id, patch: text });
    if (renamesOf(readPatch(text)).length > 0) this.renamed = this.log.length;
    return "applied";
  }
}

class Window {
  history: History<Workflow> = begin(START, "opened", 0);
  shared: Shared = { base: START, revision: 0, sent: null };
  private count = 0;

  constructor(
    readonly name: string,
    private readonly server: Server,
  ) {}

  get shown(): Workflow {
    return currentValue(this.history);
  }

  edit(change: (workflow: Workflow) => Workflow): void {
    this.history = commit(this.history, change(this.shown), "edit", { at: 0 });
  }

  undo(): void {
    this.history = undo(this.history);
  }

  /** Put the next change on its way; `arrives`: whether it gets to the server before a break. */
  send(arrives = true): void {
    const patch = nextPatch(this.shared, this.shown, isProse);
    if (patch !== null) {
      this.count += 1;
      this.shared = { ...this.shared, sent: { id: `${this.name}${this.count}`, patch } };
    }
    const { sent } = this.shared;
    if (sent !== null && arrives)
      this.server.take(sent.id, writePatch(sent.patch), this.shared.revision);
  }

  /** Hear the next messages of the server. */
  hear(count: number): void {
    for (const message of this.server.log.slice(
      this.shared.revision,
      this.shared.revision + count,
    )) {
      if (message.id === this.shared.sent?.id) {
        this.shared = confirmed(this.shared, message.revision);
        continue;
      }
      const patch: Patch = readPatch(message.patch);
      const found = received(this.shared, this.history, patch, message.revision, isProse);
      this.shared = found.shared;
      this.history = found.history;
    }
  }

  /** The connection was lost, or the server was killed: join anew, and get the whole. */
  rejoin(): void {
    const { sent } = this.shared;
    const isApplied = this.server.log.some(({ id }) => id === sent?.id);
    if (isApplied) this.shared = confirmed(this.shared, this.shared.revision);
    else this.shared = { ...this.shared, sent: null };
    const base = readWorkflow(writeWorkflow(this.server.value));
    const renames = this.server.log
      .slice(this.shared.revision)
      .flatMap(({ patch }) => renamesOf(readPatch(patch)));
    const { length } = this.server.log;
    const found = replaced(this.shared, this.history, base, length, isProse, renames);
    this.shared = found.shared;
    this.history = found.history;
  }

  settle(): void {
    for (let turn = 0; turn < 4; turn += 1) {
      this.hear(Number.POSITIVE_INFINITY);
      this.send();
      this.hear(Number.POSITIVE_INFINITY);
    }
  }
}

const name = fc.constantFrom("a", "b", "n", "m");
const step = fc.oneof(
  { weight: 4, arbitrary: fc.record({ do: fc.constant("value" as const), name, to: fc.nat(9) }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constant("move" as const), name, to: fc.nat(9) }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant("add" as const), name, to: fc.nat(9) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("remove" as const), name, to: fc.nat(9) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("rename" as const), name, to: fc.nat(9) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("group" as const), name, to: fc.nat(9) }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant("undo" as const), name, to: fc.nat(9) }) },
  { weight: 6, arbitrary: fc.record({ do: fc.constant("send" as const), name, to: fc.nat(9) }) },
  { weight: 6, arbitrary: fc.record({ do: fc.constant("hear" as const), name, to: fc.nat(9) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("drop" as const), name, to: fc.nat(9) }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant("rejoin" as const), name, to: fc.nat(9) }) },
);
type Step = typeof step extends fc.Arbitrary<infer T> ? T : never;

function perform(window: Window, { do: action, name: node, to }: Step): void {
  const has = window.shown.nodes.has(node);
  if (action === "value" && has) window.edit((w) => setInput(w, null, node, "value", to));
  else if (action === "move" && has) window.edit((w) => moved(w, node, to));
  else if (action === "add")
    window.edit(
      (w) =>
        addNode(w, null, { type: `T${window.name}`, at: { x: to, y: 0 }, name: node }).workflow,
    );
  else if (action === "remove" && has) window.edit((w) => removeItems(w, null, [node]));
  else if (action === "rename" && has && !window.shown.nodes.has(`${node}${to}`))
    window.edit((w) => renameNode(w, null, node, `${node}${to}`));
  else if (action === "group")
    window.edit(
      (w) =>
        addGroup(w, null, { title: window.name, box: { x: to, y: 0, width: 9, height: 9 } })
          .workflow,
    );
  else if (action === "undo") window.undo();
  else if (action === "send") window.send();
  else if (action === "hear") window.hear(1 + (to % 3));
  else if (action === "drop") window.send(false);
  else if (action === "rejoin") window.rejoin();
}

function moved(workflow: Workflow, node: string, x: number): Workflow {
  return changeLayout(workflow, null, (layout) => ({
    ...layout,
    positions: new Map(layout.positions).set(node, { x, y: 1 }),
  }));
}

test("windows with delays, drops and breaks end with one workflow", () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 2, max: 4 }),
      fc.array(fc.tuple(fc.nat(3), step), { maxLength: 60 }),
      (count, steps) => {
        const server = new Server();
        const windows = ["A", "B", "C", "D"]
          .slice(0, count)
          .map((each) => new Window(each, server));
        for (const [which, each] of steps) {
          const window = windows[which % count];
          if (window) perform(window, each);
        }
        for (const window of windows) window.rejoin();
        for (let turn = 0; turn < 2; turn += 1) for (const window of windows) window.settle();
        for (const window of windows) {
          expect(nextPatch(window.shared, window.shown)).toBeNull();
          expect(difference(window.shown, server.value)).toEqual([]);
        }
      },
    ),
    { numRuns: 200 },
  );
});

const FIELDS = ["p", "q", "r", "s", "t"];

test("no value is lost unless another window wrote the same field", () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 2, max: 4 }),
      fc.array(
        fc.tuple(fc.nat(3), fc.constantFrom(...FIELDS), fc.nat(99), fc.nat(7), fc.boolean()),
        { maxLength: 40 },
      ),
      (count, steps) => {
        const server = new Server();
        const windows = ["A", "B", "C", "D"]
          .slice(0, count)
          .map((each) => new Window(each, server));
        const writers = new Map<string, Set<string>>();
        const last = new Map<string, number>();
        for (const [which, field, value, talk, breaks] of steps) {
          const window = windows[which % count];
          if (!window) continue;
          window.edit((w) => setInput(w, null, "a", field, value));
          writers.set(field, (writers.get(field) ?? new Set()).add(window.name));
          last.set(`${window.name}${field}`, value);
          if (talk > 1) window.send(!breaks);
          if (talk > 3) window.hear(2);
          if (talk > 5) window.rejoin();
        }
        for (const window of windows) window.rejoin();
        for (let turn = 0; turn < 2; turn += 1) for (const window of windows) window.settle();
        for (const [field, names] of writers) {
          const wanted = [...names].map((each) => last.get(`${each}${field}`));
          expect(wanted).toContain(server.value.nodes.get("a")?.inputs.get(field));
        }
      },
    ),
    { numRuns: 100 },
  );
});

test("undo takes back one's own changes, and leaves what others wrote", () => {
  const server = new Server();
  const [mine, theirs] = [new Window("A", server), new Window("B", server)];
  mine.edit((w) => setInput(w, null, "a", "value", 5));
  mine.edit((w) => setNote(w, null, "b", "mine"));
  mine.settle();
  theirs.settle();
  theirs.edit((w) => moved(w, "a", 77));
  theirs.edit((w) => setInput(w, null, "a", "value", 6));
  theirs.settle();
  mine.settle();
  mine.undo();
  mine.settle();
  theirs.settle();
  expect(theirs.shown.nodes.get("b")?.note).toBe("");
  expect(layoutOf(theirs.shown, null).positions.get("a")).toEqual({ x: 77, y: 1 });
  mine.undo();
  mine.settle();
  // The field was written by the other window since: it is theirs.
  expect(server.value.nodes.get("a")?.inputs.get("value")).toBe(6);
  expect(mine.history.current).toBe(0);
});

test("two nodes that are added under one name stay two", () => {
  const server = new Server();
  const [mine, theirs] = [new Window("A", server), new Window("B", server)];
  for (const window of [mine, theirs])
    window.edit(
      (w) => addNode(w, null, { type: `T${window.name}`, at: { x: 0, y: 0 }, name: "n" }).workflow,
    );
  mine.edit((w) => setInput(w, null, "b", "a", new Map([["from", "n.value"]])));
  theirs.settle();
  mine.send();
  mine.settle();
  theirs.settle();
  expect([...server.value.nodes].map(([key, { type }]) => `${key} ${type}`).slice(2)).toEqual([
    "n TB",
    "n_2 TA",
  ]);
  expect(server.value.nodes.get("b")?.inputs.get("a")).toEqual(new Map([["from", "n_2.value"]]));
  expect(difference(mine.shown, theirs.shown)).toEqual([]);
});

test("nodes that a patch doesn't touch stay the same objects", () => {
  const patch = readPatch(
    '[[["nodes", "a", "inputs", "value"], 2], [["ui", "positions", "a"], [1, 1]]]',
  );
  const after = applyPatch(START, patch);
  expect(after.nodes.get("b")).toBe(START.nodes.get("b"));
  expect(after.nodes.get("a")?.inputs.get("value")).toBe(2);
  expect(applyPatch(START, readPatch('[[["ui", "positions", "a"], [1, 1]]]')).nodes).toBe(
    START.nodes,
  );
});

test("a state of the undo tree is worked out when it is read", () => {
  const server = new Server();
  const [mine, theirs] = [new Window("A", server), new Window("B", server)];
  for (const value of [2, 3, 4]) mine.edit((w) => setInput(w, null, "b", "x", value));
  mine.settle();
  theirs.settle();
  for (const x of [5, 6]) {
    theirs.edit((w) => moved(w, "a", x));
    theirs.settle();
    mine.settle();
  }
  // A large layout is not copied for each of hundreds of states.
  const [first, second] = mine.history.entries.values();
  expect(first?.value.ui).toBe(second?.value.ui);
  // As the browser keeps it.
  const kept = structuredClone(mine.history);
  expect(kept.entries.get(1)?.value.nodes.get("b")?.inputs.get("x")).toBe(2);
  expect(kept.entries).toEqual(mine.history.entries);
  mine.undo();
  expect(layoutOf(mine.shown, null).positions.get("a")).toEqual({ x: 6, y: 1 });
  expect(mine.shown.nodes.get("b")?.inputs.get("x")).toBe(3);
});

/** A node of each tag; what it is called is another matter. */
const TAGS = ["p", "q", "r"];

function nodeOfTag(workflow: Workflow, tag: string): string | null {
  for (const [key, { inputs }] of workflow.nodes) if (inputs.get("tag") === tag) return key;
  return null;
}

const deed = fc.constantFrom(
  ...(["set", "set", "set", "rename", "rename", "remove", "undo", "redo", "move"] as const),
  ...(["send", "send", "send", "hear", "hear", "hear", "drop", "rejoin"] as const),
);

test("edits of other fields outlive renames, removals and undo by others", () => {
  const start = TAGS.reduce(
    (workflow, tag, at) =>
      addNode(workflow, null, {
        type: "Number",
        at: { x: at, y: at },
        name: tag,
        inputs: new Map([["tag", tag]]),
      }).workflow,
    START,
  );
  fc.assert(
    fc.property(
      fc.integer({ min: 2, max: 3 }),
      fc.array(fc.tuple(fc.nat(2), deed, fc.constantFrom(...TAGS), fc.nat(9)), { maxLength: 60 }),
      (count, steps) => {
        const server = new Server();
        server.value = start;
        const windows = ["A", "B", "C"].slice(0, count).map((each) => new Window(each, server));
        for (const window of windows) {
          window.history = begin(start, "opened", 0);
          window.shared = { base: start, revision: 0, sent: null };
        }
        const last = new Map<string, number>();
        const removed = new Set<string>();
        for (const [at, [which, action, tag, to]] of steps.entries()) {
          const window = windows[which % count];
          if (!window) continue;
          const node = nodeOfTag(window.shown, tag);
          const field = `f${window.name}`;
          // The first one undoes what it did, and has no field that is looked at.
          const isUndoer = window === windows[0];
          if (action === "set" && node !== null && !isUndoer) {
            window.edit((w) => setInput(w, null, node, field, at));
            last.set(`${tag} ${field}`, at);
          } else if (action === "rename" && node !== null) {
            const next = `${tag}${window.name}${to}`;
            if (!window.shown.nodes.has(next)) window.edit((w) => renameNode(w, null, node, next));
          } else if (action === "remove" && node !== null && to < 2) {
            window.edit((w) => removeItems(w, null, [node]));
            // Who removes a node removes what others change of it meanwhile.
            removed.add(tag);
          } else if (action === "move" && node !== null)
            window.edit((w) => moved(w, node, 100 + at));
          else if (action === "undo" && isUndoer) window.undo();
          else if (action === "redo" && isUndoer) window.history = redo(window.history);
          else if (action === "send") window.send();
          else if (action === "hear") window.hear(1 + (to % 3));
          else if (action === "drop") window.send(false);
          else if (action === "rejoin") window.rejoin();
        }
        for (const window of windows) window.rejoin();
        for (let turn = 0; turn < 3; turn += 1) for (const window of windows) window.settle();
        for (const window of windows) {
          expect(nextPatch(window.shared, window.shown, isProse)).toBeNull();
          expect(difference(window.shown, server.value)).toEqual([]);
        }
        for (const [key, value] of last) {
          const [tag = "", field = ""] = key.split(" ");
          const node = nodeOfTag(server.value, tag);
          if (removed.has(tag)) continue;
          expect(node).not.toBeNull();
          expect([key, server.value.nodes.get(node ?? "")?.inputs.get(field)]).toEqual([
            key,
            value,
          ]);
        }
      },
    ),
    { numRuns: 400 },
  );
});

test("people who type in one prompt lose nothing, and end with one text", () => {
  const letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";
  fc.assert(
    fc.property(
      fc.integer({ min: 2, max: 3 }),
      fc.array(fc.tuple(fc.nat(2), fc.nat(30), fc.nat(7)), { maxLength: letters.length }),
      (count, steps) => {
        const server = new Server();
        const windows = ["A", "B", "C"].slice(0, count).map((each) => new Window(each, server));
        const typed: string[] = [];
        for (const [at, [which, position, talk]] of steps.entries()) {
          const window = windows[which % count];
          const letter = letters[at];
          if (!window || letter === undefined) continue;
          window.edit((w) => {
            const text = String(w.nodes.get("a")?.inputs.get("prompt") ?? "");
            const caret = position % (text.length + 1);
            // Now and then with a space, so that there are words.
            const next = `${text.slice(0, caret)}${letter}${talk === 4 ? " " : ""}${text.slice(caret)}`;
            return setInput(w, null, "a", "prompt", next);
          });
          typed.push(letter);
          // Once there is a text, so that nobody sets it as a whole.
          if (at === 0)
            for (const each of windows)
              for (const one of windows) one === each ? each.settle() : one.settle();
          if (talk > 1) window.send(talk !== 2);
          if (talk > 3) window.hear(1 + (talk % 3));
          if (talk > 6) window.rejoin();
        }
        for (const window of windows) window.rejoin();
        for (let turn = 0; turn < 3; turn += 1) for (const window of windows) window.settle();
        const text = String(server.value.nodes.get("a")?.inputs.get("prompt") ?? "");
        expect([...text.replaceAll(" ", "")].sort()).toEqual(typed.sort());
        for (const window of windows) expect(difference(window.shown, server.value)).toEqual([]);
      },
    ),
    { numRuns: 300 },
  );
});
