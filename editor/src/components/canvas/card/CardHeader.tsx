/** A card's head: name, what it is, and what it does or will do. */
import {
  Ban,
  Check,
  ChevronDown,
  ChevronRight,
  CircleAlert,
  CircleDashed,
  Clock,
  CornerDownRight,
  Database,
  GitBranch,
  Layers,
  LoaderCircle,
  type LucideIcon,
  MemoryStick,
  Repeat,
  RotateCw,
  SkipForward,
} from "lucide-react";
import { type MouseEvent, useState } from "react";
import { edit } from "@/components/canvas/edit";
import { enterBlock } from "@/components/canvas/enter";
import { IconButton, tip } from "@/components/ui";
import { reasonText, shortageText } from "@/hooks/useNodePlan";
import { t } from "@/i18n";
import { duration } from "@/i18n/format";
import { setCollapsed, setLabel } from "@/model/edits";
import type { NodePlan } from "@/store/plan";
import styles from "./CardHeader.module.css";
import type { CardModel } from "./card";
import { InlineField } from "./InlineText";
import type { CardState } from "./live";

interface HeaderProps {
  readonly card: CardModel;
  readonly state: CardState;
  readonly plan: NodePlan | null;
  readonly collapsed: boolean;
  readonly far: boolean;
}

export function CardHeader({ card, state, plan, collapsed, far }: HeaderProps) {
  const { entry, name } = card;
  const toggle = () => {
    const label = collapsed ? "canvas.edit.expand" : "canvas.edit.collapse";
    edit(label, (workflow, scope) => setCollapsed(workflow, scope, [name], !collapsed));
  };
  if (far) return <header className={styles.header} />;
  return (
    <header className={styles.header}>
      <button
        type="button"
        className={`${styles.fold} nodrag`}
        onClick={toggle}
        tabIndex={-1}
        aria-expanded={!collapsed}
        aria-label={t(collapsed ? "canvas.card.expand" : "canvas.card.collapse", {
          name: card.title,
        })}
      >
        {collapsed ? <ChevronRight size={14} aria-hidden /> : <ChevronDown size={14} aria-hidden />}
      </button>
      <Title card={card} />
      <span className={styles.subtitle}>
        <span>{card.subtitle}</span>
      </span>
      {entry.always && <Mark icon={Repeat} text={t("canvas.card.always")} />}
      {entry.note !== "" && (
        <span className={styles.note} {...tip(entry.note)} role="img" aria-label={entry.note} />
      )}
      {card.block !== null && (
        <IconButton
          icon={Layers}
          label={t("canvas.card.enter", { block: card.block })}
          size="s"
          onClick={() => enterBlock(name)}
        />
      )}
      {entry.mode === null && <RoomBadge state={state} plan={plan} />}
      <StateBadge state={state} plan={plan} mode={entry.mode} />
    </header>
  );
}

/** A double click writes a label into it. */
function Title({ card }: { readonly card: CardModel }) {
  const [isEdited, setEdited] = useState(false);
  if (!isEdited) {
    const begin = (event: MouseEvent) => {
      event.stopPropagation();
      setEdited(true);
    };
    return (
      // biome-ignore lint/a11y/noStaticElementInteractions: by keys the label is written in the inspector
      <span className={styles.title} title={card.title} onDoubleClick={begin}>
        {card.title}
      </span>
    );
  }
  const usual = card.entry.label === "" ? card.title : card.subtitle;
  const commit = (text: string) => {
    const label = text.trim() === usual ? "" : text.trim();
    edit("panels.edit.label", (workflow, scope) => setLabel(workflow, scope, card.name, label));
  };
  return (
    <InlineField
      text={card.title}
      label={t("panels.inspector.label")}
      className={styles.titleField}
      onCommit={commit}
      onEnd={() => setEdited(false)}
    />
  );
}

function Mark({ icon: Icon, text }: { readonly icon: LucideIcon; readonly text: string }) {
  return (
    <span className={styles.mark} role="img" aria-label={text} {...tip(text)}>
      <Icon size={13} aria-hidden />
    </span>
  );
}

const ICONS: Readonly<Record<CardState, LucideIcon | null>> = {
  none: null,
  waiting: Clock,
  running: LoaderCircle,
  cached: Database,
  done: Check,
  failed: CircleAlert,
  skipped: SkipForward,
  stale: RotateCw,
  planned: CircleDashed,
  lazy: GitBranch,
};

interface RoomProps {
  readonly state: CardState;
  readonly plan: NodePlan | null;
}

/** That it will run short of memory; nothing as long as it has room, runs, or has run. */
function RoomBadge({ state, plan }: RoomProps) {
  const shortage = plan?.shortage ?? null;
  if (shortage === null || !(isExpected(state) || state === "lazy")) return null;
  return (
    <Badge
      icon={MemoryStick}
      kind={shortage.fit}
      text={shortageText(shortage)}
      short={t(`canvas.room.${shortage.fit}`)}
    />
  );
}

function isExpected(state: CardState): boolean {
  return state === "planned" || state === "stale";
}

interface BadgeProps extends RoomProps {
  readonly mode: CardModel["entry"]["mode"];
}

function StateBadge({ state, plan, mode }: BadgeProps) {
  if (mode !== null) {
    return (
      <Badge
        icon={mode === "mute" ? Ban : CornerDownRight}
        kind={mode}
        text={t(`canvas.mode.${mode}`)}
        short={t(`canvas.mode.${mode}.short`)}
      />
    );
  }
  const icon = ICONS[state];
  if (icon === null) return null;
  const expected =
    isExpected(state) && plan !== null && plan.seconds !== null ? duration(plan.seconds) : "";
  const reason = plan?.reason && isExpected(state) ? `\n${reasonText(plan.reason)}` : "";
  const text =
    t(`canvas.state.${state}`) +
    (expected ? ` ${t("canvas.state.expected", { time: expected })}` : "") +
    reason;
  const short = expected && plan?.certain === false ? `≈ ${expected}` : expected;
  return <Badge icon={icon} kind={state} text={text} short={short} />;
}

interface Shown {
  readonly icon: LucideIcon;
  readonly kind: string;
  readonly text: string;
  readonly short: string;
}

function Badge({ icon: Icon, kind, text, short }: Shown) {
  return (
    <span className={styles.badge} data-kind={kind} role="img" aria-label={text} {...tip(text)}>
      <Icon size={13} aria-hidden />
      {short !== "" && <span className={styles.time}>{short}</span>}
    </span>
  );
}
