/** A link: from where to where, of which type, and what happens to its value on the way. */
import { ArrowDown, Unlink } from "lucide-react";
import { Button } from "@/components/ui";
import { t } from "@/i18n";
import { colorOf, fit } from "@/model/compat";
import { disconnect } from "@/model/edits";
import { edgesOf } from "@/model/graph";
import { nodesOf } from "@/model/scope";
import { inputOf, outputOf, typeOf } from "@/model/spec";
import { useCatalogue } from "@/store/catalogue";
import { useActive } from "@/store/documents";
import { focusNode } from "@/store/focus";
import { Dot } from "../lib/NodePreview";
import { edit } from "./change";
import styles from "./Inspector.module.css";

export function EdgeInspector({ id }: { readonly id: string }) {
  const types = useCatalogue((catalogue) => catalogue.types);
  const found = useActive((_document, workflow, scope) => {
    const nodes = nodesOf(workflow, scope);
    const edge = edgesOf(nodes).find((item) => item.id === id);
    if (edge === undefined) return {};
    const specOf = (name: string) => {
      const entry = nodes.get(name);
      return types === null || entry === undefined ? null : typeOf(types, workflow, entry);
    };
    return { edge, source: specOf(edge.from.node), target: specOf(edge.to.node) };
  });
  const { edge, source, target } = found;
  if (edge === undefined) return null;
  const output = source ? outputOf(source, edge.from.port) : null;
  const input = target ? inputOf(target, edge.to.port) : null;
  const way = types && output && input ? fit(types, output, input) : null;
  return (
    <div className={styles.panel}>
      <h2 className={styles.kind}>{t("panels.inspector.link")}</h2>
      <div className={styles.ends}>
        <End node={edge.from.node} port={output?.name ?? edge.from.port} type={output?.type} />
        <ArrowDown aria-hidden size={16} />
        <End node={edge.to.node} port={edge.to.port} type={input?.type} />
      </div>
      {way?.fits && way.note && <p className={styles.note}>{way.note}</p>}
      {way && !way.fits && (
        <p className={styles.bad}>
          {way.reason} {way.hint}
        </p>
      )}
      <Button
        size="s"
        icon={Unlink}
        onClick={() => edit("panels.edit.unlink", (w, scope) => disconnect(w, scope, [id]))}
      >
        {t("panels.inspector.unlink")}
      </Button>
    </div>
  );
}

interface EndProps {
  readonly node: string;
  readonly port: string;
  readonly type: string | undefined;
}

function End({ node, port, type }: EndProps) {
  const color = useCatalogue(({ types }) =>
    types && type !== undefined ? colorOf(types, type) : "var(--border-strong)",
  );
  return (
    <button type="button" className={styles.end} onClick={() => focusNode({ node, port })}>
      <Dot color={color} />
      <span>
        {node}
        {port !== "" && `.${port}`}
      </span>
      {type !== undefined && <small>{type}</small>}
    </button>
  );
}
