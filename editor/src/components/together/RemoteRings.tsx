/** Around what others have selected: a ring in their color, with their name. */
import { ViewportPortal } from "@xyflow/react";
import { memo } from "react";
import { boxOf, type CanvasNode } from "@/components/canvas/adapt";
import { t } from "@/i18n";
import { useConnection } from "@/store/connection";
import { memberColor, useCompany } from "@/store/members";
import styles from "./RemoteRings.module.css";

interface Props {
  readonly document: string;
  readonly path: readonly string[];
  readonly nodes: readonly CanvasNode[];
}

export const RemoteRings = memo(function RemoteRings({ document, path, nodes }: Props) {
  const { others } = useCompany(document);
  const own = useConnection((state) => state.caller?.name ?? "");
  const here = others.filter((member) => member.path.join("/") === path.join("/"));
  if (here.length === 0) return null;
  const byId = new Map(nodes.map((node) => [node.id, node]));
  return (
    <ViewportPortal>
      {here.flatMap(({ member, name, selection }) =>
        selection.flatMap((item) => {
          const node = byId.get(item);
          if (node === undefined) return [];
          const { x, y, width, height } = boxOf(node);
          const color = memberColor(member);
          return (
            <div
              key={`${member} ${item}`}
              aria-hidden="true"
              data-ring={item}
              className={styles.ring}
              style={{ transform: `translate(${x}px, ${y}px)`, width, height, color }}
            >
              <span className={styles.name}>
                {name === own ? t("together.anotherWindow") : name}
              </span>
            </div>
          );
        }),
      )}
    </ViewportPortal>
  );
});
