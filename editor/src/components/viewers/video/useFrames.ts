/** The frame that a video shows, and stepping from one to the next. */
import { type RefObject, useCallback, useEffect, useState } from "react";
import type { ArtifactEntry } from "@/api/schema";
import { evenTiming, frameAt, rateOf, timeWithin, type VideoTiming } from "@/model/videoTiming";
import { timingOf } from "./ranges";

export interface Frames {
  readonly frame: number;
  readonly count: number;
  /** Frames a second; null if the file doesn't tell, and steps are a thirtieth of a second. */
  readonly rate: number | null;
  /** Seconds at which the frame begins. */
  readonly time: number;
  /** Show a frame, counted from 0, and stay there. */
  readonly goTo: (frame: number) => void;
}

const UNKNOWN_RATE = 30;
const NOTHING: VideoTiming = evenTiming(1, UNKNOWN_RATE);

export function useFrames(
  artifact: ArtifactEntry,
  video: RefObject<HTMLVideoElement | null>,
  /** Of the video; 0 until it is known. */
  seconds: number,
): Frames {
  const [timing, setTiming] = useState<VideoTiming | null>(null);
  const [now, setNow] = useState(0);
  useEffect(() => {
    if (!(seconds > 0)) return;
    const asking = new AbortController();
    timingOf(artifact, seconds, asking.signal)
      .then((found) => !asking.signal.aborted && setTiming(found))
      .catch(() => undefined);
    return () => asking.abort();
  }, [artifact, seconds]);
  useFrameTimes(video, setNow);
  const isKnown = seconds > 0 && Number.isFinite(seconds);
  const used = timing ?? (isKnown ? evenTiming(seconds * UNKNOWN_RATE, UNKNOWN_RATE) : NOTHING);
  const goTo = useCallback(
    (frame: number) => {
      const player = video.current;
      if (player === null) return;
      player.pause();
      const at = Math.min(used.starts.length - 1, Math.max(0, frame));
      player.currentTime = timeWithin(used, at);
      setNow(used.starts[at] ?? 0);
    },
    [video, used],
  );
  const frame = frameAt(used, now);
  return {
    frame,
    count: used.starts.length,
    rate: timing === null ? null : rateOf(timing),
    time: used.starts[frame] ?? 0,
    goTo,
  };
}

/** Tells the time of each frame as it is shown; where browsers don't say, a few times a second. */
function useFrameTimes(
  video: RefObject<HTMLVideoElement | null>,
  tell: (seconds: number) => void,
): void {
  useEffect(() => {
    const player = video.current;
    if (player === null) return;
    if (typeof player.requestVideoFrameCallback !== "function") {
      const update = () => tell(player.currentTime);
      player.addEventListener("timeupdate", update);
      return () => player.removeEventListener("timeupdate", update);
    }
    let handle = 0;
    const follow = () => {
      handle = player.requestVideoFrameCallback((_, { mediaTime }) => {
        tell(mediaTime);
        follow();
      });
    };
    follow();
    return () => player.cancelVideoFrameCallback(handle);
  }, [video, tell]);
}
