/** Parts of a video's file, enough to tell when each of its frames is shown. */
import { getArtifactBytes } from "@/api/files";
import type { ArtifactEntry } from "@/api/schema";
import { boxesOf } from "@/model/mp4";
import { evenTiming, mp4Timing, type VideoTiming, webmRate } from "@/model/videoTiming";
import { suffixOf } from "../kinds";

const HEAD = 128 << 10;
/** Of the part that tells; an hour of video has less. */
const MOST = 32 << 20;
/** Whoever writes a file puts few boxes before the one that tells. */
const MOST_LOOKS = 8;

/** The timing of a video; null where its file doesn't tell. `seconds` is its length. */
export async function timingOf(
  artifact: ArtifactEntry,
  seconds: number,
  signal: AbortSignal,
): Promise<VideoTiming | null> {
  const part = async (from: number, until: number) =>
    new Uint8Array(await getArtifactBytes(artifact.digest, { signal, from, until }));
  const suffix = suffixOf(artifact.name);
  if (suffix === "webm" || suffix === "mkv") {
    const rate = webmRate(await part(0, HEAD));
    return rate === null ? null : evenTiming(seconds * rate, rate);
  }
  return mp4Of(part, artifact.size);
}

async function mp4Of(
  part: (from: number, until: number) => Promise<Uint8Array>,
  size: number,
): Promise<VideoTiming | null> {
  let at = 0;
  for (let look = 0; look < MOST_LOOKS && at < size; look += 1) {
    const head = await part(at, at + HEAD);
    const boxes = boxesOf(head);
    const found = boxes.find(({ kind }) => kind === "moov");
    if (found !== undefined) {
      const start = found.body.byteOffset - head.byteOffset;
      if (start + found.size <= head.length) return mp4Timing(found.body);
      const isReadable = found.size <= MOST;
      return isReadable ? mp4Timing(await part(at + start, at + start + found.size)) : null;
    }
    const last = boxes.at(-1);
    if (last === undefined) return null;
    at += last.body.byteOffset - head.byteOffset + last.size;
  }
  return null;
}
