/**
 * The pictures in blocks that are seen from afar: what is on the page for those who ask it, drawn
 * with the blocks.
 */

const shown = new Map<string, HTMLImageElement>();
const listeners = new Set<() => void>();

/** The picture of a node; null once it is gone. */
export function setFarPicture(node: string, picture: HTMLImageElement | null): void {
  if (picture === null) shown.delete(node);
  else shown.set(node, picture);
  for (const listener of listeners) listener();
}

/** The picture of a node if it has been fetched. */
export function farPicture(node: string): HTMLImageElement | null {
  const found = shown.get(node);
  return found?.complete === true && found.naturalWidth > 0 ? found : null;
}

/** Told whenever a picture came or went. */
export function onFarPictures(listener: () => void): () => void {
  listeners.add(listener);
  return () => listeners.delete(listener);
}
