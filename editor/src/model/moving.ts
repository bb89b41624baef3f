/** Whether a picture's file has several frames, as its first bytes tell. */

/** Frames may stand in it; a GIF tells only when it is read. `head` begins it, and need not be all. */
export function mayMove(head: Uint8Array): boolean {
  if (latin(head, 0, 4) === "GIF8") return true;
  if (latin(head, 0, 4) === "RIFF" && latin(head, 8, 16) === "WEBPVP8X") {
    return ((head[20] ?? 0) & WEBP_MOVES) !== 0;
  }
  return latin(head, 1, 4) === "PNG" && hasFrameCount(head);
}

const WEBP_MOVES = 0x02;

/** Whether the chunk that counts a PNG's frames stands before its pixels. */
function hasFrameCount(head: Uint8Array): boolean {
  const view = new DataView(head.buffer, head.byteOffset, head.byteLength);
  for (let at = 8; at + 8 <= head.length; at += 12 + view.getUint32(at)) {
    const kind = latin(head, at + 4, at + 8);
    if (kind === "acTL" || kind === "IDAT") return kind === "acTL";
  }
  return false;
}

function latin(bytes: Uint8Array, from: number, until: number): string {
  return String.fromCharCode(...bytes.subarray(from, until));
}
