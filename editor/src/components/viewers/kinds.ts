/** Which viewer shows a file: by what it is called and by what whoever wrote it says it is. */
import type { ArtifactEntry } from "@/api/schema";

export type ViewKind =
  | "image"
  | "video"
  | "sound"
  | "space"
  | "molecule"
  | "plot"
  | "text"
  | "none";

const SPACE = new Set(["glb", "ply", "obj"]);
const MOLECULES = new Set(["sdf", "mol", "pdb", "smi", "smiles"]);

type Named = Pick<ArtifactEntry, "name" | "kind" | "media_type">;

export function viewKind({ name, kind, media_type }: Named): ViewKind {
  const suffix = suffixOf(name);
  if (kind === "plot" && (suffix === "json" || media_type.endsWith("json"))) return "plot";
  if (media_type.startsWith("image/")) return "image";
  if (media_type.startsWith("video/")) return "video";
  if (media_type.startsWith("audio/")) return "sound";
  if (SPACE.has(suffix)) return "space";
  if (MOLECULES.has(suffix)) return "molecule";
  return media_type.startsWith("text/plain") ? "text" : "none";
}

/** Pixels across and down, "1024 × 1024"; null of what has no size. */
export function sizeText({
  width,
  height,
}: Pick<ArtifactEntry, "width" | "height">): string | null {
  return width && height ? `${width} × ${height}` : null;
}

/** What follows the last dot, in small letters. */
export function suffixOf(name: string): string {
  return /\.(\w+)$/.exec(name)?.[1]?.toLowerCase() ?? "";
}

/** Kinds whose nodes may write a picture of them beside. */
const PICTURED = new Set<ViewKind>(["sound", "space", "molecule", "plot"]);

/**
 * Files without the pictures of them that their node wrote beside, under the same name: where they
 * are seen themselves (`isSeen`), those tell nothing more.
 */
export function withoutPicturesBeside<T extends Named>(
  files: readonly T[],
  isSeen: (file: T) => boolean = () => true,
): readonly T[] {
  const pictured = new Set(
    files
      .filter((file) => PICTURED.has(viewKind(file)) && isSeen(file))
      .map(({ name }) => unnumbered(name)),
  );
  const isBeside = (file: T) => viewKind(file) === "image" && pictured.has(unnumbered(file.name));
  return files.filter((file) => !isBeside(file));
}

/** A name without its number and suffix: files of each suffix are counted by themselves. */
function unnumbered(name: string): string {
  return name.replace(/(_\d+)?\.\w+$/, "");
}
