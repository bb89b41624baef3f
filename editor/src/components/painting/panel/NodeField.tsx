import { WidgetField } from "@/components/widgets";
import { isLink } from "@/model/links";
import { nodesOf } from "@/model/scope";
import { inputOf, typeOf } from "@/model/spec";
import { useCatalogue } from "@/store/catalogue";
import { useActive } from "@/store/documents";

interface Props {
  readonly node: string;
  readonly port: string;
  /** What it is called on the canvas; left out: the input's name. */
  readonly title?: string;
}

/** A value of a node, where the canvas is: the same field as in the graph. Nothing of what is linked. */
export function NodeField({ node, port, title }: Props) {
  const types = useCatalogue((catalogue) => catalogue.types);
  const input = useActive((_document, workflow, scope) => {
    const entry = nodesOf(workflow, scope).get(node);
    const spec = types && entry && typeOf(types, workflow, entry);
    const found = spec ? inputOf(spec, port) : null;
    return found && !isLink(entry?.inputs.get(port)) ? found : null;
  });
  return input && <WidgetField node={node} input={input} place="panel" title={title} />;
}
