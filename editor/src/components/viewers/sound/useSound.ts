/** A sound's samples, decoded by the browser. */
import type { ArtifactEntry } from "@/api/schema";
import { type Fetched, useFile } from "../useFile";

export interface Sound {
  readonly channels: readonly Float32Array[];
  /** Samples a second, which may be others than the file's. */
  readonly rate: number;
  readonly seconds: number;
}

const RATE = 48_000;
/** Above an hour and a half, samples would take a GB. */
const MOST_SAMPLES = 1 << 28;

export function useSound(artifact: ArtifactEntry): Fetched<Sound> {
  return useFile(artifact, decoded);
}

async function decoded(bytes: ArrayBuffer): Promise<Sound | null> {
  const made = await new OfflineAudioContext(1, 1, RATE).decodeAudioData(bytes);
  if (made.length * made.numberOfChannels > MOST_SAMPLES) return null;
  const channels = Array.from({ length: Math.min(2, made.numberOfChannels) }, (_, channel) =>
    made.getChannelData(channel),
  );
  return { channels, rate: made.sampleRate, seconds: made.duration };
}
