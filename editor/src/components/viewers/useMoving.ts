/** A picture that moves, frame by frame, where browsers can read frames; elsewhere it just plays. */
import { type RefObject, useEffect, useRef, useState } from "react";
import { getArtifactBytes } from "@/api/files";
import type { ArtifactEntry } from "@/api/schema";
import { mayMove } from "@/model/moving";
import type { Steps } from "./FrameSteps";

/** Bytes that tell whether it moves; what is written into a picture may stand before that. */
const HEAD = 256 << 10;

export interface Moving extends Steps {
  /** What it is drawn on. */
  readonly canvas: RefObject<HTMLCanvasElement | null>;
}

/** Its frames; null while they are unknown, for a picture that has one, and for none. */
export function useMoving(artifact: ArtifactEntry | null): Moving | null {
  const canvas = useRef<HTMLCanvasElement>(null);
  const decoder = useDecoder(artifact);
  const [frame, setFrame] = useState(0);
  const [isPlaying, setPlaying] = useState(false);
  useEffect(() => {
    setFrame(0);
    setPlaying(decoder !== null && !matchMedia("(prefers-reduced-motion: reduce)").matches);
  }, [decoder]);
  const track = decoder?.tracks.selectedTrack;
  const [count, isEndless] = [track?.frameCount ?? 0, track?.repetitionCount !== 0];
  useEffect(() => {
    if (decoder === null) return;
    const began = performance.now();
    let timer = 0;
    let isOver = false;
    const goOn = () => {
      if (frame + 1 < count || isEndless) setFrame((frame + 1) % count);
      else setPlaying(false);
    };
    drawn(decoder, frame, canvas)
      .then((shown) => {
        if (isPlaying && !isOver)
          timer = window.setTimeout(goOn, began + shown - performance.now());
      })
      .catch(() => isOver || setPlaying(false));
    return () => {
      isOver = true;
      window.clearTimeout(timer);
    };
  }, [decoder, frame, count, isPlaying, isEndless]);
  if (decoder === null) return null;
  const goTo = (to: number) => {
    setPlaying(false);
    setFrame(Math.min(count - 1, Math.max(0, to)));
  };
  return { canvas, isPlaying, toggle: () => setPlaying(!isPlaying), frame, count, goTo };
}

/** Draws a frame; gives for how many milliseconds it is shown. */
async function drawn(
  decoder: ImageDecoder,
  frameIndex: number,
  canvas: RefObject<HTMLCanvasElement | null>,
): Promise<number> {
  const { image } = await decoder.decode({ frameIndex });
  const place = canvas.current;
  if (place !== null) {
    place.width = image.displayWidth;
    place.height = image.displayHeight;
    place.getContext("2d")?.drawImage(image, 0, 0);
  }
  const shown = (image.duration ?? 0) / 1000;
  image.close();
  return shown;
}

function useDecoder(artifact: ArtifactEntry | null): ImageDecoder | null {
  const [decoder, setDecoder] = useState<ImageDecoder | null>(null);
  useEffect(() => {
    if (artifact === null || typeof ImageDecoder === "undefined") return;
    const asking = new AbortController();
    let opened: ImageDecoder | null = null;
    decoderOf(artifact, asking.signal)
      .then((found) => {
        if (asking.signal.aborted) return found?.close();
        opened = found;
        setDecoder(found);
      })
      // Then it is shown as the browser shows it.
      .catch(() => undefined);
    return () => {
      asking.abort();
      opened?.close();
      setDecoder(null);
    };
  }, [artifact]);
  return decoder;
}

async function decoderOf(
  { digest, media_type }: ArtifactEntry,
  signal: AbortSignal,
): Promise<ImageDecoder | null> {
  const head = await getArtifactBytes(digest, { signal, from: 0, until: HEAD });
  if (!mayMove(new Uint8Array(head)) || !(await ImageDecoder.isTypeSupported(media_type))) {
    return null;
  }
  const data = await getArtifactBytes(digest, { signal });
  const decoder = new ImageDecoder({ data, type: media_type });
  await Promise.all([decoder.tracks.ready, decoder.completed]);
  if ((decoder.tracks.selectedTrack?.frameCount ?? 0) > 1) return decoder;
  decoder.close();
  return null;
}
