/** Which of several files is seen, and which one it is compared with. */
import { useState } from "react";
import type { ArtifactEntry } from "@/api/schema";
import { trash } from "@/store/library";
import { keyOf } from "./actions";

interface Options {
  readonly list: readonly ArtifactEntry[];
  readonly artifact: ArtifactEntry;
  /** Begin by comparing it with the next one. */
  readonly compare: boolean;
  /** The last one was put into the trash. */
  readonly onEmpty: () => void;
}

export function useViewed({ list, artifact, compare, onEmpty }: Options) {
  const [items, setItems] = useState<readonly ArtifactEntry[]>(list);
  const [index, setIndex] = useState(() => Math.max(0, indexOf(list, artifact)));
  const [other, setOther] = useState<number | null>(() =>
    compare && items.length > 1 ? (index + 1) % items.length : null,
  );

  /** Another one is looked at; of two that are compared, the second one changes. */
  const go = (step: number) => {
    const move = (at: number) => (at + step + items.length) % items.length;
    if (other === null) setIndex(move(index));
    else setOther(move(other));
  };

  const toggleCompare = () => {
    setOther(other === null && items.length > 1 ? (index + 1) % items.length : null);
  };

  const swap = () => {
    if (other === null) return;
    setIndex(other);
    setOther(index);
  };

  const choose = (at: number) => (other === null ? setIndex(at) : setOther(at));

  /** Look at a file; one that isn't in the list comes behind the one shown. */
  const show = (file: ArtifactEntry) => {
    const known = items.findIndex((item) => item.digest === file.digest);
    if (known < 0) setItems([...items.slice(0, index + 1), file, ...items.slice(index + 1)]);
    setOther(null);
    setIndex(known < 0 ? index + 1 : known);
  };

  const remove = async () => {
    if (shown === undefined) return;
    const gone = await trash([shown]);
    if (gone.length === 0) return;
    const left = items.filter((item) => !gone.includes(item));
    if (left.length === 0) return onEmpty();
    setItems(left);
    setOther(null);
    setIndex(Math.min(index, left.length - 1));
  };

  const shown = items[index];
  const second = other === null ? null : (items[other] ?? null);
  return { items, index, other, shown, second, go, choose, show, toggleCompare, swap, remove };
}

function indexOf(items: readonly ArtifactEntry[], artifact: ArtifactEntry): number {
  return items.findIndex((item) => keyOf(item) === keyOf(artifact));
}
