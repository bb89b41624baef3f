import { useState } from "react";
import type { ModelEntry } from "@/api/schema";
import { familyName } from "@/model/models";
import { iconOf, tintOf } from "./looks";
import styles from "./ModelImage.module.css";

interface Props {
  readonly model: ModelEntry;
  readonly size: 256 | 512;
}

/** The image of a model, or what it is where it has none. */
export function ModelImage({ model, size }: Props) {
  const [broken, setBroken] = useState<string | null>(null);
  const { thumbnail } = model;
  if (thumbnail !== null && broken !== thumbnail) {
    return (
      <img
        className={styles.image}
        src={`${thumbnail}&size=${size}`}
        alt=""
        loading="lazy"
        decoding="async"
        draggable={false}
        onError={() => setBroken(thumbnail)}
      />
    );
  }
  const Icon = iconOf(model);
  // The family is written beside the image as well: drawn here, it is read only once.
  return (
    <span
      className={styles.blank}
      style={{ "--tint": tintOf(model.family) } as React.CSSProperties}
      data-family={model.family === null ? undefined : familyName(model.family)}
      aria-hidden
    >
      <Icon size={26} strokeWidth={1.4} />
    </span>
  );
}
