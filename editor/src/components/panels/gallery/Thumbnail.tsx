/** A file of a job seen small; what is no picture by its kind and name. */
import {
  Atom,
  Box,
  ChartLine,
  File,
  FileAudio,
  FileJson,
  FileText,
  FileVideo,
  type LucideIcon,
  Play,
} from "lucide-react";
import { useState } from "react";
import { thumbnailAddress } from "@/api/files";
import type { ArtifactEntry } from "@/api/schema";
import { type ViewKind, viewKind } from "@/components/viewers/kinds";
import styles from "./Thumbnail.module.css";

interface Props {
  readonly artifact: ArtifactEntry;
  readonly size: 128 | 256 | 512;
}

export function Thumbnail({ artifact, size }: Props) {
  const [isBroken, setBroken] = useState(false);
  const address = thumbnailAddress(artifact, size);
  if (address === null || isBroken) {
    const Icon = iconOf(artifact);
    return (
      <span className={styles.file}>
        <Icon aria-hidden size={24} strokeWidth={1.5} />
        <span>{artifact.name}</span>
      </span>
    );
  }
  return (
    <>
      <img
        className={styles.picture}
        src={address}
        alt=""
        loading="lazy"
        decoding="async"
        draggable={false}
        onError={() => setBroken(true)}
      />
      {isVideo(artifact) && <Play aria-hidden className={styles.play} size={16} />}
    </>
  );
}

const ICONS: Partial<Record<ViewKind, LucideIcon>> = {
  sound: FileAudio,
  space: Box,
  molecule: Atom,
  plot: ChartLine,
};

function isVideo({ media_type, kind }: ArtifactEntry): boolean {
  return kind === "video" || media_type.startsWith("video/");
}

function iconOf(artifact: ArtifactEntry): LucideIcon {
  const { media_type, kind } = artifact;
  const known = ICONS[viewKind(artifact)];
  if (known !== undefined) return known;
  if (isVideo(artifact)) return FileVideo;
  if (kind === "audio") return FileAudio;
  if (media_type.endsWith("json")) return FileJson;
  return media_type.startsWith("text/") ? FileText : File;
}
