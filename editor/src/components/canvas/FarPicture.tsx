/** The picture that a node gave, in its block: what one looks for in a graph that is seen from afar. */
import { memo } from "react";
import { thumbnailAddress } from "@/api/client";
import type { ArtifactEntry } from "@/api/schema";
import { useFoundFiles, useNodeOutputs, useNodePictures } from "@/hooks/useNodeRun";
import type { FoundFiles } from "@/store/plan";
import { useSettings } from "@/store/settings";
import styles from "./FarPicture.module.css";
import { useCanvasView, usePlace } from "./view";

export const FarPicture = memo(function FarPicture({ name }: { readonly name: string }) {
  const place = usePlace();
  const found = useFoundFiles(place, name);
  const last = useNodeOutputs(place, name);
  const isShown = useSettings((settings) => settings.resultsInNodes);
  if (!isShown || (found === null && last.length === 0)) return null;
  return <Picture name={name} found={found} last={last} />;
});

interface Props {
  readonly name: string;
  readonly found: FoundFiles | null;
  readonly last: readonly ArtifactEntry[];
}

function Picture({ name, found, last }: Props) {
  const { files, isEarlier } = useNodePictures(usePlace(), name, found, last);
  const title = useCanvasView((view) => view.title);
  const first = files.find(({ thumbnail }) => thumbnail !== null);
  const address = first ? thumbnailAddress(first) : null;
  if (address === null) return null;
  return (
    <img
      className={styles.picture}
      src={address}
      style={{ height: `calc(100% - ${roomAbove(title)}px)` }}
      alt=""
      data-earlier={isEarlier || undefined}
      draggable={false}
      decoding="async"
    />
  );
}

/** What a title of this size leaves free above, in one line or two. */
function roomAbove(title: number): number {
  return title === 0 ? 20 : Math.max(110, 2.4 * title);
}
