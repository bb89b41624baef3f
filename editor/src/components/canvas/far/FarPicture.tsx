/** The picture that a node gave, in its block: what one looks for in a graph that is seen from afar. */
import { memo, useEffect, useRef } from "react";
import { thumbnailAddress } from "@/api/files";
import type { ArtifactEntry } from "@/api/schema";
import { useFoundFiles, useNodeOutputs, useNodePictures } from "@/hooks/useNodeRun";
import type { FoundFiles } from "@/store/plan";
import { useSettings } from "@/store/settings";
import { usePlace } from "../view";
import styles from "./FarPicture.module.css";
import { setFarPicture } from "./pictures";

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
  const ref = useRef<HTMLImageElement>(null);
  const first = files.find(({ thumbnail }) => thumbnail !== null);
  const address = first ? thumbnailAddress(first) : null;
  // biome-ignore lint/correctness/useExhaustiveDependencies: another address is another picture
  useEffect(() => {
    setFarPicture(name, ref.current);
    return () => setFarPicture(name, null);
  }, [name, address, isEarlier]);
  if (address === null) return null;
  return (
    <img
      ref={ref}
      className={styles.picture}
      src={address}
      alt=""
      data-earlier={isEarlier || undefined}
      draggable={false}
      decoding="async"
      onLoad={(event) => setFarPicture(name, event.currentTarget)}
    />
  );
}
