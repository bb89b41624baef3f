/** A widget that a pack brings, in a frame of its own; the plain field where it can't be used. */
import { type ReactNode, useCallback, useMemo, useRef, useState } from "react";
import { PackFrame } from "@/components/frames/PackFrame";
import type { FrameEnd } from "@/components/frames/session";
import { t } from "@/i18n";
import { toldOf } from "@/model/frames";
import { type Json, sameJson, toPlain } from "@/model/json";
import { PACK_WIDGET_HEIGHT } from "@/model/sizes";
import { defaultOf } from "@/model/spec";
import { inputLabel } from "./inputLabel";
import styles from "./PackWidget.module.css";
import type { WidgetProps } from "./types";
import { useMarks, WidgetFrame } from "./WidgetFrame";

interface Props extends WidgetProps {
  readonly name: string;
  /** Null where the pack's file isn't there, or can't be used. */
  readonly href: string | null;
  /** The field that the input's type has anyway. */
  readonly plain: ReactNode;
}

interface Ended {
  readonly href: string;
  readonly why: FrameEnd;
  readonly message: string;
}

export function PackWidget(props: Props) {
  const { name, href, plain } = props;
  const [ended, setEnded] = useState<Ended | null>(null);
  const [tries, setTries] = useState(0);
  const [isPlain, setPlain] = useState(false);
  const again = () => {
    setEnded(null);
    setTries(tries + 1);
  };
  // An edit of the pack's file is another address: a new try.
  const isOver = ended !== null && ended.href === href;
  if (href === null || isOver) {
    const why = isOver && ended !== null ? ended : null;
    return (
      <>
        {plain}
        <p className={styles.notice} role="status">
          {why === null
            ? t("widgets.pack.missing", { name })
            : t(`widgets.pack.${why.why}`, { name, message: why.message })}
          {why !== null && <Action label={t("widgets.pack.again")} onClick={again} />}
        </p>
      </>
    );
  }
  return (
    <>
      {isPlain ? (
        plain
      ) : (
        <Framed
          key={`${href}#${tries}`}
          {...props}
          href={href}
          onEnd={(why, message) => setEnded({ href, why, message })}
        />
      )}
      <div className={styles.switch}>
        <Action
          label={t(isPlain ? "widgets.pack.asWidget" : "widgets.pack.asText")}
          onClick={() => setPlain(!isPlain)}
        />
      </div>
    </>
  );
}

function Action({ label, onClick }: { readonly label: string; readonly onClick: () => void }) {
  return (
    <button type="button" className={`${styles.action} nodrag`} onClick={onClick}>
      {label}
    </button>
  );
}

interface FramedProps extends Props {
  readonly href: string;
  readonly onEnd: (why: FrameEnd, message: string) => void;
}

function Framed(props: FramedProps) {
  const { input, value, onChange, onPause, label, id, name } = props;
  const [height, setHeight] = useState(PACK_WIDGET_HEIGHT);
  const [fault, setFault] = useState<string | null>(null);
  const marks = useMarks(props, fault);
  const given = useShown(value === undefined ? (defaultOf(input) ?? null) : value);
  const spec = useMemo(() => toldOf(input), [input]);
  const change = useCallback(
    (next: Json, final: boolean) => {
      given.fromFrame(next);
      setFault(null);
      onChange(next);
      if (final) onPause?.();
    },
    [given.fromFrame, onChange, onPause],
  );
  return (
    <WidgetFrame marks={marks} fault={fault ?? props.problem}>
      <PackFrame
        type="widget"
        id={id}
        href={props.href}
        label={label ?? inputLabel(input)}
        describedBy={marks.field["aria-describedby"]}
        value={given.plain}
        spec={spec}
        disabled={props.disabled}
        height={height}
        onHeight={setHeight}
        onChange={change}
        onFault={(message) => setFault(t("widgets.pack.fault", { name, message }))}
        onEnd={props.onEnd}
      />
    </WidgetFrame>
  );
}

/** The value as the frame is told it: what it said itself is no news to it. */
function useShown(value: Json): {
  readonly plain: unknown;
  readonly fromFrame: (value: Json) => void;
} {
  const shown = useRef<{ json: Json; plain: unknown }>(null);
  const fromFrame = useCallback((json: Json) => {
    if (shown.current !== null) shown.current.json = json;
  }, []);
  if (shown.current === null || !sameJson(shown.current.json, value)) {
    shown.current = { json: value, plain: toPlain(value) };
  }
  return { plain: shown.current.plain, fromFrame };
}
