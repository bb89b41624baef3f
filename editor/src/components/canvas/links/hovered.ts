/** What the mouse is over on the canvas: keys mean that before what is selected. */
let hovered: string | null = null;

export function setHovered(item: string | null): void {
  hovered = item;
}

export function hoveredItem(): string | null {
  return hovered;
}
