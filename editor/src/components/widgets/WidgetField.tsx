import { Grid3x3, Link2, MoreHorizontal } from "lucide-react";
import { type MouseEvent, memo, useCallback, useId, useMemo, useRef, useState } from "react";
import { areLorasMeant, areWordsTaught, putInversion, putLora } from "@/commands/loras";
import { giveMasked, giveValue, isSwept } from "@/commands/parameters";
import { cx, Menu, tip } from "@/components/ui";
import { t } from "@/i18n";
import { setSeedMode } from "@/model/edits";
import { type Json, writeJson } from "@/model/json";
import { layoutOf } from "@/model/layout";
import { isLink, linkOf, linkText, literalJson, literalOf } from "@/model/links";
import type { EmbeddingSource, LoraSource } from "@/model/promptCompletion";
import { nodesOf, type Scope } from "@/model/scope";
import { seedModeOf } from "@/model/seeds";
import type { InputSpec } from "@/model/spec";
import { isOfModels, type Widget as Kind, widgetOf } from "@/model/widgets";
import { isUnread } from "@/model/workflow";
import { activeDocument, currentScope, useActive, useDocuments } from "@/store/documents";
import { useSweeps } from "@/store/sweeps";
import { useUi } from "@/store/ui";
import { fieldMenu } from "./fieldMenu";
import { inputLabel } from "./inputLabel";
import { WidgetServicesProvider } from "./services";
import { storeServices } from "./storeServices";
import type { SeedMode } from "./types";
import { useInputProblem } from "./useInputProblem";
import { Widget } from "./Widget";
import styles from "./WidgetField.module.css";

export interface WidgetFieldProps {
  /** Name of a node in the graph that is shown. */
  readonly node: string;
  readonly input: InputSpec;
  /** In a node's card, in a panel with more room, or bare: without its label and menu. */
  readonly place?: "card" | "panel" | "bare";
  readonly disabled?: boolean;
  /** What it is called there; left out: the input's name. */
  readonly title?: string | undefined;
}

/** Fields that are as high as those of dialogs; all others are lower. */
const HIGH: readonly (Kind["kind"] | undefined)[] = [
  "choice",
  "text",
  "file",
  "subgraph",
  "secret",
];

/** One input of a node: its label, its menu, and its widget, or where its link comes from. */
export const WidgetField = memo(function WidgetField(props: WidgetFieldProps) {
  const { node, place = "card", disabled = false } = props;
  const port = props.input.name;
  const own = useId();
  const written = useActive((_, w, scope) => nodesOf(w, scope).get(node)?.inputs.get(port));
  const unread = useActive((_, w, scope) => isUnread(nodesOf(w, scope).get(node), port));
  const input = useMemo(
    // No default stands for a value that couldn't be read of another program's file.
    () => (unread ? { ...props.input, required: true } : props.input),
    [props.input, unread],
  );
  const shown = useActive((_, w, scope) => layoutOf(w, scope).shown.get(node)?.has(port) === true);
  // Drafts are kept by id: the same field of another document isn't this one.
  const document = useActive((d) => d.id);
  const scope = useActive((_d, _w, shownScope) => shownScope);
  const problem = useInputProblem(node, port);
  const kind = useMemo(() => widgetOf(input), [input]);
  const field = `${document}/${scope ?? ""}/${node}.${port}`;
  const id = place === "card" ? field : `${own}${field}`;
  const change = useChange(document, scope, node, port);
  const label = props.title ?? inputLabel(input);
  const link = isLink(written) ? (linkOf(written) ?? { node: "?", port: "" }) : null;
  const isLone = place === "bare" || (link === null && isWide(kind));
  // On a card, fields have their labels within: beside the value, on a slider, or above a text.
  const within = place === "card" && link === null && !shown ? withinOf(kind) : null;
  const [anchor, setAnchor] = useState<Anchor>(null);
  const isHigh = link === null && within === null && HIGH.includes(kind?.kind);
  return (
    <WidgetServicesProvider value={storeServices}>
      {/* biome-ignore lint/a11y/noStaticElementInteractions: leaving a field ends an undo step */}
      <div
        className={cx(
          styles.field,
          place === "panel" && styles.panel,
          link === null && kind?.kind === "seed" && styles.seed,
          isLone && styles.wide,
          isHigh && styles.high,
          within !== null && styles[within],
        )}
        onBlur={change.pause}
        onPointerUp={change.pause}
        // The label on a slider lets the pointer through, so that it slides from there, too.
        onContextMenu={within === "onSlider" ? (event) => openMenu(event, setAnchor) : undefined}
        {...(within === "onSlider" ? tip(helpOf(input)) : {})}
      >
        {place !== "bare" && (
          <FieldLabel
            id={id}
            label={label}
            node={node}
            input={input}
            given={written !== undefined}
            anchor={anchor}
            onAnchor={setAnchor}
          />
        )}
        {link !== null && <LinkChip label={label} node={link.node} text={linkText(link)} />}
        {link === null && shown && place === "card" && <PortHint written={written} />}
        {link === null && !(shown && place === "card") && kind !== null && (
          <FieldWidget
            {...props}
            input={input}
            // What it is still about to give, such as an upload, is the other graph's.
            key={field}
            id={id}
            label={place === "bare" ? label : undefined}
            kind={kind}
            value={literalOf(written)}
            disabled={disabled}
            problem={problem}
            onChange={change.give}
            onPause={change.pause}
            onMasked={change.mask}
          />
        )}
        {link === null && kind === null && (
          <span className={styles.hint}>{t("widgets.linkOnly")}</span>
        )}
      </div>
    </WidgetServicesProvider>
  );
});

interface FieldWidgetProps extends WidgetFieldProps {
  readonly id: string;
  readonly label: string | undefined;
  readonly kind: Kind;
  readonly value: Json | undefined;
  readonly problem: string | null;
  readonly disabled: boolean;
  readonly onChange: (value: Json | undefined) => void;
  readonly onPause: () => void;
  readonly onMasked: (value: string) => void;
}

function FieldWidget({ kind, node, ...props }: FieldWidgetProps) {
  if (kind.kind === "seed") return <SeedField {...props} node={node} kind={kind} />;
  if (kind.kind === "text" && kind.prompt) return <PromptField {...props} node={node} />;
  return <Widget {...props} />;
}

function PromptField({ node, ...props }: Omit<FieldWidgetProps, "kind">) {
  const [port, isOnCard] = [props.input.name, props.place !== "panel"];
  const loras = useMemo(
    () => ({
      areMeant: () => areLorasMeant(node),
      put: (lora: LoraSource, text: string) => putLora({ node, port }, lora, text, isOnCard),
      areWordsTaught: () => areWordsTaught(node),
      teach: (embedding: EmbeddingSource, text: string) =>
        putInversion({ node, port }, embedding, text, isOnCard),
      undo: () => useDocuments.getState().undo(),
    }),
    [node, port, isOnCard],
  );
  return <Widget {...props} loras={loras} />;
}

function SeedField({ node, kind: _, ...props }: FieldWidgetProps) {
  const target = `${node}.${props.input.name}`;
  const mode = useActive((_d, w, scope) => seedModeOf(w, scope, target));
  const onMode = (next: SeedMode) => {
    const scope = currentScope(activeDocument());
    useDocuments
      .getState()
      .change("widgets.seedModeChanged", (w) =>
        setSeedMode(w, scope, node, props.input.name, next === "fixed" ? null : next),
      );
  };
  return <Widget {...props} seed={{ mode, onMode }} />;
}

/** Gives values; those of one go, until the field is left, are one step to undo. */
function useChange(document: string, scope: Scope, node: string, port: string) {
  const go = useRef(0);
  const place = useMemo(() => ({ document, scope, node, port }), [document, scope, node, port]);
  const give = useCallback(
    (value: Json | undefined) => {
      const json = value === undefined ? undefined : literalJson(value);
      giveValue(place, json, `input:${place.node}.${place.port}#${go.current}`);
    },
    [place],
  );
  const mask = useCallback((value: string) => giveMasked(place, value), [place]);
  const pause = useCallback(() => {
    go.current += 1;
  }, []);
  return { give, mask, pause };
}

/** The help of a field, with its name and type. */
function helpOf(input: InputSpec): string {
  return [input.help, `${input.name}: ${input.type}`].filter(Boolean).join("\n");
}

interface LabelProps {
  readonly id: string;
  readonly label: string;
  readonly node: string;
  readonly input: InputSpec;
  readonly given: boolean;
  readonly anchor: Anchor;
  readonly onAnchor: (anchor: Anchor) => void;
}

/** Where the menu of a field is open; null where it isn't. */
type Anchor = Element | { readonly x: number; readonly y: number } | null;

/** Open the menu of a field where it was right-clicked, but in a text, which has the browser's. */
function openMenu(event: MouseEvent, open: (anchor: Anchor) => void): void {
  if (event.target instanceof HTMLInputElement && event.target.type !== "range") return;
  event.preventDefault();
  event.stopPropagation();
  open({ x: event.clientX, y: event.clientY });
}

function FieldLabel({ id, label, node, input, given, anchor, onAnchor }: LabelProps) {
  const isMarked = useSweeps(() => isSwept({ node, port: input.name }));
  return (
    // biome-ignore lint/a11y/noStaticElementInteractions: the button beside it opens the same menu
    <div className={styles.head} onContextMenu={(event) => openMenu(event, onAnchor)}>
      <label
        htmlFor={id}
        className={cx(styles.label, given && styles.given)}
        {...tip(helpOf(input))}
      >
        {label}
        {input.required && <span aria-hidden> *</span>}
      </label>
      {isMarked && (
        <Grid3x3 size={12} className={styles.swept} aria-label={t("parameters.sweep")} />
      )}
      <button
        type="button"
        className={cx(styles.more, "nodrag")}
        aria-label={t("widgets.menu", { name: label })}
        aria-haspopup="menu"
        aria-expanded={anchor !== null}
        onClick={(event) => onAnchor(anchor === null ? event.currentTarget : null)}
      >
        <MoreHorizontal aria-hidden size={13} />
      </button>
      {anchor !== null && (
        <Menu
          items={fieldMenu({ node, port: input.name }, input)}
          anchor={anchor}
          onClose={() => onAnchor(null)}
          label={t("widgets.menu", { name: label })}
        />
      )}
    </div>
  );
}

function LinkChip({ label, node, text }: { label: string; node: string; text: string }) {
  return (
    <button
      type="button"
      className={cx(styles.link, "nodrag")}
      aria-label={t("widgets.linkedTo", { name: label, from: text })}
      onClick={() => {
        const { id, path } = activeDocument();
        useUi.getState().requestFocus({ document: id, path, node, port: null });
      }}
    >
      <Link2 aria-hidden size={12} />
      <span>{t("widgets.linked", { from: text })}</span>
    </button>
  );
}

/** An input that was made a port and has no link yet: what counts until then. */
function PortHint({ written }: { readonly written: Json | undefined }) {
  const value = literalOf(written);
  const text = value === undefined ? t("widgets.asPort") : writeJson(value).trim();
  return <span className={styles.hint}>{text}</span>;
}

/** How a field on a card has its label within; null where it stands beside or above. */
function withinOf(kind: Kind | null): "onSlider" | "beside" | "above" | null {
  switch (kind?.kind) {
    case "number":
      return kind.slider ? "onSlider" : "beside";
    case "choice":
    case "toggle":
      return "beside";
    case "text":
      return kind.multiline ? "above" : "beside";
    case "json":
      return "above";
    case "file":
      return isOfModels(kind.file) ? "beside" : null;
    default:
      return null;
  }
}

/** Whether a widget needs a line of its own beneath its label. */
function isWide(kind: Kind | null): boolean {
  if (kind === null) return false;
  if (kind.kind === "text") return kind.multiline;
  if (kind.kind === "pack") return true;
  return kind.kind === "json" || (kind.kind === "file" && !isOfModels(kind.file));
}
