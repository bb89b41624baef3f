/**
 * Pixels of the layers, as the graph says and as they are painted. A stroke is on the layer's own
 * surface at once; the graph follows once its file has a value, and is ahead again after an undo.
 */
import type { PaintLayer, Placement } from "@/model/painting/types";
import { extentOf, matrixOf, NOTHING, type Rect, resolved } from "./geometry";
import { surfaceOf } from "./redrawing";
import type { Shelf } from "./shelf";
import type { Context, Edit, Picture, Surface } from "./surface";

/** Milliseconds between tries to load a picture: twice as long each time. */
const FIRST_WAIT = 500;
const LONGEST_WAIT = 30_000;

interface LayerState {
  /** Of the graph; null for a computed picture that is not there. */
  value: string | null;
  placement: Placement;
  /** As `placement` says. */
  picture: Picture | null;
  /** Painted on since the picture was shown; it counts instead of the picture. */
  surface: Surface | null;
  /** Values of strokes that the graph has not shown yet, oldest first, with their placements. */
  readonly ours: Map<string, Placement>;
  /** Strokes whose value is not known yet. */
  unnamed: number;
}

/** A layer's picture after an edit. */
export interface Painted {
  readonly picture: Picture;
  readonly placement: Placement;
  /** Its value is known: the graph may show it. */
  named(value: string): void;
  /** It will get no value; the graph's picture comes back. */
  failed(): void;
}

export class LayerPixels {
  /** Grows when a layer looks different by something else than a stroke here. */
  version = 0;
  private readonly states = new Map<string, LayerState>();

  constructor(
    private readonly shelf: Shelf,
    /** A picture came, so that the layer looks different. */
    private readonly onChange: () => void,
  ) {}

  /** Bring a layer up to the graph. `key` names its picture, `url` loads it. */
  sync(layer: PaintLayer, key: string | null, url: string | null): void {
    const state = this.states.get(layer.node) ?? this.added(layer);
    if (key !== null && state.ours.has(key)) {
      const placement = state.ours.get(key) ?? layer.placement;
      for (const older of [...state.ours.keys()]) {
        state.ours.delete(older);
        if (older === key) break;
      }
      state.value = key;
      state.placement = placement;
    } else if (key !== state.value) {
      // The graph may already show a stroke whose value only comes now.
      if (state.unnamed > 0) return;
      this.show(state, key, url);
      state.placement = layer.placement;
    }
    const isAhead = state.unnamed > 0 || state.ours.size > 0;
    if (!isAhead && !isSame(state.placement, layer.placement)) this.move(state, layer.placement);
  }

  /** Forget layers that are gone. */
  retain(nodes: ReadonlySet<string>): void {
    for (const node of [...this.states.keys()]) if (!nodes.has(node)) this.states.delete(node);
  }

  /** Whether its pixels are here, to be painted on. */
  isReady(node: string): boolean {
    const state = this.states.get(node);
    return state !== undefined && (state.surface !== null || state.picture !== null);
  }

  /** Whole pixels that it covers; nothing while it loads. */
  extent(node: string): Rect {
    const state = this.states.get(node);
    if (state?.surface) return state.surface.rect;
    if (!state?.picture) return NOTHING;
    return extentOf(resolved(state.placement, state.picture));
  }

  /** Its placement with the size in numbers, for handles; null while it loads. */
  placement(node: string): Placement | null {
    const state = this.states.get(node);
    if (!state?.picture) return null;
    return resolved(state.placement, state.picture);
  }

  /** Draw it in coordinates of the canvas. */
  draw(node: string, context: Context | CanvasRenderingContext2D): void {
    const state = this.states.get(node);
    if (state?.surface) {
      context.drawImage(state.surface.canvas, state.surface.rect.x, state.surface.rect.y);
    } else if (state?.picture) {
      context.save();
      context.transform(...matrixOf(resolved(state.placement, state.picture), state.picture));
      context.drawImage(state.picture.image, 0, 0);
      context.restore();
    }
  }

  /** Draw an edit on a layer; null if it is not here, or would get too large. */
  paint(node: string, edit: Edit): Painted | null {
    const state = this.states.get(node);
    if (state === undefined) return null;
    state.surface ??= state.picture && surfaceOf(state.picture, state.placement);
    if (!state.surface?.apply(edit)) return null;
    const { picture, rect } = state.surface.cropped();
    const placement = { ...rect, rotation: 0 };
    state.picture = picture;
    state.placement = placement;
    state.unnamed++;
    return {
      picture,
      placement,
      named: (value) => {
        state.unnamed--;
        state.ours.set(value, placement);
        this.shelf.keep(value, picture);
        this.onChange();
      },
      failed: () => {
        state.unnamed--;
        // Anything but the graph's value, so that the next look at the graph shows that again.
        state.value = null;
        state.surface = null;
        this.onChange();
      },
    };
  }

  private added(layer: PaintLayer): LayerState {
    const state: LayerState = {
      value: null,
      placement: layer.placement,
      picture: null,
      surface: null,
      ours: new Map(),
      unnamed: 0,
    };
    this.states.set(layer.node, state);
    return state;
  }

  private show(state: LayerState, key: string | null, url: string | null): void {
    this.version++;
    state.value = key;
    state.surface = null;
    state.ours.clear();
    state.picture = key === null ? null : (this.shelf.get(key) ?? null);
    if (state.picture !== null || key === null || url === null) return;
    this.load(state, key, url);
  }

  /** Others name pictures that the server may get only now: what is not there is asked for again. */
  private load(state: LayerState, key: string, url: string, wait = FIRST_WAIT): void {
    const isWanted = () => state.value === key && state.surface === null && state.picture === null;
    this.shelf.load(key, url).then(
      (picture) => {
        if (!isWanted()) return;
        state.picture = picture;
        this.version++;
        this.onChange();
      },
      // A picture that cannot be read stays away; the panel of problems says why.
      () => {
        if (!isWanted() || wait > LONGEST_WAIT) return;
        setTimeout(() => {
          if (isWanted()) this.load(state, key, url, 2 * wait);
        }, wait);
      },
    );
  }

  private move(state: LayerState, placement: Placement): void {
    this.version++;
    state.placement = placement;
    // The picture is what the surface shows, cropped: it can be placed in any way.
    state.surface = null;
  }
}

function isSame(a: Placement, b: Placement): boolean {
  const keys = ["x", "y", "width", "height", "rotation"] as const;
  return keys.every((key) => a[key] === b[key]);
}
