/** What a control net takes of a layer: its preprocessor's picture, made by a small job. */
import { artifactAddress } from "@/api/files";
import { t } from "@/i18n";
import { withLookNode } from "@/model/lookNode";
import { useCatalogue } from "./catalogue";
import { mayRun, useConnection } from "./connection";
import { currentScope, currentWorkflow, documentById } from "./documents";
import { runPrefix } from "./entered";
import { mergedDetail } from "./jobs";
import { picturesSent } from "./outbox";
import { strokesDrawn } from "./strokes";
import { endOfJob, forgetLook, submitLook } from "./valueViews";

let asked = 0;
let last: string | null = null;

/**
 * The address of the picture that a preprocessor makes of its layer now. Null if it can't run, or
 * another picture is asked for meanwhile. Fails with the server's reason.
 */
export async function controlPicture(document: string, node: string): Promise<string | null> {
  const mine = ++asked;
  await strokesDrawn();
  const [found, { types }] = [documentById(document), useCatalogue.getState()];
  if (found === null || types === null || !mayRun(useConnection.getState())) return null;
  const workflow = currentWorkflow(found);
  const look = withLookNode(workflow, currentScope(found), types, node, null);
  if (look === null) return null;
  await picturesSent(look.workflow);
  if (mine !== asked) return null;
  const target = runPrefix(document, workflow, types, found.path) + look.name;
  const job = await submitLook(look.workflow, t("painting.preprocessed"), target);
  const ended = await endOfJob(job);
  const { outputs, error } = mergedDetail(undefined, ended);
  const picture = outputs.find(({ media_type }) => media_type.startsWith("image/"));
  // The page still loads the one before until this one is there.
  if (last !== null) forgetLook(last);
  last = job;
  if (mine !== asked) return null;
  if (error !== null) throw new Error(error.message);
  return picture ? artifactAddress(picture.digest) : null;
}
