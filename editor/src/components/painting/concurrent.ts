/**
 * What two pages paint on one layer at once is on it in the end: the page whose stroke the server gets
 * later draws it again, on the picture that the other has made.
 */
import { t } from "@/i18n";
import {
  isLayer,
  type PaintCanvas,
  type PaintLayer,
  type Placement,
  readCanvas,
  setPicture,
} from "@/model/painting";
import type { Scope } from "@/model/scope";
import type { Workflow } from "@/model/workflow";
import { useCatalogue } from "@/store/catalogue";
import { currentWorkflow, type Document, documentById, useDocuments } from "@/store/documents";
import { notify } from "@/store/notices";
import { keepPicture } from "@/store/outbox";
import { knownSize } from "@/store/pictureSizes";
import { whileDrawn } from "@/store/strokes";
import { type Drawing, LaterPaint } from "./laterPaint";
import { type Conflict, OwnStrokes } from "./ownStrokes";
import { addressOf, pictureName } from "./pictures";
import type { KeptEdit } from "./stage/pixels/keptEdit";
import { redrawn } from "./stage/pixels/redrawing";
import { shelf } from "./stage/pixels/shelf";
import { encoded } from "./stage/pixels/surface";

/** The graph that a canvas shows: strokes on it go nowhere else, whatever is shown by then. */
export interface PaintedGraph {
  readonly document: string;
  readonly scope: Scope;
}

interface Drawn {
  /** The value of the layer's picture in the graph when it was drawn; null for none. */
  readonly drawnOn: string | null;
  readonly value: string;
  readonly edit: KeptEdit;
}

interface Watched {
  readonly graph: PaintedGraph;
  readonly node: string;
  readonly title: string;
  readonly strokes: OwnStrokes;
  /** The steps of the undo tree, by the pictures that strokes made. */
  readonly steps: Map<string, number>;
  readonly later: LaterPaint;
  isRedrawing: boolean;
  /** The server's workflow that was compared last. */
  base: Workflow | null;
}

/** By the values of the pictures before. */
type Pictures = ReadonlyMap<string, Drawing>;

/** Strokes of this page on layers that others may paint on, too. */
class ConcurrentStrokes {
  private readonly watched = new Map<string, Watched>();
  private stop: (() => void) | null = null;

  /** A stroke is about to be written into its graph. */
  add(graph: PaintedGraph, layer: PaintLayer, { drawnOn, value, edit }: Drawn): void {
    // From now on, whatever is shown: strokes may be on their way when the canvas is left.
    this.stop ??= useDocuments.subscribe((now, before) => {
      if (now.documents === before.documents) return;
      for (const [each, watched] of this.watched) {
        const { document } = watched.graph;
        const [found, old] = [now, before].map(({ documents }) =>
          documents.find(({ id }) => id === document),
        );
        if (found && old && found !== old) this.follow(watched, old, found);
        this.look(each, watched);
      }
    });
    const key = JSON.stringify([graph.document, graph.scope, layer.node]);
    const known = this.watched.get(key);
    const watched = known ?? {
      ...{ graph, node: layer.node, title: layer.title, isRedrawing: false, base: null },
      ...{ strokes: new OwnStrokes(), steps: new Map(), later: new LaterPaint() },
    };
    this.watched.set(key, watched);
    const now = pictureIn(canvasNow(graph), layer.node)?.value ?? null;
    // It was drawn on what was painted before it, which the graph may have shown only since.
    const before = now !== null && watched.strokes.has(now) ? now : drawnOn;
    if (now === null) this.lose(key, watched);
    else if (before !== null) watched.strokes.add({ before, after: value, edit });
  }

  /** The stroke is in the graph, by the step that is the last one now. */
  written({ document, scope }: PaintedGraph, node: string, value: string): void {
    const step = documentById(document)?.history.current;
    const watched = this.watched.get(JSON.stringify([document, scope, node]));
    if (step !== undefined) watched?.steps.set(value, step);
  }

  /** Others have painted on what was painted here, or a state from before that is shown. */
  private follow(watched: Watched, before: Document, now: Document): void {
    const { graph, node, later } = watched;
    const pictureOf = (workflow: Workflow | undefined): Drawing | null =>
      workflow === undefined ? null : pictureIn(canvasOf(workflow, graph.scope), node);
    const from = before.shared?.base === now.shared?.base ? null : pictureOf(before.shared?.base);
    const to = from && pictureOf(now.shared?.base);
    if (from && to && from.value !== to.value && now.history !== before.history) {
      for (const [step, entry] of now.history.entries) {
        const old = pictureOf(before.history.entries.get(step)?.value);
        const after = pictureOf(entry.value);
        if (old && after) later.add(step, { from, to }, old, after);
      }
    }
    const shown = pictureOf(currentWorkflow(now));
    if (shown === null || !later.isDue(now.history.current, shown.value)) return;
    void whileDrawn(() => this.takeBack(watched)).catch(() => tellKept(watched));
  }

  /** Strokes of this page are undone, or done again, and what others painted since stays. */
  private async takeBack(watched: Watched): Promise<void> {
    const { graph, node, later, title } = watched;
    const shownNow = () => pictureIn(canvasNow(graph), node)?.value ?? null;
    const step = documentById(graph.document)?.history.current;
    const shown = shownNow();
    if (step === undefined || shown === null || !later.isDue(step, shown)) return;
    const state = await later.take(step);
    if (state === null) {
      tellKept(watched);
      return;
    }
    const { picture, placement } = state;
    const name = pictureName({ title, kind: "raster" });
    const value = await keepPicture(await encoded(picture), name);
    shelf.keep(value, picture);
    setPictures(graph, node, new Map([[step, { value, placement }]]));
  }

  private look(key: string, watched: Watched): void {
    const { graph, node, strokes } = watched;
    const shared = documentById(graph.document)?.shared ?? null;
    if (shared === null || watched.isRedrawing) return;
    // What others do comes by the server's workflow. Drags of layers change only what is shown.
    if (shared.base === watched.base && !strokes.isAhead) return;
    watched.base = shared.base;
    const shown = pictureIn(canvasNow(graph), node);
    const base = pictureIn(canvasOf(shared.base, graph.scope), node);
    // Who deletes it here has it gone here first.
    if (shown === null && base === null) this.lose(key, watched);
    if (shown === null || base === null) return;
    const conflict = strokes.compare(base.value, shown.value);
    if (conflict === null) return;
    watched.isRedrawing = true;
    void whileDrawn(() => this.redraw(watched))
      .catch(() => tellReplaced(watched))
      .finally(() => {
        watched.isRedrawing = false;
        if (this.watched.has(key)) this.look(key, watched);
      });
  }

  /** The layer is gone, and with it what was painted on it last, unless the server had that. */
  private lose(key: string, { strokes, title }: Watched): void {
    this.watched.delete(key);
    if (!strokes.isAhead) return;
    notify({
      kind: "warning",
      title: t("painting.layerGone", { name: title }),
      key: `gone ${key}`,
    });
  }

  private async redraw(watched: Watched): Promise<void> {
    const { graph, node, strokes, steps } = watched;
    const shared = documentById(graph.document)?.shared ?? null;
    const shown = pictureIn(canvasNow(graph), node);
    const base = shared && pictureIn(canvasOf(shared.base, graph.scope), node);
    if (!shown || !base) return;
    // As it is now: strokes that were being written are in the graph.
    const conflict = strokes.compare(base.value, shown.value);
    if (conflict === null) return;
    const pictures = await this.drawnAgain(watched, conflict, base.placement);
    if (pictures === null || !conflict.isWhole) tellReplaced(watched);
    if (pictures === null) {
      // What is shown counts from now on; others see it, too.
      strokes.replace(new Map(conflict.strokes.map(({ after }) => [after, after])), base.value);
      return;
    }
    strokes.replace(new Map([...pictures].map(([from, { value }]) => [from, value])), base.value);
    const bySteps = new Map<number, Drawing>();
    for (const [from, picture] of pictures) {
      const step = steps.get(from);
      steps.delete(from);
      if (step === undefined) continue;
      steps.set(picture.value, step);
      bySteps.set(step, picture);
    }
    replacePictures(graph, node, bySteps);
  }

  private async drawnAgain(
    { title }: Watched,
    { theirs, strokes }: Conflict,
    placement: Placement,
  ): Promise<Pictures | null> {
    const picture = await shelf.load(theirs, addressOf(theirs));
    const edits = strokes.map(({ edit }) => edit);
    const drawn = redrawn(picture, placement, edits);
    if (drawn === null) return null;
    const pictures = new Map<string, Drawing>();
    for (const [index, { picture: after, placement: at }] of drawn.entries()) {
      const value = await keepPicture(await encoded(after), pictureName({ title, kind: "raster" }));
      shelf.keep(value, after);
      const stroke = strokes[index];
      if (stroke) pictures.set(stroke.after, { value, placement: at });
    }
    return pictures;
  }
}

export const concurrent = new ConcurrentStrokes();

function tellReplaced({ graph, node, title }: Watched): void {
  notify({
    kind: "warning",
    title: t("painting.replaced", { name: title }),
    detail: t("painting.replacedMend"),
    key: `replaced ${graph.document} ${node}`,
  });
}

function tellKept({ graph, node, title }: Watched): void {
  notify({
    kind: "warning",
    title: t("painting.strokesKept", { name: title }),
    detail: t("painting.strokesKeptMend"),
    key: `kept ${graph.document} ${node}`,
  });
}

function canvasNow({ document, scope }: PaintedGraph): PaintCanvas | null {
  const found = documentById(document);
  return found && canvasOf(currentWorkflow(found), scope);
}

function canvasOf(workflow: Workflow, scope: Scope): PaintCanvas | null {
  const { types } = useCatalogue.getState();
  return types && readCanvas(workflow, scope, types);
}

function pictureIn(canvas: PaintCanvas | null, node: string): Drawing | null {
  const layer = canvas?.entries.find((entry) => entry.node === node);
  if (layer === undefined || !isLayer(layer) || layer.picture === null) return null;
  return { value: layer.picture.value, placement: layer.placement };
}

/** In the steps of the strokes and those that follow them: undo takes back one stroke after the other. */
function replacePictures(
  { document, scope }: PaintedGraph,
  node: string,
  drawings: ReadonlyMap<number, Drawing>,
): void {
  const found = documentById(document);
  if (found === null) return;
  // Older steps come first, so that what a step follows is known.
  const drawn = new Map<number, Drawing>();
  for (const [id, { parent }] of found.history.entries) {
    const next = drawings.get(id) ?? (parent === null ? undefined : drawn.get(parent));
    if (next !== undefined) drawn.set(id, next);
  }
  setPictures({ document, scope }, node, drawn);
}

/** Steps of the undo tree get other pictures. */
function setPictures(
  { document, scope }: PaintedGraph,
  node: string,
  drawings: ReadonlyMap<number, Drawing>,
): void {
  const found = documentById(document);
  const { types } = useCatalogue.getState();
  if (found === null || types === null) return;
  const { history, shared } = found;
  const entries = new Map(history.entries);
  for (const [id, next] of drawings) {
    const entry = history.entries.get(id);
    if (entry === undefined) continue;
    const ground = { workflow: entry.value, scope, types, sizeOf: knownSize };
    const canvas = readCanvas(entry.value, scope, types);
    if (canvas === null) continue;
    const value = setPicture(ground, canvas, node, next.value, next.placement);
    entries.set(id, { ...entry, value });
  }
  const saved = history.saved === history.current ? null : history.saved;
  useDocuments.getState().setShared(document, shared, { ...history, entries, saved });
}
