/** Results on their way: onto the canvas, onto a port, or out of the page as files. */
import type { DragEvent, MouseEvent } from "react";
import { artifactAddress } from "@/api/files";
import type { ArtifactEntry } from "@/api/schema";
import { isReadable } from "./kinds";
import { openResultMenu } from "./menuState";

const KIND = "application/x-nodegraph-result";
const KINDS = "application/x-nodegraph-results";

/** Browsers tell what a drag carries only when it is dropped. */
let dragged: ArtifactEntry | null = null;
let all: readonly ArtifactEntry[] = [];

/** What makes an element one that a result is dragged from, and whose menu a right click opens. */
export function resultDrag(artifact: ArtifactEntry, node: string | null = null) {
  return {
    draggable: true,
    onDragStart: (event: DragEvent) => begin(event, artifact),
    onDragEnd: end,
    onContextMenu: (event: MouseEvent) => {
      if (!isReadable(artifact)) return;
      event.preventDefault();
      event.stopPropagation();
      openResultMenu(artifact, { x: event.clientX, y: event.clientY }, node);
    },
  };
}

/** @param among Those that are dragged together, such as all that are marked. */
export function begin(
  event: DragEvent,
  artifact: ArtifactEntry,
  among: readonly ArtifactEntry[] = [artifact],
): void {
  const { dataTransfer } = event;
  const address = new URL(artifactAddress(artifact.digest, { download: true }), location.href).href;
  // Cards and panels have drags of their own around it.
  event.stopPropagation();
  dragged = isReadable(artifact) ? artifact : null;
  all = among;
  dataTransfer.setData(KINDS, artifact.digest);
  if (dragged !== null) dataTransfer.setData(KIND, artifact.digest);
  dataTransfer.setData("DownloadURL", `${artifact.media_type}:${artifact.name}:${address}`);
  dataTransfer.setData("text/uri-list", address);
  dataTransfer.effectAllowed = "copy";
}

export function end(): void {
  dragged = null;
  all = [];
}

/** The result of a drag that goes over something, or was dropped; null if it carries none. */
export function draggedResult({
  dataTransfer,
}: Pick<DragEvent, "dataTransfer">): ArtifactEntry | null {
  return dataTransfer.types.includes(KIND) ? dragged : null;
}

/** All results of a drag, whatever they are; none if it carries none. */
export function draggedResults({
  dataTransfer,
}: Pick<DragEvent, "dataTransfer">): readonly ArtifactEntry[] {
  return dataTransfer.types.includes(KINDS) ? all : [];
}
