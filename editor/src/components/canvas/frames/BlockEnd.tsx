/** Inside a block: its inputs on the left side of the graph, its outputs on the right one. */
import type { NodeProps } from "@xyflow/react";
import { LogIn, LogOut, X } from "lucide-react";
import { memo } from "react";
import { type EndNode, NEW_PORT } from "@/components/canvas/adapt";
import { matchOf } from "@/components/canvas/card/CardPorts";
import { PLAIN_PORT, type PortView } from "@/components/canvas/card/card";
import { portY } from "@/components/canvas/card/geometry";
import { InlineText } from "@/components/canvas/card/InlineText";
import { Port } from "@/components/canvas/card/Port";
import { edit } from "@/components/canvas/edit";
import { linkingOf, useLinking } from "@/components/canvas/links/linking";
import { cx, IconButton } from "@/components/ui";
import { t } from "@/i18n";
import type { End } from "@/model/items";
import { demoteInput, demoteOutput, renameInput, renameOutput } from "@/model/subgraphs";
import type { Workflow } from "@/model/workflow";
import { useCatalogue } from "@/store/catalogue";
import styles from "./BlockEnd.module.css";

const PLUS: PortView = { ...PLAIN_PORT, name: NEW_PORT };

function EndCard({ id, data, selected }: NodeProps<EndNode>) {
  const { end, ports } = data;
  const linking = useLinking((state) => linkingOf(state, id));
  const side = end === "inputs" ? "output" : "input";
  const Icon = end === "inputs" ? LogIn : LogOut;
  return (
    <section className={cx(styles.end, styles[end], selected && styles.selected)} data-end={end}>
      <header className={styles.header}>
        <Icon size={14} aria-hidden />
        {t(`canvas.block.${end}`)}
      </header>
      {[...ports, PLUS].map((port, row) => (
        <Port
          key={port.name}
          port={port}
          side={side}
          match={matchOf(linking, side, port.name)}
          problem={null}
          live
          y={portY(row, false)}
          hasLabel={false}
        />
      ))}
      <ul className={styles.list}>
        {ports.map((port) => (
          <li key={port.name} className={styles.row}>
            <InlineText
              text={port.name}
              label={t("canvas.block.portName")}
              onCommit={(name) =>
                editBlock("canvas.edit.renamePort", (w, scope) =>
                  renamed(w, scope, end, port.name, name),
                )
              }
              className={styles.name}
            />
            <IconButton
              icon={X}
              size="s"
              label={t("canvas.block.remove", { name: port.name })}
              onClick={() =>
                editBlock("canvas.edit.removePort", (w, scope) => removed(w, scope, end, port.name))
              }
            />
          </li>
        ))}
        <li className={cx(styles.row, styles.add)}>{t("canvas.block.add")}</li>
      </ul>
    </section>
  );
}

function editBlock(label: string, change: (workflow: Workflow, scope: string) => Workflow): void {
  edit(label, (workflow, scope) => (scope === null ? workflow : change(workflow, scope)));
}

function renamed(w: Workflow, scope: string, end: End, from: string, to: string): Workflow {
  const name = to.trim();
  if (name === "") return w;
  const { types } = useCatalogue.getState();
  return end === "inputs"
    ? renameInput(w, scope, from, name, types)
    : renameOutput(w, scope, from, name);
}

function removed(w: Workflow, scope: string, end: End, name: string): Workflow {
  const { types } = useCatalogue.getState();
  return end === "inputs" ? demoteInput(w, scope, name, types) : demoteOutput(w, scope, name);
}

export const BlockEnd = memo(EndCard, (a, b) => a.data === b.data && a.selected === b.selected);
