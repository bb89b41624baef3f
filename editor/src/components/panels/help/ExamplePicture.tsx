/** What the example of a node type makes. */
import { useState } from "react";
import { t } from "@/i18n";
import type { NodeSpec } from "@/model/spec";
import styles from "./Help.module.css";

export function ExamplePicture({ spec }: { readonly spec: NodeSpec }) {
  const picture = spec.example?.picture ?? null;
  const [broken, setBroken] = useState<string | null>(null);
  if (picture === null || picture === broken) return null;
  return (
    <img
      className={styles.picture}
      src={picture}
      alt={t("panels.help.picture", { name: spec.label || spec.type })}
      loading="lazy"
      decoding="async"
      onError={() => setBroken(picture)}
    />
  );
}
