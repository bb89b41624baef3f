import {
  Copy,
  FormInput,
  Grid3x3,
  ListMinus,
  ListPlus,
  Plug,
  RotateCcw,
  Square,
} from "lucide-react";
import {
  convert,
  expose,
  giveValue,
  isSwept,
  type Place,
  stateOf,
  sweep,
  unexpose,
} from "@/commands/parameters";
import { canSweep } from "@/components/sweeps/places";
import type { MenuEntry } from "@/components/ui";
import { t } from "@/i18n";
import type { InputSpec } from "@/model/spec";
import { widgetOf } from "@/model/widgets";

/** What can be done with one input of a node. */
export function fieldMenu(place: Place, input: InputSpec): readonly MenuEntry[] {
  const { written, linked, shown, parameters, inBlock } = stateOf(place);
  const hasWidget = widgetOf(input) !== null;
  const name = `${place.node}.${place.port}`;
  const asPort = shown || linked;
  const converting = asPort
    ? { label: t("parameters.toField"), icon: FormInput, run: () => convert(place, false) }
    : { label: t("parameters.toPort"), icon: Plug, run: () => convert(place, true) };
  const exposing =
    parameters.length > 0
      ? { label: t("parameters.unexpose"), icon: ListMinus, run: () => unexpose(place) }
      : {
          label: t("parameters.expose"),
          icon: ListPlus,
          disabled: inBlock || linked || !hasWidget,
          run: () => expose(place),
        };
  return [
    {
      label: t("parameters.reset"),
      icon: RotateCcw,
      disabled: written === undefined || linked || input.required,
      run: () => giveValue(place, undefined),
    },
    ...(input.nullable && hasWidget
      ? [
          {
            label: t("parameters.noValue"),
            icon: Square,
            disabled: written === null || linked,
            run: () => giveValue(place, null),
          },
        ]
      : []),
    ...(hasWidget ? [converting] : []),
    exposing,
    ...(hasWidget && canSweep(input)
      ? [
          {
            label: t("parameters.sweep"),
            icon: Grid3x3,
            checked: isSwept(place),
            disabled: inBlock || linked,
            run: () => sweep(place),
          },
        ]
      : []),
    "separator",
    {
      label: t("parameters.copyName", { name }),
      icon: Copy,
      run: () => void navigator.clipboard?.writeText(name).catch(() => undefined),
    },
  ];
}
