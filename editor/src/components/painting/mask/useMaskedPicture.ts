/** A picture whose mask is painted, read once. */
import { useEffect, useState } from "react";
import { shelf } from "../stage/pixels/shelf";
import { contextOf, newCanvas } from "../stage/pixels/surface";
import { MaskHistory } from "./maskHistory";
import { maskOf, PictureFault, readPicture } from "./picture";
import type { Pixels } from "./png";

export interface MaskedPicture {
  readonly pixels: Pixels;
  readonly history: MaskHistory;
  /** Names what is shown on the shelf: the picture with all of its colors, the hidden ones too. */
  readonly shown: string;
}

export type Opening =
  | { readonly state: "loading" }
  | { readonly state: "failed"; readonly reason: PictureFault["reason"] }
  | ({ readonly state: "open" } & MaskedPicture);

let count = 0;

export function useMaskedPicture(address: string): Opening {
  const [opening, setOpening] = useState<Opening>({ state: "loading" });
  useEffect(() => {
    const stop = new AbortController();
    let history: MaskHistory | null = null;
    setOpening({ state: "loading" });
    readPicture(address, stop.signal).then(
      (pixels) => {
        if (stop.signal.aborted) return;
        history = new MaskHistory(pixels, maskOf(pixels));
        setOpening({ state: "open", pixels, history, shown: shownOn(pixels) });
      },
      (fault: unknown) => {
        if (stop.signal.aborted) return;
        const reason = fault instanceof PictureFault ? fault.reason : "missing";
        setOpening({ state: "failed", reason });
      },
    );
    return () => {
      stop.abort();
      history?.dispose();
    };
  }, [address]);
  return opening;
}

function shownOn({ width, height, data }: Pixels): string {
  const opaque = new ImageData(width, height);
  opaque.data.set(data);
  for (let at = 3; at < opaque.data.length; at += 4) opaque.data[at] = 255;
  const image = newCanvas(width, height);
  contextOf(image, true).putImageData(opaque, 0, 0);
  count += 1;
  const value = `masked-picture:${count}`;
  shelf.keep(value, { image, width, height });
  return value;
}
