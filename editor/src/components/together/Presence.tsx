/** What others do in the graph that is shown: rings around their selection, and their pointers. */
import { useStore, ViewportPortal } from "@xyflow/react";
import { memo } from "react";
import { useShallow } from "zustand/react/shallow";
import type { CanvasNode } from "@/components/canvas/adapt";
import { t } from "@/i18n";
import { useConnection } from "@/store/connection";
import { memberColor, useCompany } from "@/store/members";
import { pointersOf, usePointers } from "@/store/pointers";
import { useSettings } from "@/store/settings";
import styles from "./Presence.module.css";
import { RemoteRings } from "./RemoteRings";

export interface PresenceProps {
  readonly document: string;
  readonly path: readonly string[];
  readonly nodes: readonly CanvasNode[];
}

export default function Presence(props: PresenceProps) {
  const isShown = useSettings((settings) => settings.pointers);
  return (
    <>
      <RemoteRings {...props} />
      {isShown && <RemotePointers document={props.document} path={props.path} />}
    </>
  );
}

type PointersProps = Pick<PresenceProps, "document" | "path">;

const RemotePointers = memo(function RemotePointers({ document, path }: PointersProps) {
  const { others } = useCompany(document);
  const own = useConnection((state) => state.caller?.name ?? "");
  const pointers = usePointers(useShallow((state) => pointersOf(state, document)));
  const zoom = useStore((state) => state.transform[2]);
  return (
    <ViewportPortal>
      {others.flatMap(({ member, name }) => {
        const pointer = pointers.get(member);
        if (!pointer?.cursor || pointer.path.join("/") !== path.join("/")) return [];
        const { x, y } = pointer.cursor;
        return (
          <div
            key={member}
            aria-hidden="true"
            data-pointer={name}
            className={styles.pointer}
            style={{
              transform: `translate(${x}px, ${y}px) scale(${1 / zoom})`,
              color: memberColor(member),
            }}
          >
            <svg width="16" height="18" viewBox="0 0 16 18" className={styles.arrow}>
              <title>{name}</title>
              <path d="M1 1v13.2l3.7-3.3 2.3 5.6 2.7-1.1-2.3-5.5h5z" />
            </svg>
            <span className={styles.name}>
              <span>{name === own ? t("together.anotherWindow") : name}</span>
            </span>
          </div>
        );
      })}
    </ViewportPortal>
  );
});
