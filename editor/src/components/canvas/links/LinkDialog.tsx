/** Links without a pointer: choose a port of the card, then what it is linked to. */
import { ArrowLeft, Link2, MousePointer2, Plus, Trash2 } from "lucide-react";
import { type KeyboardEvent, useEffect, useRef, useState } from "react";
import { type CanvasEdge, NEW_PORT, type Scene } from "@/components/canvas/adapt";
import { canvas, screenCenter, visibleCenter } from "@/components/canvas/controller";
import { Dialog, IconButton, SearchField } from "@/components/ui";
import { t } from "@/i18n";
import { useDocuments } from "@/store/documents";
import { useUi } from "@/store/ui";
import { endsOf, startType } from "./connect";
import styles from "./LinkDialog.module.css";
import { type PortChoice, portChoices, targetChoices } from "./linkChoices";
import { useLinkDialog } from "./linkDialogState";
import { makeLink, removeLink } from "./useLinkDrawing";

interface LinkDialogProps {
  readonly scene: () => Scene;
  readonly edges: readonly CanvasEdge[];
}

export function LinkDialog(props: LinkDialogProps) {
  const node = useLinkDialog((state) => state.node);
  return node === null ? null : <Opened key={node} {...props} node={node} />;
}

interface Row {
  readonly key: string;
  readonly text: string;
  readonly detail: string;
  readonly icon: typeof Link2;
  readonly run: () => void;
}

function Opened({ scene, edges, node }: LinkDialogProps & { readonly node: string }) {
  const [port, setPort] = useState<PortChoice | null>(null);
  const [query, setQuery] = useState("");
  const list = useRef<HTMLUListElement>(null);
  const field = useRef<HTMLInputElement>(null);
  // What was chosen is gone from the list, and the focus with it.
  // biome-ignore lint/correctness/useExhaustiveDependencies: with each list anew
  useEffect(() => field.current?.focus(), [port]);
  const close = () => {
    useLinkDialog.setState({ node: null });
    canvas()?.focusNode(node);
  };
  const choose = (choice: PortChoice | null) => {
    setPort(choice);
    setQuery("");
  };
  const rows =
    port === null ? portRows(scene(), node, edges, choose) : targetRows(scene(), port, close);
  const words = query.toLowerCase().split(/\s+/);
  const found = rows.filter(({ text, detail }) => {
    const said = `${text} ${detail}`.toLowerCase();
    return words.every((word) => said.includes(word));
  });
  const title =
    port === null
      ? t("canvas.linking.choose")
      : t("canvas.linking.to", { port: port.label || t("canvas.block.new") });
  const keys = (event: KeyboardEvent) => moveFocus(event, list.current);
  return (
    <Dialog
      title={title}
      onClose={close}
      size="s"
      actions={
        port && (
          <IconButton
            icon={ArrowLeft}
            label={t("canvas.linking.back")}
            onClick={() => choose(null)}
          />
        )
      }
    >
      {/* biome-ignore lint/a11y/noStaticElementInteractions: arrows go from the field into the list */}
      <div onKeyDown={keys} className={styles.body}>
        <SearchField
          ref={field}
          autoFocus
          value={query}
          onChange={setQuery}
          label={t("canvas.linking.search")}
        />
        <ul ref={list} className={styles.list}>
          {found.map(({ key, text, detail, icon: Icon, run }) => (
            <li key={key}>
              <button type="button" className={styles.row} onClick={run}>
                <Icon size={14} aria-hidden />
                <span className={styles.text}>{text}</span>
                <span className={styles.detail}>{detail}</span>
              </button>
            </li>
          ))}
          {found.length === 0 && <li className={styles.none}>{t("canvas.linking.none")}</li>}
        </ul>
      </div>
    </Dialog>
  );
}

function portRows(
  scene: Scene,
  node: string,
  edges: readonly CanvasEdge[],
  choose: (port: PortChoice) => void,
): readonly Row[] {
  return portChoices(scene, node, edges).map((port) => {
    const { start, label, type } = port;
    const links = port.edges.length;
    const side = t(`canvas.linking.${start.side}`, { type });
    return {
      key: `${start.side}/${start.port}`,
      text: start.port === NEW_PORT ? t("canvas.block.new") : label,
      detail: links > 0 ? `${side} · ${t("canvas.linking.links", { count: links })}` : side,
      icon: start.port === NEW_PORT ? Plus : Link2,
      run: () => choose(port),
    };
  });
}

function targetRows(scene: Scene, port: PortChoice, close: () => void): readonly Row[] {
  const { start } = port;
  const own = port.edges.flatMap((edge) => linkRows(scene, start, edge, close));
  const targets = targetChoices(scene, start).map(
    (target): Row => ({
      key: `${target.node}.${target.port}`,
      text: target.port === NEW_PORT ? t("canvas.block.new") : `${target.title} · ${target.label}`,
      detail: target.node.includes("/") ? "" : target.node,
      icon: Link2,
      run: () => {
        makeLink(scene, endsOf(start, target));
        close();
      },
    }),
  );
  return [...own, addRow(scene, port, close), ...targets];
}

/** What can be done with a link that is there. */
function linkRows(
  scene: Scene,
  { side }: PortChoice["start"],
  edge: CanvasEdge,
  close: () => void,
): readonly Row[] {
  const other =
    side === "output"
      ? `${edge.target}.${edge.targetHandle}`
      : `${edge.source}.${edge.sourceHandle}`;
  const row = (name: string, icon: Row["icon"], act: () => void): Row => ({
    key: `${name}/${edge.id}`,
    text: t(`canvas.linking.${name}`, { other }),
    detail: "",
    icon,
    run: () => {
      act();
      close();
    },
  });
  return [
    row("remove", Trash2, () => removeLink(scene, edge)),
    row("select", MousePointer2, () => useDocuments.getState().select([edge.id])),
  ];
}

function addRow(scene: Scene, { start }: PortChoice, close: () => void): Row {
  return {
    key: "+new",
    text: t("canvas.linking.add"),
    detail: "",
    icon: Plus,
    run: () => {
      close();
      const loose = {
        type: startType(scene, start),
        side: start.side,
        from: { node: start.node, port: start.port },
      };
      useUi.getState().openAddNode({
        screen: screenCenter(),
        at: placeBeside(start.node, start.side),
        fits: loose,
      });
    },
  };
}

/** Right of what gives, left of what takes. */
function placeBeside(node: string, side: "input" | "output"): { x: number; y: number } {
  const found = canvas()
    ?.nodes()
    .find(({ id }) => id === node);
  if (!found) return visibleCenter();
  const width = found.measured?.width ?? found.width ?? 240;
  const x = side === "output" ? found.position.x + width + 80 : found.position.x - 340;
  return { x: Math.round(x), y: Math.round(found.position.y) };
}

function moveFocus(event: KeyboardEvent, list: HTMLUListElement | null): void {
  if (list === null) return;
  const buttons = [...list.querySelectorAll("button")];
  const index = buttons.indexOf(event.target as HTMLButtonElement);
  if (event.key === "Enter" && index < 0) {
    event.preventDefault();
    buttons[0]?.click();
  }
  const step = event.key === "ArrowDown" ? 1 : event.key === "ArrowUp" ? -1 : 0;
  if (step === 0) return;
  event.preventDefault();
  buttons[Math.min(buttons.length - 1, Math.max(0, index + step))]?.focus();
}
