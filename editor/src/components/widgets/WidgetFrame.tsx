import { CircleAlert } from "lucide-react";
import type { ReactNode } from "react";
import { tip } from "@/components/ui";
import { t } from "@/i18n";
import type { Marks, WidgetProps } from "./types";
import styles from "./WidgetFrame.module.css";

export interface WidgetMarks {
  readonly faultId: string;
  /** For the element that is edited. */
  readonly field: Marks;
}

/** How a field says that something is wrong, and with which words. */
export function useMarks(
  { id, label, problem }: WidgetProps,
  fault: string | null = null,
): WidgetMarks {
  const faultId = `${id}-fault`;
  const wrong = fault !== null || (problem ?? null) !== null;
  return {
    faultId,
    field: {
      ...(wrong ? { "aria-invalid": true, "aria-describedby": faultId } : {}),
      ...(label === undefined ? {} : { "aria-label": label }),
    },
  };
}

interface Props {
  readonly marks: WidgetMarks;
  readonly fault: string | null | undefined;
  /** The value is another one than was typed, as somebody else changed it. */
  readonly isTaken?: boolean;
  readonly children: ReactNode;
}

/** A widget with what is wrong with it beneath. */
export function WidgetFrame({ marks, fault, isTaken = false, children }: Props) {
  return (
    <div className={styles.frame}>
      {children}
      {isTaken && (
        <div role="status" className={styles.taken}>
          {t("together.valueTaken")}
        </div>
      )}
      {/* Always there, so that a screen reader hears what comes into it. */}
      <div id={marks.faultId} className={styles.fault} aria-live="polite">
        {fault && (
          <>
            <CircleAlert aria-hidden size={12} />
            <span {...tip(fault)}>{fault}</span>
          </>
        )}
      </div>
    </div>
  );
}
