/** One input of a node: its widget, or what it is linked to and what can be done about that. */
import {
  Cable,
  Crosshair,
  EllipsisVertical,
  Eye,
  EyeOff,
  LogIn,
  Search,
  Unlink,
} from "lucide-react";
import { convert } from "@/commands/parameters";
import { Button, IconButton, MenuButton, type MenuEntry, tip } from "@/components/ui";
import { inputLabel, WidgetField } from "@/components/widgets";
import { t } from "@/i18n";
import { colorOf } from "@/model/compat";
import { disconnect } from "@/model/edits";
import { edgeId } from "@/model/graph";
import { linkText, targetText } from "@/model/links";
import type { Scope } from "@/model/scope";
import type { NodeTypes } from "@/model/spec";
import { promoteInput, unlinkInput } from "@/model/subgraphs";
import { useActive } from "@/store/documents";
import { focusNode } from "@/store/focus";
import { useUi } from "@/store/ui";
import { freeCenter } from "../lib/center";
import { Dot } from "../lib/NodePreview";
import { edit } from "./change";
import styles from "./Inspector.module.css";
import type { InputRow } from "./ports";

interface Props {
  readonly node: string;
  readonly row: InputRow;
  readonly types: NodeTypes;
  readonly scope: Scope;
}

export function InputField({ node, row, types, scope }: Props) {
  const { input, link } = row;
  const isFound = useUi(
    (ui) => ui.focusRequest?.node === node && ui.focusRequest.port === input.name,
  );
  const fedBy = useBlockInput(scope, node, input.name);
  const isFree = link === null && fedBy === null;
  return (
    <div className={styles.input} data-found={isFound || undefined}>
      {isFree && row.hasWidget ? (
        <WidgetField node={node} input={input} place="panel" />
      ) : (
        <>
          <PortHead row={row} node={node} types={types} scope={scope} fedBy={fedBy} />
          <Source node={node} row={row} fedBy={fedBy} />
        </>
      )}
      {row.parameters.length > 0 && (
        <p className={styles.empty}>
          {t("panels.inspector.varies", { names: row.parameters.join(", ") })}
        </p>
      )}
      {isFree && row.hasWidget && scope !== null && (
        <Button
          size="s"
          variant="ghost"
          icon={LogIn}
          onClick={() => promote(scope, node, input.name)}
        >
          {t("panels.inspector.promote")}
        </Button>
      )}
    </div>
  );
}

interface HeadProps extends Props {
  readonly fedBy: string | null;
}

function PortHead({ row, node, types, scope, fedBy }: HeadProps) {
  const { input } = row;
  return (
    <div className={styles.inputHead}>
      <Dot color={colorOf(types, input.type)} />
      <span className={styles.name} {...tip([input.help, input.type].filter(Boolean).join("\n"))}>
        {inputLabel(input)}
        {input.required && <span className={styles.star}> *</span>}
      </span>
      <small>{input.type}</small>
      <MenuButton
        icon={EllipsisVertical}
        size="s"
        align="end"
        label={t("panels.inspector.inputMenu", { name: input.label ?? input.name })}
        items={() => portMenu(node, row, scope, fedBy)}
      />
    </div>
  );
}

interface SourceProps {
  readonly node: string;
  readonly row: InputRow;
  readonly fedBy: string | null;
}

function Source({ node, row, fedBy }: SourceProps) {
  const { link, input } = row;
  if (link !== null) {
    return (
      <div className={styles.linked}>
        <button
          type="button"
          className={styles.source}
          aria-label={t("panels.inspector.goTo", { link: linkText(link) })}
          onClick={() => focusNode({ node: link.node, port: link.port || null })}
        >
          <Cable aria-hidden size={14} />
          <span>{linkText(link)}</span>
        </button>
        <IconButton
          icon={Unlink}
          size="s"
          label={t("panels.inspector.unlink")}
          onClick={() => unlink(node, input.name)}
        />
      </div>
    );
  }
  if (fedBy !== null) {
    return <p className={styles.empty}>{t("panels.inspector.fedBy", { name: fedBy })}</p>;
  }
  return (
    <button type="button" className={styles.source} onClick={() => findSource(node, row)}>
      <Search aria-hidden size={14} />
      <span>{t(input.required ? "panels.inspector.needsLink" : "panels.inspector.notLinked")}</span>
    </button>
  );
}

/** The input of the block that feeds this input, where the graph is a block's. */
function useBlockInput(scope: Scope, node: string, port: string): string | null {
  return useActive((_document, workflow) => {
    const block = scope === null ? undefined : workflow.subgraphs.get(scope);
    const target = targetText({ node, port });
    const found = [...(block?.inputs ?? [])].find(([, input]) => input.to.includes(target));
    return found?.[0] ?? null;
  });
}

function unlink(node: string, port: string): void {
  edit("panels.edit.unlink", (w, scope) => disconnect(w, scope, [edgeId(node, port)]));
}

function promote(scope: string, node: string, port: string): void {
  edit("panels.edit.promote", (w) => promoteInput(w, scope, { node, port }).workflow);
}

/** Look for a node that gives what the input takes. */
function findSource(node: string, row: InputRow): void {
  const at = freeCenter();
  useUi.getState().openAddNode({
    screen: { x: window.innerWidth / 2 - 340, y: 120 },
    at: { x: at.x - 260, y: at.y },
    fits: { type: row.input.type, side: "input", from: { node, port: row.input.name } },
  });
}

function portMenu(
  node: string,
  row: InputRow,
  scope: Scope,
  fedBy: string | null,
): readonly MenuEntry[] {
  const port = row.input.name;
  const { link } = row;
  if (link !== null) {
    return [
      {
        label: t("panels.inspector.showSource"),
        icon: Crosshair,
        run: () => focusNode({ node: link.node, port: link.port || null }),
      },
      { label: t("panels.inspector.unlink"), icon: Unlink, run: () => unlink(node, port) },
    ];
  }
  if (scope !== null && fedBy !== null) {
    const demote = () =>
      edit("panels.edit.demote", (w) => unlinkInput(w, scope, fedBy, { node, port }));
    return [{ label: t("panels.inspector.demote"), icon: Unlink, run: demote }];
  }
  const find = {
    label: t("panels.inspector.findSource"),
    icon: Search,
    run: () => findSource(node, row),
  };
  const card = row.isShownAsPort
    ? { label: t("panels.inspector.offCard"), icon: EyeOff }
    : { label: t("panels.inspector.onCard"), icon: Eye };
  const place = { node, port };
  const showing = row.input.advanced
    ? [{ ...card, run: () => convert(place, !row.isShownAsPort) }]
    : [];
  if (scope === null) return [find, ...showing];
  const raise = () => promote(scope, node, port);
  return [find, ...showing, { label: t("panels.inspector.promote"), icon: LogIn, run: raise }];
}
