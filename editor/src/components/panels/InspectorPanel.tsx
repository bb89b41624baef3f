/** Everything that can be set of what is selected; of the workflow itself if nothing is. */
import { itemOf, nodeNames } from "@/model/items";
import { useActive } from "@/store/documents";
import { DocumentInspector } from "./inspector/DocumentInspector";
import { EdgeInspector } from "./inspector/EdgeInspector";
import { GroupInspector, NoteInspector } from "./inspector/GroupInspector";
import { ManyInspector } from "./inspector/ManyInspector";
import { NodeInspector } from "./inspector/NodeInspector";

export default function InspectorPanel() {
  const selection = useActive((document) => document.selection);
  const names = nodeNames(selection);
  const [only, second] = names;
  if (second !== undefined) return <ManyInspector names={names} />;
  if (only !== undefined) return <NodeInspector key={only} name={only} />;
  const [first, ...rest] = selection;
  if (first === undefined || rest.length > 0) return <DocumentInspector />;
  const item = itemOf(first);
  if (item.kind === "group") return <GroupInspector key={first} id={item.id} />;
  if (item.kind === "note") return <NoteInspector key={first} id={item.id} />;
  if (item.kind === "edge") return <EdgeInspector key={first} id={item.id} />;
  if (item.kind === "reroute") return <EdgeInspector key={first} id={item.edge} />;
  return <DocumentInspector />;
}
