import { type DragEvent, useState } from "react";
import type { Beside, PaintEntry } from "@/model/painting";
import { isLayer } from "@/model/painting";
import { moveBeside } from "../layerActions";

/** What a row says of itself while it is dragged: no file, and no node. */
const CARRIED = "application/x-nodegraph-layer";

/** The layer that is dragged: while it goes, pages can't read what it carries. */
let dragged: PaintEntry | null = null;

/** Drags of a layer's row onto another row of its kind, which says where it would go. */
export function useRowDrag(entry: PaintEntry) {
  const [where, setWhere] = useState<Beside | null>(null);
  const over = (event: DragEvent<HTMLElement>) => {
    if (dragged === null || dragged.kind !== entry.kind || dragged === entry) return;
    event.preventDefault();
    event.stopPropagation();
    event.dataTransfer.dropEffect = "move";
    setWhere(besideOf(event, entry));
  };
  return {
    where,
    handlers: {
      draggable: true,
      onDragStart(event: DragEvent<HTMLElement>) {
        dragged = entry;
        event.dataTransfer.effectAllowed = "move";
        event.dataTransfer.setData(CARRIED, entry.node);
      },
      onDragEnd() {
        dragged = null;
        setWhere(null);
      },
      onDragOver: over,
      onDragLeave: () => setWhere(null),
      onDrop(event: DragEvent<HTMLElement>) {
        const layer = dragged;
        setWhere(null);
        if (layer === null || layer.kind !== entry.kind) return;
        event.preventDefault();
        event.stopPropagation();
        moveBeside(layer.node, entry.node, besideOf(event, entry));
      },
    },
  };
}

/** The middle of a group's row is inside of it. */
function besideOf(event: DragEvent<HTMLElement>, entry: PaintEntry): Beside {
  const { top, height } = event.currentTarget.getBoundingClientRect();
  const part = (event.clientY - top) / height;
  if (!isLayer(entry) && part > 0.3 && part < 0.7) return "inside";
  return part < 0.5 ? "above" : "below";
}
