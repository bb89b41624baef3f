/** What packs bring into the editor, and where it is. */

/** A widget or panel that a pack brings. */
export interface PackFrame {
  readonly pack: string;
  readonly kind: "widget" | "panel";
  readonly name: string;
  /** A panel's title; empty for a widget. */
  readonly label: string;
  readonly help: string;
  readonly href: string;
}

/** By what the inputs of a pack's nodes name their widgets. */
export const OF_PACK = "pack:";

/** Where the widget that an input names is, by the pack of its node type; null if it isn't there. */
export function frameOf(frames: readonly PackFrame[], pack: string, widget: string): string | null {
  if (!widget.startsWith(OF_PACK)) return null;
  const name = widget.slice(OF_PACK.length);
  const found = frames.find(
    (each) => each.kind === "widget" && each.pack === pack && each.name === name,
  );
  return found?.href ?? null;
}
