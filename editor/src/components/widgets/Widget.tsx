import { useMemo } from "react";
import { isOfModels, widgetOf } from "@/model/widgets";
import { ChoiceWidget } from "./ChoiceWidget";
import { ColorWidget } from "./ColorWidget";
import { FileWidget } from "./FileWidget";
import { JsonWidget } from "./JsonWidget";
import { ModelWidget } from "./ModelWidget";
import { NumberWidget } from "./NumberWidget";
import { PackWidget } from "./PackWidget";
import { SecretWidget } from "./SecretWidget";
import { SeedWidget } from "./SeedWidget";
import { SubgraphWidget } from "./SubgraphWidget";
import { TextWidget } from "./TextWidget";
import { ToggleWidget } from "./ToggleWidget";
import type { WidgetProps } from "./types";

/** The control for an input's literal; nothing for inputs that can only be linked. */
export function Widget(props: WidgetProps) {
  const widget = useMemo(() => widgetOf(props.input), [props.input]);
  switch (widget?.kind) {
    case "number":
      return <NumberWidget {...props} widget={widget} />;
    case "choice":
      return <ChoiceWidget {...props} options={widget.options} />;
    case "text":
      return <TextWidget {...props} multiline={widget.multiline} prompt={widget.prompt} />;
    case "seed":
      return <SeedWidget {...props} />;
    case "toggle":
      return <ToggleWidget {...props} />;
    case "color":
      return <ColorWidget {...props} />;
    case "file":
      return isOfModels(widget.file) ? (
        <ModelWidget {...props} kind={widget.file} />
      ) : (
        <FileWidget {...props} file={widget.file} />
      );
    case "secret":
      return <SecretWidget {...props} />;
    case "subgraph":
      return <SubgraphWidget {...props} />;
    case "pack":
      return (
        <PackWidget
          {...props}
          name={widget.name}
          href={widget.href}
          plain={<PlainWidget {...props} />}
        />
      );
    case "json":
      return <JsonWidget {...props} />;
    case undefined:
      return null;
  }
}

/** The control that the input's type has, whatever a pack brings for it. */
function PlainWidget(props: WidgetProps) {
  const input = useMemo(() => ({ ...props.input, widget: "" }), [props.input]);
  return widgetOf(input) === null ? <JsonWidget {...props} /> : <Widget {...props} input={input} />;
}
