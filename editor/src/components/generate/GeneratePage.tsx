import { type DragEvent, useEffect } from "react";
import { storeServices, WidgetServicesProvider } from "@/components/widgets";
import { pictureIn } from "@/components/widgets/useUpload";
import { t } from "@/i18n";
import { generateWorkflow, loadStyles } from "@/store/generate";
import { promptSources } from "@/store/promptSources";
import { loadTagLists } from "@/store/tagList";
import { isParameters, offerParameters, takeFile } from "./actions";
import { GenerateBar } from "./GenerateBar";
import styles from "./GeneratePage.module.css";
import { ImageSettings } from "./ImageSettings";
import { ModelSettings } from "./ModelSettings";
import { PageHead } from "./PageHead";
import { PromptSettings } from "./PromptSettings";
import { Results } from "./Results";
import { StartSettings } from "./StartSettings";

/** The editor's world, with prompts that are completed for the page's own model. */
const services = {
  ...storeServices,
  completions: () => promptSources(generateWorkflow() ?? undefined),
};

/** Images from words, without a graph: what is chosen at the left, what comes of it beside. */
export default function GeneratePage() {
  useEffect(() => {
    document.addEventListener("paste", paste);
    void loadStyles();
    void loadTagLists().catch(() => undefined);
    return () => document.removeEventListener("paste", paste);
  }, []);
  return (
    <WidgetServicesProvider value={services}>
      {/* biome-ignore lint/a11y/noStaticElementInteractions: an image may be dropped anywhere; the field has buttons for it */}
      <div className={styles.page} onDragOver={over} onDrop={drop}>
        <section data-settings className={styles.side} aria-label={t("generate.settings")}>
          <div className={styles.fields}>
            <PageHead />
            <PromptSettings />
            <ModelSettings />
            <ImageSettings />
            <StartSettings />
          </div>
          <GenerateBar />
        </section>
        <Results />
      </div>
    </WidgetServicesProvider>
  );
}

/** An image that is pasted anywhere is taken; texts go where they are typed, and may have settings. */
function paste(event: ClipboardEvent): void {
  if (event.defaultPrevented || document.querySelector("[data-modal]") !== null) return;
  const text = event.clipboardData?.getData("text/plain") ?? "";
  if (isParameters(text)) {
    offerParameters(text);
    return;
  }
  const file = pictureIn(event.clipboardData, "image");
  if (file === null) return;
  event.preventDefault();
  void takeFile(file);
}

function over(event: DragEvent): void {
  if (event.dataTransfer.types.includes("Files")) event.preventDefault();
}

function drop(event: DragEvent): void {
  if (event.defaultPrevented) return;
  const [file] = event.dataTransfer.files;
  if (file === undefined) return;
  event.preventDefault();
  void takeFile(file);
}
