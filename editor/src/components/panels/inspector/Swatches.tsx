/** A colour for a node, a group or a note: some that go together, one's own, or none. */
import { Ban, Check } from "lucide-react";
import { t } from "@/i18n";
import styles from "./Inspector.module.css";

/** Muted enough to stand behind text in every theme. */
export const COLORS = [
  "#b4534b",
  "#b8763a",
  "#a3913c",
  "#4f8a55",
  "#3f8a86",
  "#4573b5",
  "#7660b3",
  "#a8558c",
] as const;

interface Props {
  readonly value: string;
  readonly onChange: (color: string) => void;
  readonly label: string;
}

export function Swatches({ value, onChange, label }: Props) {
  const own = value !== "" && !COLORS.some((color) => color === value);
  return (
    <fieldset className={styles.swatches} aria-label={label}>
      <button
        type="button"
        aria-pressed={value === ""}
        aria-label={t("panels.inspector.noColor")}
        onClick={() => onChange("")}
      >
        <Ban aria-hidden size={14} />
      </button>
      {COLORS.map((color, index) => (
        <button
          key={color}
          type="button"
          aria-pressed={value === color}
          aria-label={t("panels.inspector.color", { number: index + 1 })}
          style={{ background: color }}
          onClick={() => onChange(color)}
        >
          {value === color && <Check aria-hidden size={12} />}
        </button>
      ))}
      <input
        type="color"
        aria-label={t("panels.inspector.ownColor")}
        value={own ? value : "#808080"}
        onChange={(event) => onChange(event.target.value)}
      />
    </fieldset>
  );
}
