import { t } from "@/i18n";
import { ChoiceRow, NumberRow, Section, ToggleRow } from "./rows";

export function CanvasSettings() {
  return (
    <>
      <Section title={t("settings.links")}>
        <ChoiceRow name="linkStyle" choices={["curve", "straight", "step"]} />
      </Section>
      <Section title={t("settings.gridTitle")}>
        <ChoiceRow name="grid" choices={["dots", "lines", "none"]} />
        <NumberRow name="gridSize" min={5} max={100} suffix="px" />
        <ToggleRow name="snap" help />
        <ToggleRow name="minimap" />
      </Section>
      <Section title={t("settings.moving")}>
        <ChoiceRow name="wheel" help choices={["zoom", "pan"]} />
        <ToggleRow name="dragSelects" help />
      </Section>
    </>
  );
}
