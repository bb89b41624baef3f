import { ArrowDown, ArrowUp, Dices, Lock, type LucideIcon, Shuffle } from "lucide-react";
import type { KeyboardEvent } from "react";
import { cx, IconButton, MenuButton } from "@/components/ui";
import { t } from "@/i18n";
import { drawSeed } from "@/model/seeds";
import { defaultOf } from "@/model/spec";
import { checkValue } from "@/model/widgets";
import { stepsOf } from "./NumberWidget";
import styles from "./NumberWidget.module.css";
import { readNumber, showNumber, stepped } from "./numbers";
import type { SeedControl, SeedMode, WidgetProps } from "./types";
import { type TextReading, useDraft } from "./useDraft";
import { useMarks, WidgetFrame } from "./WidgetFrame";

const ICONS: Readonly<Record<SeedMode, LucideIcon>> = {
  fixed: Lock,
  random: Shuffle,
  increment: ArrowUp,
  decrement: ArrowDown,
};
const MODES = Object.keys(ICONS) as readonly SeedMode[];
/** More digits are shown smaller, so that all are seen. */
const LONG = 15;
const WHOLE = { integer: true, minimum: 0, maximum: 2 ** 64, step: 1 };

/** A seed of up to 64 bits, and what happens to it from run to run. */
export function SeedWidget(props: WidgetProps) {
  const { input, value, onChange, id, disabled = false, seed } = props;
  const usual = defaultOf(input);
  const draft = useDraft({
    id,
    shown: showNumber(value),
    read: (text) => readField(text, props),
    onChange,
  });
  const marks = useMarks(props, draft.fault);

  function pressed(event: KeyboardEvent) {
    if (event.key === "Escape" && draft.fault !== null) {
      event.preventDefault();
      event.stopPropagation();
      draft.reset();
    }
    const steps = stepsOf(event, true);
    if (steps === null) return;
    event.preventDefault();
    event.stopPropagation();
    draft.reset();
    onChange(stepped(value ?? usual, WHOLE, steps));
  }

  return (
    <WidgetFrame marks={marks} fault={draft.fault ?? props.problem} isTaken={draft.isTaken}>
      <div className={cx(styles.row, "nodrag")}>
        <input
          id={id}
          type="text"
          inputMode="numeric"
          autoComplete="off"
          spellCheck={false}
          {...marks.field}
          className={cx(styles.field, styles.seed)}
          data-long={draft.text.length > LONG || undefined}
          disabled={disabled}
          placeholder={showNumber(usual)}
          value={draft.text}
          onChange={(event) => draft.change(event.target.value)}
          onKeyDown={pressed}
          onBlur={draft.leave}
        />
        <IconButton
          icon={Dices}
          size="s"
          label={t("widgets.drawSeed")}
          disabled={disabled}
          onClick={() => {
            draft.reset();
            onChange(drawSeed(Math.random));
          }}
        />
        {seed && <ModeMenu {...seed} />}
      </div>
    </WidgetFrame>
  );
}

function ModeMenu({ mode, onMode }: SeedControl) {
  const items = MODES.map((other) => ({
    label: t(`widgets.seed.${other}`),
    icon: ICONS[other],
    checked: other === mode,
    run: () => onMode(other),
  }));
  return (
    <MenuButton
      items={[{ heading: t("widgets.seedAfter") }, ...items]}
      label={t("widgets.seedMode", { mode: t(`widgets.seed.${mode}`) })}
      size="s"
      icon={ICONS[mode]}
    />
  );
}

function readField(text: string, { input }: WidgetProps): TextReading {
  if (text.trim() === "") {
    return input.required ? { fault: t("widgets.missingNumber") } : { value: undefined };
  }
  const { value, fault } = readNumber(text, true);
  if (fault !== null) return { fault: t(`widgets.${fault}`) };
  const wrong = checkValue(input, value);
  return wrong === null ? { value } : { fault: wrong };
}
