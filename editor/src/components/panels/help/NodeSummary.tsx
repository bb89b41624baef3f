/** What a node type does, in its own words: summary, text, marks, ports. */
import { Badge } from "@/components/ui";
import { t } from "@/i18n";
import { colorOf } from "@/model/compat";
import type { NodeSpec, NodeTypes } from "@/model/spec";
import { Dot } from "../lib/NodePreview";
import { readDocstring } from "./docstring";
import { ExamplePicture } from "./ExamplePicture";
import styles from "./Help.module.css";
import { Prose } from "./Prose";

interface Props {
  readonly types: NodeTypes;
  readonly spec: NodeSpec;
}

/** Short: for beside a list. */
export function NodeSummary({ types, spec }: Props) {
  const told = spec.inputs.filter((port) => port.help !== "");
  return (
    <div className={styles.summary}>
      <NodeMarks spec={spec} />
      <p className={styles.lead}>{spec.summary || t("panels.help.noText")}</p>
      <ExamplePicture spec={spec} />
      <Prose blocks={readDocstring(spec.help, spec.summary)} />
      {told.length > 0 && (
        <dl className={styles.ports}>
          {told.map((port) => (
            <div key={port.name}>
              <dt>
                <Dot color={colorOf(types, port.type)} />
                {port.label ?? port.name}
              </dt>
              <dd>{port.help}</dd>
            </div>
          ))}
        </dl>
      )}
    </div>
  );
}

/** Whether it is experimental, out of date, of another pack, or runs apart. */
export function NodeMarks({ spec }: { readonly spec: NodeSpec }) {
  if (!spec.experimental && !spec.deprecated && !spec.pack) return null;
  return (
    <div className={styles.marks}>
      {spec.deprecated && <Badge tone="warn">{t("panels.help.deprecated")}</Badge>}
      {spec.experimental && <Badge tone="info">{t("panels.help.experimental")}</Badge>}
      {spec.pack && <Badge>{spec.pack}</Badge>}
      {spec.process && <Badge tone="info">{t(`panels.help.${spec.process}`)}</Badge>}
      {spec.deprecated && <p>{spec.deprecated}</p>}
      {spec.process && <p>{t(`panels.help.${spec.process}Detail`)}</p>}
    </div>
  );
}
