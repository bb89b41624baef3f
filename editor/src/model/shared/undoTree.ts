/**
 * The undo tree, with what others do in each of its states.
 *
 * A large workflow has hundreds of states, and dragging a node sends ten patches a second.
 * So a state is worked out when it is read: on undo, or when the document is kept.
 */
import type { Entry, History } from "../history";
import type { JsonObject } from "../json";
import type { Workflow } from "../workflow";
import { applyPatch } from "./applying";
import { type Patch, type Renamed, renamesOf } from "./patch";
import { aliasesFor, withName } from "./renaming";

/** Patches that wait, the last first. States to which the same ones are due share them. */
interface Waiting {
  readonly patch: Patch;
  /** What nodes that the patch speaks of are called in these states. */
  readonly aliases: readonly Renamed[];
  readonly before: Waiting | null;
  /** Layouts with all of them: most states have the same one. */
  readonly layouts: WeakMap<JsonObject, JsonObject>;
}

interface State {
  readonly basis: Workflow;
  readonly waiting: Waiting;
  value: Workflow | null;
}

const states = new WeakMap<Entry<Workflow>, State>();

/** The undo tree with a patch of others in each state, and another current one. */
export function withPatch(
  history: History<Workflow>,
  patch: Patch,
  current: Workflow,
): History<Workflow> {
  const longer = new Map<Waiting | null, Waiting>();
  const shown = history.entries.get(history.current)?.value ?? current;
  const found = new Map<State | Workflow, State>();
  return changed(history, current, (entry) => {
    const known = stateOf(entry);
    let state = found.get(known);
    if (state === undefined) {
      const [basis, before] = "waiting" in known ? [known.basis, known.waiting] : [known, null];
      const aliases = aliasesFor(patch, basis, shown);
      let waiting = aliases.length > 0 ? undefined : longer.get(before);
      if (waiting === undefined) {
        waiting = { patch, aliases, before, layouts: new WeakMap() };
        if (aliases.length === 0) longer.set(before, waiting);
      }
      state = { basis, waiting, value: null };
      found.set(known, state);
    }
    return lateEntry(entry, state);
  });
}

/** The undo tree with each state changed, and another current one. */
export function withChange(
  history: History<Workflow>,
  change: (workflow: Workflow) => Workflow,
  current: Workflow,
): History<Workflow> {
  const found = new Map<Workflow, Workflow>();
  return changed(history, current, (entry) => {
    const value = found.get(entry.value) ?? change(entry.value);
    found.set(entry.value, value);
    return { ...entry, value };
  });
}

function changed(
  history: History<Workflow>,
  current: Workflow,
  change: (entry: Entry<Workflow>) => Entry<Workflow>,
): History<Workflow> {
  const shown = history.entries.get(history.current)?.value;
  const entries = new Map<number, Entry<Workflow>>();
  for (const [id, entry] of history.entries) {
    // One that was saved as it is shown stays the same as what is shown.
    const isShown = id === history.current || stateOf(entry) === shown;
    entries.set(id, isShown ? { ...entry, value: current } : change(entry));
  }
  return { ...history, entries };
}

/** What a state is, or will be once it is read. */
function stateOf(entry: Entry<Workflow>): State | Workflow {
  const state = states.get(entry);
  return state === undefined ? entry.value : (state.value ?? state);
}

function lateEntry(entry: Entry<Workflow>, state: State): Entry<Workflow> {
  const late = Object.create(Object.prototype, {
    ...Object.getOwnPropertyDescriptors(entry),
    // An own, enumerable property of the object, so that copies of the entry read it, too.
    value: { enumerable: true, configurable: true, get: () => readState(state) },
  }) as Entry<Workflow>;
  states.set(late, state);
  return late;
}

function readState(state: State): Workflow {
  state.value ??= workedOut(state);
  return state.value;
}

function workedOut({ basis, waiting }: State): Workflow {
  const steps: Waiting[] = [];
  for (let at: Waiting | null = waiting; at !== null; at = at.before) steps.push(at);
  steps.reverse();
  const all = steps.flatMap(({ patch }) => patch);
  try {
    if (all.some(({ renames }) => renames) || steps.some(({ aliases }) => aliases.length > 0)) {
      return steps.reduce(oneByOne, basis);
    }
    const found = applyPatch(
      basis,
      all.filter(({ path }) => path[0] !== "ui"),
    );
    const layout = all.filter(({ path }) => path[0] === "ui");
    return layout.length === 0 ? found : { ...found, ui: layoutOf(basis, layout, waiting) };
  } catch {
    // It would be no workflow: it stays as the person had it.
    return basis;
  }
}

/** A state with a patch: under the names that the patch knows, and then under its own again. */
function oneByOne(state: Workflow, { patch, aliases }: Waiting): Workflow {
  const own: Renamed[] = [];
  const known = aliases.reduce((workflow, alias) => {
    const renamed = withName(workflow, alias);
    if (renamed !== workflow) own.push(alias);
    return renamed;
  }, state);
  const theirs = renamesOf(patch);
  const renamed = theirs.reduce(withName, known);
  const found = applyPatch(
    renamed,
    patch.filter(({ renames }) => !renames),
  );
  return own
    .filter(({ scope, to }) => !theirs.some((each) => each.scope === scope && each.from === to))
    .reduce(
      (workflow, { scope, from, to }) => withName(workflow, { scope, from: to, to: from }),
      found,
    );
}

function layoutOf(basis: Workflow, patch: Patch, { layouts }: Waiting): JsonObject {
  const known = layouts.get(basis.ui);
  if (known !== undefined) return known;
  const { ui } = applyPatch({ ...basis, nodes: new Map(), subgraphs: new Map() }, patch);
  layouts.set(basis.ui, ui);
  return ui;
}
