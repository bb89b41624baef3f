// Made by scripts/schema.mjs from the server's /openapi.json; don't edit.

/** What may be asked for, by path and method. */
export interface paths {
  "/api/v1/jobs": {
    /** Submit a job */
    post: {
      parameters: {
        query?: never;
        header?: { "idempotency-key"?: string | null; };
        path?: never;
      };
      requestBody: { content: { "application/json": JobWish } };
      responses: {
        200: { content: { "application/json": JobEntry } };
        202: { content: { "application/json": JobEntry } };
      };
    };
    /** List jobs */
    get: {
      parameters: {
        query?: {
          order?: "newest" | "oldest";
          limit?: number;
          cursor?: string | null;
          state?: ("queued" | "running" | "finished" | "failed" | "cancelled")[] | null;
          tag?: string | null;
          text?: string | null;
          client?: string | null;
          created_after?: number | null;
          created_before?: number | null;
        };
        header?: never;
        path?: never;
      };
      requestBody?: never;
      responses: { 200: { content: { "application/json": JobList } }; };
    };
    /** Delete jobs */
    delete: {
      parameters: {
        query?: {
          state?: ("queued" | "running" | "finished" | "failed" | "cancelled")[] | null;
          tag?: string | null;
          text?: string | null;
          client?: string | null;
          created_after?: number | null;
          created_before?: number | null;
        };
        header?: never;
        path?: never;
      };
      requestBody?: never;
      responses: { 200: { content: { "application/json": Deleted } }; };
    };
  };
  "/api/v1/jobs/rows": {
    /** Submit a job per row of a table */
    post: {
      parameters: {
        query?: never;
        header?: { "idempotency-key"?: string | null; };
        path?: never;
      };
      requestBody: { content: { "application/json": RowsWish } };
      responses: { 202: { content: { "application/json": JobGroup } }; };
    };
  };
  "/api/v1/jobs/{id}": {
    /** Get a job */
    get: {
      parameters: { query?: never; header?: never; path: { id: string; }; };
      requestBody?: never;
      responses: { 200: { content: { "application/json": JobDetail } }; };
    };
    /** Change a job's priority */
    patch: {
      parameters: { query?: never; header?: never; path: { id: string; }; };
      requestBody: { content: { "application/json": Change } };
      responses: { 200: { content: { "application/json": JobEntry } }; };
    };
    /** Delete a job */
    delete: {
      parameters: { query?: never; header?: never; path: { id: string; }; };
      requestBody?: never;
      responses: { 204: { content?: never }; };
    };
  };
  "/api/v1/jobs/{id}/workflow": {
    /** Get a job's workflow */
    get: {
      parameters: {
        query?: { parameters?: "true" | "false"; };
        header?: never;
        path: { id: string; };
      };
      requestBody?: never;
      responses: { 200: { content: { "application/json": unknown } }; };
    };
  };
  "/api/v1/jobs/{id}/cancel": {
    /** Cancel a job */
    post: {
      parameters: { query?: never; header?: never; path: { id: string; }; };
      requestBody?: never;
      responses: { 200: { content: { "application/json": JobEntry } }; };
    };
  };
  "/api/v1/jobs/{id}/retry": {
    /** Queue a job again */
    post: {
      parameters: { query?: never; header?: never; path: { id: string; }; };
      requestBody?: never;
      responses: { 200: { content: { "application/json": JobEntry } }; };
    };
  };
  "/api/v1/jobs/{id}/hold": {
    /** Pause a job */
    post: {
      parameters: { query?: never; header?: never; path: { id: string; }; };
      requestBody?: never;
      responses: { 200: { content: { "application/json": JobEntry } }; };
    };
  };
  "/api/v1/jobs/{id}/unhold": {
    /** Release a job */
    post: {
      parameters: { query?: never; header?: never; path: { id: string; }; };
      requestBody?: never;
      responses: { 200: { content: { "application/json": JobEntry } }; };
    };
  };
  "/api/v1/jobs/{id}/move": {
    /** Move a job in the queue */
    post: {
      parameters: { query?: never; header?: never; path: { id: string; }; };
      requestBody: { content: { "application/json": MoveToEnd | MoveBefore } };
      responses: { 200: { content: { "application/json": JobEntry } }; };
    };
  };
  "/api/v1/queue": {
    /** Get the state of the queue */
    get: {
      parameters: { query?: { limit?: number; }; header?: never; path?: never; };
      requestBody?: never;
      responses: { 200: { content: { "application/json": QueueEntry } }; };
    };
  };
  "/api/v1/queue/pause": {
    /** Pause the queue */
    post: {
      parameters: { query?: never; header?: never; path?: never; };
      requestBody?: never;
      responses: { 200: { content: { "application/json": QueueEntry } }; };
    };
  };
  "/api/v1/queue/resume": {
    /** Resume the queue */
    post: {
      parameters: { query?: never; header?: never; path?: never; };
      requestBody?: never;
      responses: { 200: { content: { "application/json": QueueEntry } }; };
    };
  };
  "/api/v1/queue/clear": {
    /** Cancel the waiting jobs */
    post: {
      parameters: {
        query?: { client?: string | null; tag?: string | null; };
        header?: never;
        path?: never;
      };
      requestBody?: never;
      responses: { 200: { content: { "application/json": Cleared } }; };
    };
  };
  "/api/v1/events": {
    /** Follow jobs */
    get: {
      parameters: {
        query?: { after?: number | null; limit?: number; live?: boolean; previews?: boolean; };
        header?: { "last-event-id"?: string | null; };
        path?: never;
      };
      requestBody?: never;
      responses: {
        200: { content: { "text/event-stream": string; "application/json": EventList } };
      };
    };
  };
  "/api/v1/jobs/{id}/events": {
    /** Follow a job */
    get: {
      parameters: {
        query?: { after?: number | null; limit?: number; live?: boolean; previews?: boolean; };
        header?: { "last-event-id"?: string | null; };
        path: { id: string; };
      };
      requestBody?: never;
      responses: {
        200: { content: { "text/event-stream": string; "application/json": EventList } };
        204: { content?: never };
      };
    };
  };
  "/api/v1/import": {
    /** Import a workflow or an image's settings from another tool */
    post: {
      parameters: { query?: never; header?: never; path?: never; };
      requestBody: { content: { "application/json": ImportWish } };
      responses: { 200: { content: { "application/json": Translated } }; };
    };
  };
  "/api/v1/script": {
    /** Write a workflow as a Python script */
    post: {
      parameters: { query?: never; header?: never; path?: never; };
      requestBody: { content: { "application/json": ScriptWish } };
      responses: { 200: { content: { "application/json": PythonScript } }; };
    };
  };
  "/api/v1/validate": {
    /** Check a workflow */
    post: {
      parameters: { query?: never; header?: never; path?: never; };
      requestBody: { content: { "application/json": WorkflowWish } };
      responses: { 200: { content: { "application/json": Checked } }; };
    };
  };
  "/api/v1/plan": {
    /** Plan a workflow */
    post: {
      parameters: { query?: never; header?: never; path?: never; };
      requestBody: { content: { "application/json": PlanWish } };
      responses: { 200: { content: { "application/json": PlanEntry } }; };
    };
  };
  "/api/v1/sources": {
    /** Find out where to get models and packs */
    get: {
      parameters: {
        query?: { model?: string[] | null; pack?: string[] | null; };
        header?: never;
        path?: never;
      };
      requestBody?: never;
      responses: { 200: { content: { "application/json": SourceList } }; };
    };
  };
  "/api/v1/compare": {
    /** Compare two workflows */
    post: {
      parameters: { query?: never; header?: never; path?: never; };
      requestBody: { content: { "application/json": CompareWish } };
      responses: { 200: { content: { "application/json": WorkflowComparison } }; };
    };
  };
  "/api/v1/merge": {
    /** Merge two workflows */
    post: {
      parameters: { query?: never; header?: never; path?: never; };
      requestBody: { content: { "application/json": MergeWish } };
      responses: { 200: { content: { "application/json": MergedWorkflow } }; };
    };
  };
  "/api/v1/workflows": {
    /** List saved workflows */
    get: {
      parameters: {
        query?: { text?: string; limit?: number; cursor?: string | null; };
        header?: never;
        path?: never;
      };
      requestBody?: never;
      responses: { 200: { content: { "application/json": SavedList } }; };
    };
  };
  "/api/v1/workflows/{name}": {
    /** Get a saved workflow */
    get: {
      parameters: {
        query?: never;
        header?: { "if-none-match"?: string | null; };
        path: { name: string; };
      };
      requestBody?: never;
      responses: {
        200: { content: { "application/json": Record<string, unknown> } };
        304: { content?: never };
      };
    };
    /** Save a workflow */
    put: {
      parameters: {
        query?: never;
        header?: { "if-match"?: string | null; "if-none-match"?: string | null; };
        path: { name: string; };
      };
      requestBody: { content: { "application/json": Record<string, unknown> } };
      responses: {
        200: { content: { "application/json": SavedAs } };
        201: { content: { "application/json": SavedAs } };
      };
    };
    /** Delete a saved workflow */
    delete: {
      parameters: {
        query?: never;
        header?: { "if-match"?: string | null; };
        path: { name: string; };
      };
      requestBody?: never;
      responses: { 204: { content?: never }; };
    };
  };
  "/api/v1/workflows/{name}/versions": {
    /** List the versions of a saved workflow */
    get: {
      parameters: { query?: never; header?: never; path: { name: string; }; };
      requestBody?: never;
      responses: { 200: { content: { "application/json": VersionList } }; };
    };
  };
  "/api/v1/workflows/{name}/versions/{version}": {
    /** Get a version of a saved workflow */
    get: {
      parameters: {
        query?: never;
        header?: { "if-none-match"?: string | null; };
        path: { name: string; version: number; };
      };
      requestBody?: never;
      responses: {
        200: { content: { "application/json": Record<string, unknown> } };
        304: { content?: never };
      };
    };
  };
  "/api/v1/templates": {
    /** List the gallery */
    get: {
      parameters: { query?: never; header?: never; path?: never; };
      requestBody?: never;
      responses: { 200: { content: { "application/json": TemplateList } }; };
    };
  };
  "/api/v1/templates/{name}": {
    /** Get a workflow of the gallery */
    get: {
      parameters: { query?: never; header?: never; path: { name: string; }; };
      requestBody?: never;
      responses: { 200: { content: { "application/json": Record<string, unknown> } }; };
    };
  };
  "/api/v1/templates/{name}/picture": {
    /** Get an image of a workflow of the gallery */
    get: {
      parameters: { query?: never; header?: never; path: { name: string; }; };
      requestBody?: never;
      responses: { 200: { content: { "image/webp": Blob } }; 304: { content?: never }; };
    };
  };
  "/api/v1/templates/{name}/lesson": {
    /** Get the lesson about a workflow of the gallery */
    get: {
      parameters: { query?: never; header?: never; path: { name: string; }; };
      requestBody?: never;
      responses: { 200: { content: { "application/json": Record<string, unknown> } }; };
    };
  };
  "/api/v1/templates/{name}/files/{file}": {
    /** Get a file that a workflow of the gallery needs */
    get: {
      parameters: { query?: never; header?: never; path: { name: string; file: string; }; };
      requestBody?: never;
      responses: {
        200: { content: { "application/octet-stream": Blob; "*/*": Blob } };
        304: { content?: never };
      };
    };
  };
  "/api/v1/apps": {
    /** List the apps */
    get: {
      parameters: {
        query?: { limit?: number; cursor?: string | null; };
        header?: never;
        path?: never;
      };
      requestBody?: never;
      responses: { 200: { content: { "application/json": AppList } }; };
    };
  };
  "/api/v1/apps/{name}": {
    /** Get an app or its form */
    get: {
      parameters: {
        query?: never;
        header?: { accept?: string | null; };
        path: { name: string; };
      };
      requestBody?: never;
      responses: { 200: { content: { "application/json": AppDetail; "text/html": string } }; };
    };
    /** Run an app */
    post: {
      parameters: {
        query?: { webhook?: string | null; not_before?: string | null; };
        header?: {
          accept?: string | null;
          prefer?: string | null;
          "idempotency-key"?: string | null;
        };
        path: { name: string; };
      };
      requestBody?: { content: { "application/json": Record<string, unknown>; "multipart/form-data": Record<string, unknown>; "application/x-www-form-urlencoded": Record<string, unknown> } };
      responses: {
        200: { content: { "application/json": AppAnswer; "image/*": Blob } };
        202: { content: { "application/json": AppAnswer } };
        303: { content?: never };
      };
    };
  };
  "/api/v1/apps/{name}/jobs/{id}": {
    /** Get a run of an app */
    get: {
      parameters: { query?: never; header?: never; path: { name: string; id: string; }; };
      requestBody?: never;
      responses: { 200: { content: { "text/html": string } }; };
    };
  };
  "/api/v1/artifacts": {
    /** List the output files of jobs */
    get: {
      parameters: {
        query?: {
          job?: string | null;
          kind?: string | null;
          text?: string;
          stars?: number | null;
          tag?: string[] | null;
          board?: string | null;
          model?: string | null;
          seed?: number | null;
          width?: number | null;
          height?: number | null;
          trashed?: "true" | "false";
          created_after?: number | null;
          created_before?: number | null;
          distinct?: "true" | "false";
          limit?: number;
          cursor?: string | null;
        };
        header?: never;
        path?: never;
      };
      requestBody?: never;
      responses: { 200: { content: { "application/json": ArtifactList } }; };
    };
  };
  "/api/v1/artifacts/{digest}": {
    /** Get an output file of a job */
    get: {
      parameters: {
        query?: { download?: "true" | "false"; };
        header?: never;
        path: { digest: string; };
      };
      requestBody?: never;
      responses: {
        200: { content: { "application/octet-stream": Blob; "*/*": Blob } };
        206: { content: { "application/octet-stream": Blob; "*/*": Blob } };
        304: { content?: never };
      };
    };
    /** Delete an output file of a job */
    delete: {
      parameters: { query?: { job?: string | null; }; header?: never; path: { digest: string; }; };
      requestBody?: never;
      responses: { 204: { content?: never }; };
    };
  };
  "/api/v1/artifacts/{digest}/thumbnail": {
    /** Get a thumbnail of a file */
    get: {
      parameters: { query?: { size?: number; }; header?: never; path: { digest: string; }; };
      requestBody?: never;
      responses: { 200: { content: { "image/webp": Blob } }; 304: { content?: never }; };
    };
  };
  "/api/v1/artifacts/{digest}/texts": {
    /** Get the texts in a file's metadata */
    get: {
      parameters: { query?: never; header?: never; path: { digest: string; }; };
      requestBody?: never;
      responses: { 200: { content: { "application/json": CarriedTexts } }; };
    };
  };
  "/api/v1/artifacts/grid": {
    /** Combine images in a labeled grid */
    post: {
      parameters: { query?: never; header?: never; path?: never; };
      requestBody: { content: { "application/json": GridRequest } };
      responses: {
        200: { content: { "image/png": Blob; "image/webp": Blob; "image/jpeg": Blob } };
      };
    };
  };
  "/api/v1/artifacts/{digest}/frame": {
    /** Use a frame of a video as an upload */
    post: {
      parameters: { query?: never; header?: never; path: { digest: string; }; };
      requestBody: { content: { "application/json": FrameRequest } };
      responses: {
        200: { content: { "application/json": UploadEntry } };
        201: { content: { "application/json": UploadEntry } };
      };
    };
  };
  "/api/v1/library": {
    /** Change stars, tags, notes and boards */
    patch: {
      parameters: { query?: never; header?: never; path?: never; };
      requestBody: { content: { "application/json": LibraryChange } };
      responses: { 200: { content: { "application/json": Changed } }; };
    };
  };
  "/api/v1/library/trash": {
    /** Put results into the trash */
    post: {
      parameters: { query?: never; header?: never; path?: never; };
      requestBody: { content: { "application/json": ChosenResults } };
      responses: { 200: { content: { "application/json": TrashedResults } }; };
    };
    /** Empty the trash */
    delete: {
      parameters: { query?: never; header?: never; path?: never; };
      requestBody?: never;
      responses: { 200: { content: { "application/json": Emptied } }; };
    };
  };
  "/api/v1/library/restore": {
    /** Restore results from the trash */
    post: {
      parameters: { query?: never; header?: never; path?: never; };
      requestBody: { content: { "application/json": ChosenResults } };
      responses: { 200: { content: { "application/json": RestoredResults } }; };
    };
  };
  "/api/v1/library/tags": {
    /** List the tags */
    get: {
      parameters: { query?: never; header?: never; path?: never; };
      requestBody?: never;
      responses: { 200: { content: { "application/json": TagCounts } }; };
    };
  };
  "/api/v1/library/boards": {
    /** List the boards */
    get: {
      parameters: { query?: never; header?: never; path?: never; };
      requestBody?: never;
      responses: { 200: { content: { "application/json": BoardList } }; };
    };
    /** Make a board */
    post: {
      parameters: { query?: never; header?: never; path?: never; };
      requestBody: { content: { "application/json": BoardName } };
      responses: { 201: { content: { "application/json": Board } }; };
    };
  };
  "/api/v1/library/boards/{id}": {
    /** Rename a board */
    patch: {
      parameters: { query?: never; header?: never; path: { id: string; }; };
      requestBody: { content: { "application/json": BoardName } };
      responses: { 200: { content: { "application/json": Board } }; };
    };
    /** Delete a board */
    delete: {
      parameters: { query?: never; header?: never; path: { id: string; }; };
      requestBody?: never;
      responses: { 204: { content?: never }; };
    };
  };
  "/api/v1/artifacts/{digest}/credentials": {
    /** Check the Content Credentials of a file */
    get: {
      parameters: { query?: never; header?: never; path: { digest: string; }; };
      requestBody?: never;
      responses: { 200: { content: { "application/json": FileCredentials } }; };
    };
  };
  "/api/v1/uploads/{digest}/credentials": {
    /** Check the Content Credentials of an upload */
    get: {
      parameters: { query?: never; header?: never; path: { digest: string; }; };
      requestBody?: never;
      responses: { 200: { content: { "application/json": FileCredentials } }; };
    };
  };
  "/api/v1/artifacts/{digest}/signed": {
    /** Get a signed copy of a file */
    get: {
      parameters: { query?: never; header?: never; path: { digest: string; }; };
      requestBody?: never;
      responses: { 200: { content: { "application/octet-stream": Blob; "*/*": Blob } }; };
    };
  };
  "/api/v1/lineage/{digest}": {
    /** Get what a file was made from, and what was made from it */
    get: {
      parameters: { query?: never; header?: never; path: { digest: string; }; };
      requestBody?: never;
      responses: { 200: { content: { "application/json": FileLineage } }; };
    };
  };
  "/api/v1/uploads": {
    /** Upload a file */
    post: {
      parameters: { query?: { name?: string; }; header?: never; path?: never; };
      requestBody: { content: { "multipart/form-data": Record<string, unknown>; "application/octet-stream": Blob } };
      responses: {
        200: { content: { "application/json": UploadEntry } };
        201: { content: { "application/json": UploadEntry } };
      };
    };
    /** List uploads */
    get: {
      parameters: {
        query?: { limit?: number; cursor?: string | null; };
        header?: never;
        path?: never;
      };
      requestBody?: never;
      responses: { 200: { content: { "application/json": UploadList } }; };
    };
  };
  "/api/v1/uploads/artifacts/{digest}": {
    /** Use an output file of a job as an upload */
    post: {
      parameters: { query?: never; header?: never; path: { digest: string; }; };
      requestBody?: never;
      responses: {
        200: { content: { "application/json": UploadEntry } };
        201: { content: { "application/json": UploadEntry } };
      };
    };
  };
  "/api/v1/uploads/{digest}": {
    /** Get an upload */
    get: {
      parameters: { query?: never; header?: never; path: { digest: string; }; };
      requestBody?: never;
      responses: {
        200: { content: { "application/octet-stream": Blob; "*/*": Blob } };
        206: { content: { "application/octet-stream": Blob; "*/*": Blob } };
        304: { content?: never };
      };
    };
    /** Delete an upload */
    delete: {
      parameters: { query?: never; header?: never; path: { digest: string; }; };
      requestBody?: never;
      responses: { 204: { content?: never }; };
    };
  };
  "/api/v1/uploads/{digest}/thumbnail": {
    /** Get a thumbnail of an upload */
    get: {
      parameters: { query?: { size?: number; }; header?: never; path: { digest: string; }; };
      requestBody?: never;
      responses: { 200: { content: { "image/webp": Blob } }; 304: { content?: never }; };
    };
  };
  "/api/v1/uploads/{digest}/texts": {
    /** Get the texts in an upload's metadata */
    get: {
      parameters: { query?: never; header?: never; path: { digest: string; }; };
      requestBody?: never;
      responses: { 200: { content: { "application/json": CarriedTexts } }; };
    };
  };
  "/api/v1/inputs": {
    /** List the files of the inputs folder */
    get: {
      parameters: { query?: never; header?: never; path?: never; };
      requestBody?: never;
      responses: { 200: { content: { "application/json": InputList } }; };
    };
  };
  "/api/v1/inputs/file": {
    /** Get a file of the inputs folder */
    get: {
      parameters: { query: { path: string; }; header?: never; path?: never; };
      requestBody?: never;
      responses: {
        200: { content: { "application/octet-stream": Blob; "*/*": Blob } };
        206: { content: { "application/octet-stream": Blob; "*/*": Blob } };
        304: { content?: never };
      };
    };
  };
  "/api/v1/inputs/thumbnail": {
    /** Get a thumbnail of a file of the inputs folder */
    get: {
      parameters: { query: { path: string; size?: number; }; header?: never; path?: never; };
      requestBody?: never;
      responses: { 200: { content: { "image/webp": Blob } }; 304: { content?: never }; };
    };
  };
  "/api/v1/styles": {
    /** List the styles */
    get: {
      parameters: { query?: never; header?: never; path?: never; };
      requestBody?: never;
      responses: { 200: { content: { "application/json": Styles } }; };
    };
    /** Replace the styles */
    put: {
      parameters: { query?: never; header?: never; path?: never; };
      requestBody: { content: { "application/json": Styles } };
      responses: { 200: { content: { "application/json": Styles } }; };
    };
  };
  "/api/v1/styles/csv": {
    /** Add the styles of a CSV file */
    post: {
      parameters: { query?: never; header?: never; path?: never; };
      requestBody: { content: { "application/octet-stream": Blob } };
      responses: { 200: { content: { "application/json": Styles } }; };
    };
  };
  "/api/v1/tag-lists": {
    /** List the tag lists */
    get: {
      parameters: { query?: never; header?: never; path?: never; };
      requestBody?: never;
      responses: { 200: { content: { "application/json": TagLists } }; };
    };
  };
  "/api/v1/tag-lists/{name}": {
    /** Get a tag list */
    get: {
      parameters: { query?: never; header?: never; path: { name: string; }; };
      requestBody?: never;
      responses: { 200: { content: { "text/csv": string } }; 304: { content?: never }; };
    };
    /** Save a tag list */
    put: {
      parameters: { query?: never; header?: never; path: { name: string; }; };
      requestBody: { content: { "application/octet-stream": Blob } };
      responses: { 200: { content: { "application/json": TagListEntry } }; };
    };
    /** Delete a tag list */
    delete: {
      parameters: { query?: never; header?: never; path: { name: string; }; };
      requestBody?: never;
      responses: { 204: { content?: never }; };
    };
  };
  "/api/v1/node-types": {
    /** List the node types */
    get: {
      parameters: { query?: never; header?: { "if-none-match"?: string | null; }; path?: never; };
      requestBody?: never;
      responses: {
        200: { content: { "application/json": NodeTypeList } };
        304: { content?: never };
      };
    };
  };
  "/api/v1/node-types/compact": {
    /** List the node types in a compact form */
    get: {
      parameters: { query?: never; header?: { "if-none-match"?: string | null; }; path?: never; };
      requestBody?: never;
      responses: {
        200: { content: { "application/json": CompactNodeTypeList } };
        304: { content?: never };
      };
    };
  };
  "/api/v1/node-types/help": {
    /** List the texts of the node types */
    get: {
      parameters: {
        query?: { language?: string; };
        header?: { "if-none-match"?: string | null; };
        path?: never;
      };
      requestBody?: never;
      responses: {
        200: { content: { "application/json": NodeTypeHelpList } };
        304: { content?: never };
      };
    };
  };
  "/api/v1/node-types/names": {
    /** List the names of the node types in a language */
    get: {
      parameters: {
        query: { language: string; };
        header?: { "if-none-match"?: string | null; };
        path?: never;
      };
      requestBody?: never;
      responses: {
        200: { content: { "application/json": NodeTypeNames } };
        304: { content?: never };
      };
    };
  };
  "/api/v1/node-types/summaries": {
    /** List summaries of node types */
    get: {
      parameters: {
        query?: {
          search?: string | null;
          category?: string | null;
          pack?: string | null;
          limit?: number;
          cursor?: string | null;
        };
        header?: { "if-none-match"?: string | null; };
        path?: never;
      };
      requestBody?: never;
      responses: {
        200: { content: { "application/json": NodeTypeSummaryList } };
        304: { content?: never };
      };
    };
  };
  "/api/v1/node-types/{type}": {
    /** Get a node type */
    get: {
      parameters: {
        query?: never;
        header?: { "if-none-match"?: string | null; };
        path: { type: string; };
      };
      requestBody?: never;
      responses: { 200: { content: { "application/json": NodeType } }; 304: { content?: never }; };
    };
  };
  "/api/v1/node-types/{type}/example": {
    /** Get an example workflow of a node type */
    get: {
      parameters: { query?: never; header?: never; path: { type: string; }; };
      requestBody?: never;
      responses: { 200: { content: { "application/json": Record<string, unknown> } }; };
    };
  };
  "/api/v1/node-types/{type}/example/picture": {
    /** Get an example image of a node type */
    get: {
      parameters: { query?: never; header?: never; path: { type: string; }; };
      requestBody?: never;
      responses: { 200: { content: { "image/webp": Blob } }; 304: { content?: never }; };
    };
  };
  "/api/v1/node-types/{type}/example/files/{file}": {
    /** Get a file that the example of a node type needs */
    get: {
      parameters: { query?: never; header?: never; path: { type: string; file: string; }; };
      requestBody?: never;
      responses: {
        200: { content: { "application/octet-stream": Blob; "*/*": Blob } };
        304: { content?: never };
      };
    };
  };
  "/api/v1/node-types/{type}/example/folders": {
    /** Copy the folders that the example of a node type needs */
    post: {
      parameters: { query?: never; header?: never; path: { type: string; }; };
      requestBody?: never;
      responses: { 204: { content?: never }; };
    };
  };
  "/api/v1/models": {
    /** List the models */
    get: {
      parameters: { query?: never; header?: never; path?: never; };
      requestBody?: never;
      responses: { 200: { content: { "application/json": ModelList } }; };
    };
  };
  "/api/v1/models/thumbnail": {
    /** Get a thumbnail of a model */
    get: {
      parameters: { query: { name: string; size?: number; }; header?: never; path?: never; };
      requestBody?: never;
      responses: { 200: { content: { "image/webp": Blob } }; 304: { content?: never }; };
    };
  };
  "/api/v1/models/verify": {
    /** Compare a model with the digests of its source */
    post: {
      parameters: { query: { name: string; }; header?: never; path?: never; };
      requestBody?: never;
      responses: { 200: { content: { "application/json": VerifiedFiles } }; };
    };
  };
  "/api/v1/models/uses": {
    /** Find out what names a model */
    get: {
      parameters: { query: { name: string; }; header?: never; path?: never; };
      requestBody?: never;
      responses: { 200: { content: { "application/json": ModelUsesEntry } }; };
    };
  };
  "/api/v1/models/lookup": {
    /** Look a model up at Civitai by its hash */
    post: {
      parameters: { query: { name: string; }; header?: never; path?: never; };
      requestBody?: never;
      responses: { 200: { content: { "application/json": ModelRecordEntry } }; };
    };
  };
  "/api/v1/models/update": {
    /** Ask the source of a model for a newer version */
    get: {
      parameters: { query: { name: string; }; header?: never; path?: never; };
      requestBody?: never;
      responses: { 200: { content: { "application/json": ModelUpdateEntry } }; };
    };
  };
  "/api/v1/models/words": {
    /** List the words that a model's text encoder knows */
    get: {
      parameters: { query: { name: string; }; header?: never; path?: never; };
      requestBody?: never;
      responses: { 200: { content: { "application/json": ModelWords } }; };
    };
  };
  "/api/v1/models/record": {
    /** Get what is known about a model */
    get: {
      parameters: { query: { name: string; }; header?: never; path?: never; };
      requestBody?: never;
      responses: { 200: { content: { "application/json": ModelRecordEntry } }; };
    };
    /** Change the notes, tags and stars of a model */
    patch: {
      parameters: { query: { name: string; }; header?: never; path?: never; };
      requestBody: { content: { "application/json": RecordChange } };
      responses: { 200: { content: { "application/json": ModelRecordEntry } }; };
    };
    /** Remove a model from the disk */
    delete: {
      parameters: { query: { name: string; }; header?: never; path?: never; };
      requestBody?: never;
      responses: { 204: { content?: never }; };
    };
  };
  "/api/v1/models/record/move": {
    /** Move a model to another name */
    post: {
      parameters: { query?: never; header?: never; path?: never; };
      requestBody: { content: { "application/json": ModelMove } };
      responses: { 200: { content: { "application/json": MovedModel } }; };
    };
  };
  "/api/v1/models/picture": {
    /** Set the image of a model */
    put: {
      parameters: { query: { name: string; }; header?: never; path?: never; };
      requestBody: { content: { "application/octet-stream": Blob } };
      responses: { 204: { content?: never }; };
    };
    /** Remove the image of a model */
    delete: {
      parameters: { query: { name: string; }; header?: never; path?: never; };
      requestBody?: never;
      responses: { 204: { content?: never }; };
    };
  };
  "/api/v1/models/starter": {
    /** List well-known models to start with */
    get: {
      parameters: { query?: never; header?: never; path?: never; };
      requestBody?: never;
      responses: { 200: { content: { "application/json": StarterList } }; };
    };
  };
  "/api/v1/models/search": {
    /** Search other sites for models */
    get: {
      parameters: {
        query?: {
          text?: string;
          kind?: string | null;
          family?: string | null;
          source?: string | null;
          limit?: number;
        };
        header?: never;
        path?: never;
      };
      requestBody?: never;
      responses: { 200: { content: { "application/json": OfferList } }; };
    };
  };
  "/api/v1/models/missing": {
    /** Find out where to get the models that a workflow lacks */
    post: {
      parameters: { query?: never; header?: never; path?: never; };
      requestBody: { content: { "application/json": MissingRequest } };
      responses: { 200: { content: { "application/json": MissingList } }; };
    };
  };
  "/api/v1/models/links": {
    /** List the linked folders of other programs */
    get: {
      parameters: { query?: never; header?: never; path?: never; };
      requestBody?: never;
      responses: { 200: { content: { "application/json": LinkedFolders } }; };
    };
    /** Use the models of another program */
    post: {
      parameters: { query?: never; header?: never; path?: never; };
      requestBody: { content: { "application/json": LinkRequest } };
      responses: { 200: { content: { "application/json": LinkedFolders } }; };
    };
    /** Do not use a linked folder any more */
    delete: {
      parameters: { query: { folder: string; }; header?: never; path?: never; };
      requestBody?: never;
      responses: { 204: { content?: never }; };
    };
  };
  "/api/v1/models/downloads": {
    /** List the downloads of models */
    get: {
      parameters: { query?: never; header?: never; path?: never; };
      requestBody?: never;
      responses: { 200: { content: { "application/json": DownloadList } }; };
    };
    /** Download a model */
    post: {
      parameters: { query?: never; header?: never; path?: never; };
      requestBody: { content: { "application/json": DownloadRequest } };
      responses: { 202: { content: { "application/json": ModelDownloadEntry } }; };
    };
  };
  "/api/v1/models/downloads/plan": {
    /** Plan a download of a model */
    post: {
      parameters: { query?: never; header?: never; path?: never; };
      requestBody: { content: { "application/json": DownloadRequest } };
      responses: { 200: { content: { "application/json": DownloadOfferEntry } }; };
    };
  };
  "/api/v1/models/downloads/{id}/pause": {
    /** Pause a download of a model */
    post: {
      parameters: { query?: never; header?: never; path: { id: string; }; };
      requestBody?: never;
      responses: { 200: { content: { "application/json": ModelDownloadEntry } }; };
    };
  };
  "/api/v1/models/downloads/{id}/resume": {
    /** Continue a download of a model */
    post: {
      parameters: { query?: never; header?: never; path: { id: string; }; };
      requestBody?: never;
      responses: { 200: { content: { "application/json": ModelDownloadEntry } }; };
    };
  };
  "/api/v1/models/downloads/{id}": {
    /** Cancel a download of a model */
    delete: {
      parameters: { query?: never; header?: never; path: { id: string; }; };
      requestBody?: never;
      responses: { 204: { content?: never }; };
    };
  };
  "/api/v1/packs": {
    /** List the installed packs */
    get: {
      parameters: { query?: never; header?: never; path?: never; };
      requestBody?: never;
      responses: { 200: { content: { "application/json": PackList } }; };
    };
    /** Install a pack of the index */
    post: {
      parameters: { query?: never; header?: never; path?: never; };
      requestBody: { content: { "application/json": PackRequest } };
      responses: { 202: { content: { "application/json": PackChange } }; };
    };
  };
  "/api/v1/packs/available": {
    /** Search the index of packs */
    get: {
      parameters: {
        query?: { search?: string; node_type?: string[] | null; name?: string[] | null; };
        header?: never;
        path?: never;
      };
      requestBody?: never;
      responses: { 200: { content: { "application/json": AvailablePacks } }; };
    };
  };
  "/api/v1/packs/{name}/update": {
    /** Update a pack */
    post: {
      parameters: { query?: never; header?: never; path: { name: string; }; };
      requestBody?: never;
      responses: { 202: { content: { "application/json": PackChange } }; };
    };
  };
  "/api/v1/packs/{name}/rollback": {
    /** Use the earlier version of a pack again */
    post: {
      parameters: { query?: never; header?: never; path: { name: string; }; };
      requestBody?: never;
      responses: { 200: { content: { "application/json": PackEntry } }; };
    };
  };
  "/api/v1/packs/{name}/enable": {
    /** Offer the node types of a pack again */
    post: {
      parameters: { query?: never; header?: never; path: { name: string; }; };
      requestBody?: never;
      responses: { 200: { content: { "application/json": PackEntry } }; };
    };
  };
  "/api/v1/packs/{name}/disable": {
    /** Offer the node types of a pack no more */
    post: {
      parameters: { query?: never; header?: never; path: { name: string; }; };
      requestBody?: never;
      responses: { 200: { content: { "application/json": PackEntry } }; };
    };
  };
  "/api/v1/packs/{name}": {
    /** Remove a pack */
    delete: {
      parameters: { query?: never; header?: never; path: { name: string; }; };
      requestBody?: never;
      responses: { 204: { content?: never }; };
    };
  };
  "/api/v1/system": {
    /** Get the state of the server */
    get: {
      parameters: { query?: never; header?: never; path?: never; };
      requestBody?: never;
      responses: { 200: { content: { "application/json": SystemEntry } }; };
    };
  };
  "/api/v1/system/refresh": {
    /** Reload the node packs */
    post: {
      parameters: { query?: never; header?: never; path?: never; };
      requestBody?: never;
      responses: { 200: { content: { "application/json": Refreshed } }; };
    };
  };
  "/api/v1/settings": {
    /** Get the settings */
    get: {
      parameters: { query?: never; header?: never; path?: never; };
      requestBody?: never;
      responses: { 200: { content: { "application/json": ServerSettings } }; };
    };
    /** Change settings */
    patch: {
      parameters: { query?: never; header?: never; path?: never; };
      requestBody: { content: { "application/json": SettingsChange } };
      responses: { 200: { content: { "application/json": ServerSettings } }; };
    };
  };
  "/api/v1/secrets": {
    /** List the secrets */
    get: {
      parameters: { query?: never; header?: never; path?: never; };
      requestBody?: never;
      responses: { 200: { content: { "application/json": SecretList } }; };
    };
  };
  "/api/v1/secrets/{name}": {
    /** Store a secret */
    put: {
      parameters: { query?: never; header?: never; path: { name: string; }; };
      requestBody: { content: { "application/json": SecretValue } };
      responses: { 200: { content: { "application/json": SecretInfo } }; };
    };
    /** Remove a secret */
    delete: {
      parameters: { query?: never; header?: never; path: { name: string; }; };
      requestBody?: never;
      responses: { 204: { content?: never }; };
    };
  };
  "/api/v1/schedules": {
    /** List the schedules */
    get: {
      parameters: { query?: never; header?: never; path?: never; };
      requestBody?: never;
      responses: { 200: { content: { "application/json": ScheduleList } }; };
    };
    /** Add a schedule */
    post: {
      parameters: { query?: never; header?: never; path?: never; };
      requestBody: { content: { "application/json": ScheduleWish } };
      responses: { 201: { content: { "application/json": ScheduleEntry } }; };
    };
  };
  "/api/v1/schedules/{id}": {
    /** Get a schedule */
    get: {
      parameters: { query?: never; header?: never; path: { id: string; }; };
      requestBody?: never;
      responses: { 200: { content: { "application/json": ScheduleEntry } }; };
    };
    /** Remove a schedule */
    delete: {
      parameters: { query?: never; header?: never; path: { id: string; }; };
      requestBody?: never;
      responses: { 204: { content?: never }; };
    };
  };
  "/api/v1/schedules/{id}/pause": {
    /** Pause a schedule */
    post: {
      parameters: { query?: never; header?: never; path: { id: string; }; };
      requestBody?: never;
      responses: { 200: { content: { "application/json": ScheduleEntry } }; };
    };
  };
  "/api/v1/schedules/{id}/resume": {
    /** Resume a schedule */
    post: {
      parameters: { query?: never; header?: never; path: { id: string; }; };
      requestBody?: never;
      responses: { 200: { content: { "application/json": ScheduleEntry } }; };
    };
  };
  "/api/v1/schedules/{id}/run": {
    /** Run a schedule now */
    post: {
      parameters: { query?: never; header?: never; path: { id: string; }; };
      requestBody?: never;
      responses: { 202: { content: { "application/json": JobEntry } }; };
    };
  };
  "/api/v1/webhooks": {
    /** List deliveries to webhooks */
    get: {
      parameters: {
        query?: {
          state?: "pending" | "delivered" | "failed" | null;
          job?: string | null;
          limit?: number;
          cursor?: string | null;
        };
        header?: never;
        path?: never;
      };
      requestBody?: never;
      responses: { 200: { content: { "application/json": DeliveryList } }; };
    };
  };
  "/api/v1/webhooks/test": {
    /** Test a webhook */
    post: {
      parameters: { query?: never; header?: never; path?: never; };
      requestBody: { content: { "application/json": WebhookTestWish } };
      responses: { 200: { content: { "application/json": WebhookTest } }; };
    };
  };
  "/api/v1/webhooks/secret": {
    /** Make a new secret for webhooks */
    post: {
      parameters: { query?: never; header?: never; path?: never; };
      requestBody: { content: { "application/json": SecretWish } };
      responses: { 200: { content: { "application/json": WebhookSecret } }; };
    };
  };
  "/api/v1/webhooks/{id}": {
    /** Get a delivery */
    get: {
      parameters: { query?: never; header?: never; path: { id: string; }; };
      requestBody?: never;
      responses: { 200: { content: { "application/json": DeliveryEntry } }; };
    };
  };
  "/api/v1/webhooks/{id}/replay": {
    /** Deliver again */
    post: {
      parameters: { query?: never; header?: never; path: { id: string; }; };
      requestBody?: never;
      responses: { 200: { content: { "application/json": DeliveryEntry } }; };
    };
  };
  "/healthz": {
    /** Check whether the server is alive */
    get: {
      parameters: { query?: never; header?: never; path?: never; };
      requestBody?: never;
      responses: { 200: { content: { "application/json": Alive } }; };
    };
  };
  "/readyz": {
    /** Check whether the server accepts jobs */
    get: {
      parameters: { query?: never; header?: never; path?: never; };
      requestBody?: never;
      responses: { 200: { content: { "application/json": Alive } }; };
    };
  };
  "/metrics": {
    /** Get the metrics for monitoring */
    get: {
      parameters: { query?: never; header?: never; path?: never; };
      requestBody?: never;
      responses: { 200: { content: { "text/plain": string } }; };
    };
  };
  "/openapi.json": {
    /** Get this description */
    get: {
      parameters: { query?: never; header?: never; path?: never; };
      requestBody?: never;
      responses: { 200: { content: { "application/json": unknown } }; };
    };
  };
}

/** The answer of a probe. */
export interface Alive {
  status: string;
}

/** A run of an app. */
export interface AppAnswer {
  job: JobEntry;
  /** Output files by node; None if the run has not finished. */
  outputs: Record<string, OutputFile[]> | null;
}

/** A saved workflow as an app. */
export interface AppDetail {
  name: string;
  title: string;
  description: string;
  /** Version and digest of the saved workflow. */
  version: number;
  /** Version and digest of the saved workflow. */
  digest: string;
  /** JSON Schema of its parameter values. */
  parameters: Record<string, unknown>;
  /** Problems that prevent the use of parts of it. */
  problems: Finding[];
  /** Nodes that output files. */
  outputs: AppOutputEntry[];
  /** Path of the app on the server. */
  href: string;
}

/** An app in a list: a saved workflow that can be run by its name. */
export interface AppItem {
  name: string;
  title: string;
  description: string;
  /** Names of its parameters. */
  parameters: string[];
  /** Path of the app on the server. */
  href: string;
}

/** A page of apps, sorted by name. */
export interface AppList {
  items: AppItem[];
  /** Cursor of the next page; null on the last page. */
  next: string | null;
}

/** A node of an app that outputs files. */
export interface AppOutputEntry {
  node: string;
  /** Display name. */
  label: string;
  /** Type of the node. */
  type: string;
}

/** An output file in a list of the files of several jobs. */
export interface ArtifactEntry {
  name: string;
  /** Node that wrote it. */
  node: string;
  /** Kind of the file, for people. */
  kind: string;
  media_type: string;
  /** Size in bytes. */
  size: number;
  /** blake3 of the bytes. */
  digest: string;
  job: string;
  /** Unix time at which it was written. */
  created: number;
  /** Size in pixels of an image or video; None if it is not known. */
  width: number | null;
  /** Size in pixels of an image or video; None if it is not known. */
  height: number | null;
  /** Path of the file on the server. */
  href: string;
  /** Path of its thumbnail on the server; None if there is none. */
  thumbnail: string | null;
  /** Whether an earlier job wrote the same file, and this job reused it. */
  existed: boolean;
  job_name: string;
  /** Number of jobs that output the same bytes. */
  jobs: number;
  /**
   * Job that made it. It differs from `job` if that job reused the file. None if that job is no
   * longer stored or belongs to another client.
   */
  made_by: string | null;
  /** 0 to 5. */
  stars: number;
  /** Tags in the library, in alphabetical order. */
  tags: string[];
  /** Note in the library; None if there is none. */
  note: string | null;
  /** Id of its board; None if it is on no board. */
  board: string | null;
  /** Unix time at which it was put into the trash; None if it is not there. */
  trashed: number | null;
}

/** A page of artifacts, the newest first. */
export interface ArtifactList {
  items: ArtifactEntry[];
  /** Cursor of the next page; null on the last page. */
  next: string | null;
}

/** The newest version of a pack in an index. */
export interface AvailablePack {
  name: string;
  version: string;
  kind: "native" | "comfyui";
  summary: string;
  license: string;
  index: string;
  /** Packages that it needs, for a listing. */
  requires: string[];
  /** As far as the index lists them. */
  node_types: string[];
  /** The installed version; null if it is not installed. */
  installed: string | null;
}

/** Packs of the indexes. */
export interface AvailablePacks {
  items: AvailablePack[];
  /** Why an index could not be read anew. */
  problem: string | null;
  next: string | null;
}

/** A board of results in the library. */
export interface Board {
  id: string;
  name: string;
  /** Client that owns the board. */
  client: string;
  /** Number of results on it, without those in the trash. */
  count: number;
  /** Digest of the newest result on it; None if there is none. */
  cover: string | null;
  /** Unix time. */
  created: number;
}

/** All boards, in alphabetical order. */
export interface BoardList {
  items: Board[];
}

/** The name of a board. */
export interface BoardName {
  name: string;
}

/**
 * Limits of requests and connections.
 *
 * Attributes:
 * body: Largest body of a request in bytes, except uploads and requests of other tools'
 * protocols that contain images.
 * upload: Largest uploaded file in bytes.
 * pixels: Largest number of pixels of an uploaded image.
 * json_depth: Largest depth of nested lists and objects.
 * json_values: Largest number of values in one JSON body.
 * nodes: Largest number of nodes of a workflow, those of its blocks included.
 * frame: Largest websocket frame in bytes.
 * waiting: Bytes of unsent events for all clients. Above it, the server disconnects the
 * clients with the most unsent bytes first.
 * idle_seconds: Seconds that a client may pause within a request, in sending or reading.
 * head_seconds: Seconds that the head of a request may take.
 * connections: Largest number of open connections.
 * address_connections: Largest number of open connections from one address, except trusted
 * proxies.
 */
export interface BodyLimits {
  body: number;
  upload: number;
  pixels: number;
  json_depth: number;
  json_values: number;
  nodes: number;
  frame: number;
  waiting: number;
  idle_seconds: number;
  head_seconds: number;
  connections: number;
  address_connections: number;
}

/**
 * The interface of a node to the subgraph that one of its inputs names.
 *
 * Attributes:
 * inputs: Subgraph inputs that the node sets, with the node input that provides the values.
 * Empty for values that the node makes itself, which the subgraph need not use. With
 * `passes_on`, the other subgraph inputs are inputs of the node, too.
 * outputs: Outputs that the subgraph must have, with the node outputs that are made from each;
 * none for outputs that only the node itself reads.
 * passes_on: Whether the node's function accepts further inputs and passes them on.
 */
export interface BodySpec {
  inputs: Record<string, string>;
  outputs: Record<string, string[]>;
  passes_on: boolean;
}

/** Texts in the metadata of a file. */
export interface CarriedTexts {
  /**
   * Texts by name: `workflow`, as JSON, `nodegraph`, the version that wrote it, and texts of other
   * programs, such as `prompt`. Empty if there are none.
   */
  texts: Record<string, string>;
}

/** Fields of a waiting job that can be changed. */
export interface Change {
  priority: number;
}

/** The number of results that the request changed. */
export interface Changed {
  changed: number;
}

/** Whether a workflow can run, with all its problems. */
export interface Checked {
  valid: boolean;
  problems: Finding[];
}

/** Results, by the digests of their bytes. */
export interface ChosenResults {
  /** Of artifacts. */
  digests: string[];
}

/** The number of cancelled jobs. */
export interface Cleared {
  cancelled: number;
}

/** Limits of each client in the queue. See `nodegraph.jobs.queue.Limits`. */
export interface ClientLimits {
  waiting: number;
  running: number | null;
  bytes: number;
}

/**
 * A kind of workers of a cluster.
 *
 * Attributes:
 * device: Device that they compute on.
 * gpus, cpus, memory: Resources that a node reserves for each worker. By default one GPU for
 * any device except the CPU.
 * resources: Other resources of a node, by the names and in the numbers of its start.
 * labels: Labels that a node must have.
 * min_workers, max_workers: Number of workers; the general limits if not given.
 */
export interface ClusterKind {
  device: string;
  gpus: number | null;
  cpus: number;
  memory: number;
  resources: Record<string, number>;
  labels: Record<string, string>;
  min_workers: number | null;
  max_workers: number | null;
}

/** All node types of the server, without texts for search and help, and without schemas. */
export interface CompactNodeTypeList {
  next: string | null;
  port_types: PortTypeEntry[];
  /** Widgets and panels that packs add to the editor. */
  frames: PackFrame[];
  /** Versions of the packs by name. */
  packs: Record<string, string>;
  /** Problems of packs; other packs still work. */
  problems: string[];
  /** The most used node types, to be suggested first. */
  usage: NodeTypeUsage;
  /**
   * Packs that are still being read: their node types may still appear. An empty name means the
   * built-in nodes.
   */
  unread: string[];
  /**
   * Packs whose nodes run in a process of the pack, by name. In a `sandbox` they have no network
   * and cannot write files.
   */
  isolated: Record<string, "process" | "sandbox">;
  /**
   * Like the full node types, but without `summary`, `tags`, `help` and `inputs_schema`. A field
   * that is missing, also of an input or output, is `false`, `null` or empty; a missing `default`
   * is `null`.
   */
  items: (Record<string, unknown>)[];
}

/** Two workflows. */
export interface CompareWish {
  /** The content of a workflow file. */
  first: Record<string, unknown>;
  /** The content of a workflow file. */
  second: Record<string, unknown>;
}

/** An input file that a signed file names. */
export interface CredentialIngredient {
  /** Name of the file, as the signer wrote it. */
  title: string;
  /** `componentOf` for an input, `parentOf` for the file before it was signed again. */
  relationship: string;
  /** What its own credentials were when the file was signed. */
  state: "trusted" | "self-signed" | "untrusted" | "expired" | "not-yet-valid" | "tampered" | "damaged" | "absent";
  /** Who signed it; empty if nobody did. */
  signer: string;
  /** Whether its credentials mark it as made by AI. */
  is_ai: boolean;
}

/** The number of deleted jobs. */
export interface Deleted {
  deleted: number;
}

/** What became of the delivery of an event to a webhook. */
export interface DeliveryEntry {
  /** Id of the delivery, the same for all attempts. */
  id: string;
  /** Id of the job. */
  job: string;
  /** Client that owns the job. */
  client: string;
  /** Kind of the event. */
  event: string;
  /** Address of the receiver. */
  url: string;
  /** `pending`, `delivered` or `failed`. */
  state: "pending" | "delivered" | "failed";
  /** Unix time of the event. */
  created: number;
  /** Number of attempts. */
  attempts: number;
  /** Unix time of the next attempt; None if there is none. */
  due: number | null;
  /** Status of the last answer; None without one. */
  status: number | null;
  /** Why the last attempt failed; None if it did not. */
  error: string | null;
  /** Unix time at which it was delivered or given up. */
  ended: number | null;
}

/** A page of deliveries, the newest first. */
export interface DeliveryList {
  items: DeliveryEntry[];
  /** Cursor of the next page; null on the last page. */
  next: string | null;
}

/** A difference between the translated workflow and ComfyUI. */
export interface Difference {
  /** Node that differs; empty if the difference is about the whole workflow. */
  node: string;
  message: string;
}

/** Disk space of the server's home folder, in bytes. */
export interface Disk {
  total: number;
  free: number;
}

/** A file of a download. */
export interface DownloadFileEntry {
  /** Path below the model's folder; the file's name for a single file. */
  path: string;
  /** Size; None if the source does not state it. */
  bytes: number | null;
  /** Digest that the source states; None if it states none. */
  sha256: string | null;
}

/** All downloads, the newest first. */
export interface DownloadList {
  items: ModelDownloadEntry[];
  next: string | null;
}

/** What a download would bring. */
export interface DownloadOfferEntry {
  /** Reference of the model. */
  source: string;
  /** Path of the file or folder below the models folder. */
  name: string;
  /** Kind, such as `lora`; it decides on the folder. */
  kind: string;
  files: DownloadFileEntry[];
  title: string;
  /** Size of all files; None if the source does not state it. */
  bytes: number | null;
  /** License as the source states it. */
  license: string | null;
  /** Whether the source asks for an accepted license and a token. */
  is_gated: boolean;
  /** Whether all files are on the server's machine already. */
  is_cached: boolean;
  base_model: string | null;
  trigger_words: string[];
  /** Address of its page. */
  page: string | null;
}

/** A model to download. */
export interface DownloadRequest {
  /** `org/name` or `org/name/FILE` of Hugging Face, `civitai:ID`, a hash, or an address. */
  source: string;
  /** Such as `fp16`. */
  variant?: string | null;
  /** Such as `lora`. */
  kind?: string | null;
  /** Name of the file or folder. */
  name?: string | null;
  /** Also accept pickle files. Default: `false`. */
  allow_pickle?: boolean;
  /** Digest that its one file must have. */
  sha256?: string | null;
}

/** The number of results that were deleted for good. */
export interface Emptied {
  deleted: number;
}

/** An event of a job. */
export interface EventEntry {
  /** Id of the job. */
  job: string;
  /** Client that owns the job. */
  client: string;
  /** Number of the job's attempt at that time. */
  attempt: number;
  /** What happened, such as `node.finished`; docs/websocket.md lists the kinds. */
  kind: string;
  /** The node it happened to, if any. */
  node: string | null;
  /** Further details, as plain values. */
  data: Record<string, unknown>;
  /**
   * Number of the event, which increases across all jobs; None for live events, which are progress
   * and previews.
   */
  seq: number;
  /** Number within the attempt's run; None for events of the queue. */
  number: number | null;
  /** Unix time; None for live events. */
  at: number;
  /** Seconds since the attempt's run started. */
  seconds: number | null;
}

/** A page of events, in order. */
export interface EventList {
  items: EventEntry[];
  /** Number to pass as `after` for the next page. */
  last: number;
  /** Whether there were no more events at that moment. */
  complete: boolean;
}

/** What the Content Credentials of a file say. All but `state` is a claim of the signer. */
export interface FileCredentials {
  /**
   * Result of the check. The file is as it was signed: `trusted`, by a certificate that the server
   * trusts; `self-signed`, and the name is not verified; `untrusted`, by a certificate that the
   * server does not trust; `expired`, by one that is not valid any more; `not-yet-valid`, by one
   * that is not valid yet. `tampered`: it was changed since. `damaged`: its credentials can't be
   * read. `absent`: it has none.
   */
  state: "trusted" | "self-signed" | "untrusted" | "expired" | "not-yet-valid" | "tampered" | "damaged" | "absent";
  /** Name in the certificate. */
  signer: string;
  /** Who issued the certificate; the signer itself if self-signed. */
  issuer: string;
  /** Time, ISO 8601; empty if none is recorded. */
  signed_at: string;
  /**
   * Whether a time stamp authority that the server trusts vouches for the time. Otherwise it is the
   * clock of the signer, or of anybody.
   */
  has_time_stamp: boolean;
  /** Who made the time stamp, as its certificate says; empty without one. */
  time_authority: string;
  /** Program that made the claim. */
  generator: string;
  /** Whether the file is marked as made by AI, also in part. */
  is_ai: boolean;
  /** IPTC's code of how it was made; empty if none is recorded. */
  source_type: string;
  /**
   * Whether it may be used for training: `allowed`, `notAllowed` or `constrained`; empty if nothing
   * is recorded.
   */
  training: string;
  /** Input files that it names. */
  ingredients: CredentialIngredient[];
  /** Whether nodegraph's manifest in the file is the one that was signed; null if none was signed. */
  manifest_matches: boolean | null;
  /** What does not match, with codes of C2PA. */
  problems: string[];
  /** Number of its invisible watermark; null without one. */
  watermark: number | null;
  /** Whether the server can sign files. */
  can_sign: boolean;
}

/** Lineage of a file, as far as the client may see it. */
export interface FileLineage {
  /** Key of the file. */
  subject: string;
  /** Everything that the other fields name, by their keys. */
  items: LineageItem[];
  /** What the subject was made from, step by step. */
  made_from: LineageEdge[];
  /** What was made from the subject, step by step. */
  used_in: LineageEdge[];
  /** Output files that share an input, a model, an adapter or a seed with it. */
  related: LineageGroup[];
  /** Whether nothing was left out because there is too much. */
  complete: boolean;
}

/** A problem of a workflow, a file or a value. */
export interface Finding {
  /** Stable name of the kind of problem, such as `unknown-node-type`. */
  code: string;
  /** What is wrong, in one sentence without the place. */
  message: string;
  /** Name of the node in the workflow. */
  node?: string | null;
  /** Type of that node. */
  node_type?: string | null;
  /** Input or output port. */
  port?: string | null;
  /** Given value, as text. */
  given?: string | null;
  /** Allowed values, as text. */
  expected?: string | null;
  /** Next step that fixes it. */
  hint?: string | null;
}

/** A frame of a video: its time, or its number. */
export interface FrameRequest {
  /** Seconds from the beginning. */
  time?: number | null;
  /** Number of the frame, from 0. */
  index?: number | null;
}

/** Images that are combined in rows and columns. */
export interface GridRequest {
  /** Digests of artifacts, row by row; null for an empty cell. */
  rows: ((string | null)[])[];
  column_labels?: string[];
  row_labels?: string[];
  title?: string;
  /** Side of the square that each image fits into, in pixels. Default: `512`. */
  cell?: number;
  /** Default: `"png"`. */
  format?: "png" | "webp" | "jpeg";
}

/** A ComfyUI workflow, or the metadata of an image or video with the settings of a tool. */
export interface ImportWish {
  /** Content of the file: the API format, or the UI format of version 0.4 or 1.0. */
  document?: Record<string, unknown> | null;
  /**
   * Metadata by name: `workflow` and `prompt` of ComfyUI; `parameters` of A1111, Forge, Civitai,
   * Fooocus and SwarmUI; `invokeai_metadata`; `Comment` and `Description` of NovelAI; `xmp` of Draw
   * Things.
   */
  texts?: Record<string, string> | null;
}

/** A file of the server's inputs folder. */
export interface InputFileEntry {
  /** Value for a file input of a workflow that reads this file. */
  path: string;
  /** Media type, by its suffix. */
  media_type: string;
  /** Size in bytes. */
  size: number;
  /** Unix time of the last change. */
  modified: number;
  /** Path of the file on the server. */
  href: string;
}

/** Newest files of the inputs folder, the newest first. */
export interface InputList {
  /** Shown only to clients that may run jobs. */
  items: InputFileEntry[];
  next: string | null;
}

/**
 * A typed input.
 *
 * Attributes:
 * type: Type expression, such as ``Image`` or ``list[int]``.
 * required: Whether it must be linked or given.
 * nullable: Whether ``null`` is allowed, which means "not given".
 * lazy: Whether it is evaluated only if the node requests it.
 * raw_link: Whether the node receives the link itself, a `core.ports.RawLink`, not its value.
 * default: Value if none is given.
 * json_schema: JSON Schema of a literal; None for types that can only be linked.
 * widget: Widget in an editor: ``multiline``, ``seed``, ``file:image``, ``pack:curve`` for the
 * pack's own ``widgets/curve.js``; empty for the default widget of the type.
 * step: Step of a number's widget.
 * advanced, group: Position in an editor.
 * prompt: Whether it is a prompt, which files of results may leave out.
 * help: Help text, one sentence.
 * body: Interface to the subgraph that the input names, if the node runs one.
 * passed_on: Whether it is an input of that subgraph. The node's function receives it in its
 * ``**inputs``, if it is given.
 */
export interface InputSpec {
  name: string;
  type: string;
  required: boolean;
  nullable: boolean;
  lazy: boolean;
  raw_link: boolean;
  default: unknown;
  json_schema: Record<string, unknown> | null;
  widget: string;
  step: number | null;
  advanced: boolean;
  group: string;
  prompt: boolean;
  help: string;
  body: BodySpec | null;
  passed_on: boolean;
}

/** A job with its request and its result. */
export interface JobDetail {
  id: string;
  /** Client that owns the job. */
  client: string;
  name: string;
  state: "queued" | "running" | "finished" | "failed" | "cancelled";
  /** Whether it is held until it is released. */
  held: boolean;
  /** Pending request to the worker of a running job: `cancel`, `pause` or null. */
  wanted: "cancel" | "pause" | null;
  /** -100 to 100; the highest runs first. */
  priority: number;
  /** Unix time at which it was submitted. */
  created: number;
  /** Unix time at which the last attempt started. */
  started: number | null;
  /** Unix time at which it ended. */
  finished: number | null;
  /** Number of times that a worker has started it. */
  attempt: number;
  /** Number of times that its worker died. */
  deaths: number;
  /** Worker that runs it or ran it last. */
  worker: string | null;
  tags: string[];
  /** Digest of the workflow's text. */
  workflow: string;
  parameters: Record<string, unknown>;
  /** Nodes to run; None for all nodes that write a result. */
  targets: string[] | null;
  options: Record<string, unknown>;
  /** Plan of the job, if it was requested. */
  plan: Record<string, unknown> | null;
  /** Outputs of the job; None unless it has finished. */
  outputs: JobOutputs | null;
  /**
   * First problem of a failed job, with all problems under `problems` and earlier warnings of nodes
   * under `warnings`, as in `outputs`.
   */
  error: Record<string, unknown> | null;
  /** Why it failed, if it did. */
  fault: JobFault | null;
  /** Unix time until which it waits; None if it waits for no time. */
  not_before: number | null;
  links: JobLinks;
}

/** A job without its request and its result. */
export interface JobEntry {
  id: string;
  /** Client that owns the job. */
  client: string;
  name: string;
  state: "queued" | "running" | "finished" | "failed" | "cancelled";
  /** Whether it is held until it is released. */
  held: boolean;
  /** Pending request to the worker of a running job: `cancel`, `pause` or null. */
  wanted: "cancel" | "pause" | null;
  /** -100 to 100; the highest runs first. */
  priority: number;
  /** Unix time at which it was submitted. */
  created: number;
  /** Unix time at which the last attempt started. */
  started: number | null;
  /** Unix time at which it ended. */
  finished: number | null;
  /** Number of times that a worker has started it. */
  attempt: number;
  /** Number of times that its worker died. */
  deaths: number;
  /** Worker that runs it or ran it last. */
  worker: string | null;
  tags: string[];
  /** Why it failed, if it did. */
  fault: JobFault | null;
  /** Unix time until which it waits; None if it waits for no time. */
  not_before: number | null;
  links: JobLinks;
}

/** A short description of why a job failed. */
export interface JobFault {
  code: string;
  message: string;
  /** Node that failed, if there is one. */
  node: string | null;
}

/** The jobs of a table, one for each row. */
export interface JobGroup {
  /** Tag of all of them, to list and cancel them by. */
  group: string;
  /** Their ids, in the order of the rows. */
  jobs: string[];
}

/** Paths of more data of a job on the server. */
export interface JobLinks {
  self: string;
  workflow: string;
  events: string;
}

/** A page of jobs. */
export interface JobList {
  items: JobEntry[];
  /** Cursor of the next page; null on the last page. */
  next: string | null;
}

/** Outputs of a job. */
export interface JobOutputs {
  files: OutputFile[];
  /** Digests of node outputs, by `node.port`. */
  outputs: Record<string, string>;
  /** Numbers of nodes that `ran` and were `cached`. */
  nodes: Record<string, number>;
  seconds: number;
  /** Id of its record in the server's store, for `nodegraph runs`. */
  run: string;
  /**
   * Warnings of nodes about their results, those of cached results included. Only the first ones
   * are kept if there are very many.
   */
  warnings: NodeWarning[];
  /** JSON objects that nodes returned to be shown, by node, those of cached results included. */
  ui: Record<string, unknown>;
  [more: string]: unknown;
}

/** The request for a new job. */
export interface JobWish {
  /** The content of a workflow file, or the name of a saved workflow. */
  workflow: SavedReference | Record<string, unknown>;
  /** Values of the workflow's named parameters. */
  parameters?: Record<string, unknown>;
  /** Nodes to run, with the nodes that they need. Default: all nodes that write a result. */
  targets?: string[] | null;
  options?: RunOptions;
  /** Display name; without one, the workflow's title. */
  name?: string;
  /** Tags to find the job by. */
  tags?: string[];
  /** Jobs with the highest priority run before all others. Default: `0`. */
  priority?: number;
  /** Hold the job until it is released. Default: `false`. */
  held?: boolean;
  /**
   * Time before which the job does not start: Unix time, or ISO 8601. Without an offset it is the
   * server's local time.
   */
  not_before?: number | string | null;
  /** Where the job's events are sent. By default the webhook of the token; `none` for nowhere. */
  webhook?: WebhookWish | "none" | null;
  /** Plan the job first, and store the plan with it. This takes longer. Default: `false`. */
  plan?: boolean;
}

/** A change of what is noted about results. Omitted fields stay unchanged. */
export interface LibraryChange {
  /** Of artifacts. */
  digests: string[];
  stars?: number | null;
  add_tags?: string[];
  remove_tags?: string[];
  /** Any text; null or empty removes it. */
  note?: string | null;
  /** Id of a board; null takes the results off their boards. */
  board?: string | null;
}

/** One file was made from another. */
export interface LineageEdge {
  /** Key of what it was made from. */
  source: string;
  /** Key of the output file. */
  result: string;
}

/** Output files that share a source with the subject. */
export interface LineageGroup {
  /** Key of what they share. */
  source: string;
  /** Keys of the newest of them, without the subject. */
  results: string[];
  /** Whether there are more. */
  has_more: boolean;
}

/** A file, or something else that an output file was made from. */
export interface LineageItem {
  /** Digest of the file or of the pack's code; of a seed, the number. */
  key: string;
  /** What it is to the files that were made from it; `result` for an output file. */
  role: "result" | "input" | "model" | "adapter" | "pack" | "seed";
  /** Name of the file, of the pack or of the input that has the seed. */
  name: string;
  /** Kind of the model component, or version of the pack. */
  detail: string;
  /** The output file, with its addresses; None for everything else. */
  artifact: ArtifactEntry | null;
  /** Path of the file on the server; None if the client has no such file. */
  href: string | null;
  /** Path of its thumbnail on the server; None if there is none. */
  thumbnail: string | null;
}

/** A link to a page of another site. */
export interface LinkEntry {
  title: string;
  url: string;
  /** Whether the page is the requested item; otherwise it may contain the item. */
  exact: boolean;
}

/** A folder of models of another program. */
export interface LinkRequest {
  /**
   * Folder of ComfyUI, A1111, InvokeAI or other models on the server's machine, or ComfyUI's file
   * `extra_model_paths.yaml`.
   */
  path: string;
}

/** A folder of models of another program, which is only read. */
export interface LinkedFolderEntry {
  folder: string;
  /** Whether it is there. */
  exists: boolean;
  /** Number of models in it. */
  models: number;
}

/** Linked folders of models of other programs. */
export interface LinkedFolders {
  items: LinkedFolderEntry[];
  next: string | null;
}

/** Memory, in bytes. */
export interface Memory {
  /** Memory of the machine. */
  total: number;
  available: number;
  /** Memory of the server's own process. */
  server: number;
}

/** What both sides of a merge changed, or what one removed and the other needs. */
export interface MergeConflict {
  /** What it is; see `WorkflowChange`. */
  kind: string;
  /** What the sides did. */
  reason: string;
  /** Place in the merged workflow. */
  path: (string | Record<string, string>)[];
  /** What the sides did and which of it the workflow keeps. */
  message: string;
  /** The three values; null where there is none. */
  base: unknown;
  /** The three values; null where there is none. */
  ours: unknown;
  /** The three values; null where there is none. */
  theirs: unknown;
  /** Which of `base`, `ours` and `theirs` have none. */
  absent: string[];
  /** Whether it concerns the layout only. */
  quiet: boolean;
  /** Indices of the changes of both sides that take part in it. */
  our_changes: number[];
  /** Indices of the changes of both sides that take part in it. */
  their_changes: number[];
}

/** Two workflows with a common base, and what to leave out of their changes since. */
export interface MergeWish {
  /** The content of a workflow file. */
  base: Record<string, unknown>;
  /** The content of a workflow file. */
  ours: Record<string, unknown>;
  /** The content of a workflow file. */
  theirs: Record<string, unknown>;
  /** Indices of changes to leave out. */
  skipped_ours?: number[];
  /** Indices of changes to leave out. */
  skipped_theirs?: number[];
}

/** A merge of two workflows with a common base. */
export interface MergedWorkflow {
  /** Content of the merged file. Where there is a conflict, it has ours. */
  workflow: Record<string, unknown>;
  /** What could not be kept from both sides. */
  conflicts: MergeConflict[];
  /** The changes of each side since the base. */
  ours: WorkflowChange[];
  /** The changes of each side since the base. */
  theirs: WorkflowChange[];
  /**
   * Indices of changes that are left out: the requested ones, and those that cannot be kept without
   * them.
   */
  skipped_ours: number[];
  /**
   * Indices of changes that are left out: the requested ones, and those that cannot be kept without
   * them.
   */
  skipped_theirs: number[];
}

/** Models that a workflow names and the server lacks. */
export interface MissingList {
  items: MissingModelEntry[];
  next: string | null;
}

/** A model that a workflow names and the server lacks. */
export interface MissingModelEntry {
  /** As the workflow names it; value for `name` of its download. */
  name: string;
  /** Reference for its download; None if the workflow does not state one. */
  source: string | null;
  /** Value for `kind` of its download. */
  kind: string | null;
  /** Digest that the workflow states. */
  sha256: string | null;
  /** Size of the download; None if it is not known. */
  bytes: number | null;
  license: string | null;
  /** Address of the page with the license. */
  license_url: string | null;
  /** Whether its source asks for an accepted license and a token. */
  is_gated: boolean;
  /** Why it cannot be downloaded; None if it can. */
  problem: string | null;
  /** Name of a model here with the same bytes or file name. */
  installed_as: string | null;
}

/** A workflow. */
export interface MissingRequest {
  /** The content of a workflow file, or the name of a saved workflow. */
  workflow: SavedReference | Record<string, unknown>;
  /** Values of the workflow's named parameters. */
  parameters?: Record<string, unknown>;
  /** Nodes to run, with the nodes that they need. Default: all nodes that write a result. */
  targets?: string[] | null;
}

/** A download of a model to the server. */
export interface ModelDownloadEntry {
  id: string;
  /** Path of the file or folder below the models folder. */
  name: string;
  /** Reference of the model; empty for callers who are no admins. */
  source: string;
  /**
   * `queued`, `running`, `waiting` (for its source to answer again), `paused`, `failed` or
   * `finished`.
   */
  state: "queued" | "running" | "waiting" | "paused" | "failed" | "finished";
  /** Size of all files; None if the source does not state it. */
  bytes: number | null;
  /** Number of bytes that are there. */
  done: number;
  /** Bytes per second; 0 unless it runs. */
  speed: number;
  /** Seconds until the end at this speed; None if they are not known. */
  seconds_left: number | null;
  /** Why it failed, or what it waits for; None if neither. */
  error: string | null;
  /** Unix time at which it was added. */
  created: number;
}

/** A model on the server. */
export interface ModelEntry {
  /** Value for the model input of `LoadModel`, or of the node type `node`. */
  name: string;
  /** `diffusers`, `checkpoint` or `embedded`. */
  kind: "diffusers" | "checkpoint" | "embedded";
  /** Model family; None if the model cannot be used or fits several families. */
  family: string | null;
  /** Size in bytes on disk or in remote storage. */
  bytes: number;
  /** Why it cannot be used; None if it can. */
  problem: string | null;
  /** Path of its thumbnail on the server; None if there is none. */
  thumbnail: string | null;
  /** Component that the file contains, such as a transformer; None for whole models. */
  part: string | null;
  /** Type of the node that loads it; None if it cannot be used. */
  node: string | null;
  /** Kind of file input that accepts it. */
  use: "model" | "lora" | "embedding";
  /** Whether it is in a bucket or a shared folder and is fetched when needed. */
  is_remote: boolean;
  /**
   * False for a remote model of which only the name is known yet. The server then reads its header
   * and sends `models.changed`.
   */
  is_looked_at: boolean;
  /** Words that prompts should contain. */
  trigger_words: string[];
  title: string | null;
  /** Reference of its download; None if it is not known. An address is shown only to admins. */
  source: string | null;
  license: string | null;
  /** Model that it belongs to, in the words of its source. */
  base_model: string | null;
  /** As people have set them; 0 to 5 stars. */
  notes: string | null;
  /** As people have set them; 0 to 5 stars. */
  tags: string[];
  /** As people have set them; 0 to 5 stars. */
  stars: number;
  /** Unix time of the download; None if it is not known. */
  added: number | null;
  /** Unix time of the last job that names it; None if no job does. */
  used: number | null;
  /** Digest of a single file; None until the server has computed it. */
  sha256: string | null;
  /** Hashes by which Civitai and A1111 know a file; None until computed. */
  autov2: string | null;
  /** Hashes by which Civitai and A1111 know a file; None until computed. */
  autov3: string | null;
  /** Names of models with the same bytes. */
  duplicates: string[];
  /** Settings that suit it; None if nothing is known. */
  suits: ModelSettingsEntry | null;
}

/** All models of the server. */
export interface ModelList {
  items: ModelEntry[];
  next: string | null;
  /** Folders for more models, shown only to admins. */
  folders: string[];
}

/** A new name of a model. */
export interface ModelMove {
  name: string;
  new: string;
}

/** What is known about a model: from its download, from files beside it, from its header. */
export interface ModelRecordEntry {
  /** Reference of a download; None if it is not known. */
  source: string | null;
  title: string | null;
  /** Address of its page. */
  page: string | null;
  license: string | null;
  author: string | null;
  /** Model that it belongs to, in the words of its source. */
  base_model: string | null;
  /** Words that prompts should contain. */
  trigger_words: string[];
  notes: string | null;
  /** As people have set them; 0 to 5 stars. */
  tags: string[];
  /** As people have set them; 0 to 5 stars. */
  stars: number;
  /** Digests that the source stated, by path within the model. */
  sha256: Record<string, string>;
  /** Unix time of the download; None if it is not known. */
  added: number | null;
}

/** Settings that suit a model; null where nothing is known. */
export interface ModelSettingsEntry {
  /** Pixels of an image. */
  width: number | null;
  /** Pixels of an image. */
  height: number | null;
  /** Sampling steps. */
  steps: number | null;
  /** Guidance scale, `cfg` of samplers. */
  guidance: number | null;
  /** Names, as samplers take them. */
  sampler: string | null;
  /** Names, as samplers take them. */
  schedule: string | null;
}

/** A newer version of a model. */
export interface ModelUpdateEntry {
  /** Reference of a newer version; None if there is none, as far as is known. */
  source: string | null;
  /** Address of its page. */
  page: string | null;
}

/** What names a model. */
export interface ModelUsesEntry {
  /** Names of saved workflows that name it. */
  saved: string[];
  /** Number of the newest jobs that name it, of those that the queue keeps. */
  jobs: number;
  /** Unix time of the newest of them; None if there is none. */
  last: number | null;
}

/** Words that a model's text encoder knows. */
export interface ModelWords {
  /** Words, the most common first; empty if none are known. */
  words: string[];
}

/** A move to the position directly before another job of the same client and priority. */
export interface MoveBefore {
  before: string;
}

/** A move to the front or the end of the jobs of the same client and priority. */
export interface MoveToEnd {
  to: "first" | "last";
}

/** A model that was moved. */
export interface MovedModel {
  /** Its name now. */
  name: string;
}

/** A missing file of weights. */
export interface NeededModel {
  name: string;
  /** Sub-folder of a models folder for the file; empty if it is not known. */
  folder: string;
  /** Download address from the workflow file; empty if the file has none. */
  url: string;
}

/** A node type, with all data that editors and checks need. */
export interface NodeType {
  type: string;
  pack: string;
  version: number;
  label: string;
  category: string;
  summary: string;
  help: string;
  inputs: InputSpec[];
  outputs: OutputSpec[];
  lane: "gpu" | "cpu" | "io";
  is_async: boolean;
  deterministic: boolean;
  output: boolean;
  output_files: boolean;
  numerics: boolean;
  continues: string[];
  deprecated: string;
  experimental: boolean;
  tags: string[];
  skips_blocked: boolean;
  takes_more: boolean;
  facts: Record<string, Record<string, string>>;
  hidden: Record<string, "node" | "workflow" | "metadata" | "graph">;
  foreign: Record<string, unknown>;
  /** Example workflow of the node type; null if there is none. */
  example: NodeTypeExample | null;
  /** JSON Schema of the node's `inputs` in a workflow, links included. */
  inputs_schema: Record<string, unknown>;
}

/** A small workflow that shows what a node type does. */
export interface NodeTypeExample {
  /** Path of the workflow on the server. */
  href: string;
  /** Path of an example image on the server; null if there is none. */
  picture: string | null;
  /** Files that the workflow reads, which must be uploaded. */
  needs: string[];
  /** Folders that the workflow reads; `POST` to `…/example/folders` copies them. */
  folders: string[];
}

/** Texts of a node type for search and help. */
export interface NodeTypeHelp {
  /** One sentence on what the node does. */
  summary: string;
  /** More search words. */
  tags: string[];
  help: string;
  /** By input; inputs without a text are missing. */
  inputs: Record<string, string>;
  /** By output; outputs without a text are missing. */
  outputs: Record<string, string>;
}

/** Texts of all node types. */
export interface NodeTypeHelpList {
  /** By node type. */
  items: Record<string, NodeTypeHelp>;
}

/** All node types of the server. */
export interface NodeTypeList {
  next: string | null;
  port_types: PortTypeEntry[];
  /** Widgets and panels that packs add to the editor. */
  frames: PackFrame[];
  /** Versions of the packs by name. */
  packs: Record<string, string>;
  /** Problems of packs; other packs still work. */
  problems: string[];
  /** The most used node types, to be suggested first. */
  usage: NodeTypeUsage;
  /**
   * Packs that are still being read: their node types may still appear. An empty name means the
   * built-in nodes.
   */
  unread: string[];
  /**
   * Packs whose nodes run in a process of the pack, by name. In a `sandbox` they have no network
   * and cannot write files.
   */
  isolated: Record<string, "process" | "sandbox">;
  items: NodeType[];
}

/**
 * Names of node types, categories and ports in a language, to be shown.
 *
 * Workflows and the API use the English names. A name without a translation is missing.
 */
export interface NodeTypeNames {
  /** The language that there is, `en` if there are no translations. */
  language: string;
  /** By node type. */
  types: Record<string, string>;
  /** By the parts of categories between slashes. */
  categories: Record<string, string>;
  /** Of inputs and outputs, by pack, then by port; an empty name means the built-in nodes. */
  ports: Record<string, Record<string, string>>;
}

/** A short description of a node type, for lists. */
export interface NodeTypeSummary {
  /** Name of the node type in workflows. */
  type: string;
  /** Pack of the node type; empty for the built-in nodes. */
  pack: string;
  /** Display name. */
  label: string;
  category: string;
  /** One sentence on what the node does. */
  summary: string;
  /** More search words. */
  tags: string[];
  /** Replacement; empty if the node is not deprecated. */
  deprecated: string;
  experimental: boolean;
  /** Path of the full node type on the server, with its inputs and outputs. */
  href: string;
}

/** A page of summaries of node types, sorted by name. */
export interface NodeTypeSummaryList {
  items: NodeTypeSummary[];
  /** Cursor of the next page; null on the last page. */
  next: string | null;
}

/** Counts of the shipped workflows that use a node type or a link. */
export interface NodeTypeUsage {
  /** By node type. */
  types: Record<string, number>;
  /**
   * By output, then by input, then by the model family of the link's value; an empty name where the
   * family is not known.
   */
  links: Record<string, Record<string, Record<string, number>>>;
}

/** A warning of a node about its results. */
export interface NodeWarning {
  /** Name of the node; None if the warning is not about a single node. */
  node: string | null;
  message: string;
}

/** Models of other sites. */
export interface OfferList {
  items: OfferedModelEntry[];
  next: string | null;
}

/** A model that a search at Hugging Face or Civitai has found. */
export interface OfferedModelEntry {
  /** `huggingface` or `civitai`. */
  source: "huggingface" | "civitai";
  /** Value for `source` of a new download. */
  reference: string;
  title: string;
  /** Kind, such as `lora`; empty if it is not known. */
  kind: string;
  /** Model that it belongs to, in the words of the source. */
  base_model: string | null;
  license: string | null;
  /** Whether the source asks for an accepted license and a token. */
  is_gated: boolean;
  downloads: number;
  likes: number;
  /** Size of its main file; None if it is not known. */
  bytes: number | null;
  /** Words that prompts should contain. */
  trigger_words: string[];
  /** Address of its page. */
  page: string;
}

/**
 * A model of OpenAI's images API.
 *
 * Attributes:
 * app: Name of the saved workflow that generates images; ``nodegraph`` for the built-in app.
 * edits: Name of the saved workflow that edits images; the same one if not given.
 * parameters: The app's parameters by field of a request, such as ``{"prompt": "text"}``, if
 * their names do not tell. An empty name ignores the field.
 */
export interface OpenAIModel {
  app: string;
  edits: string;
  parameters: Record<string, string>;
}

/** An output file of a job. */
export interface OutputFile {
  name: string;
  /** Node that wrote it. */
  node: string;
  /** Kind of the file, for people. */
  kind: string;
  media_type: string;
  /** Size in bytes. */
  size: number;
  /** blake3 of the bytes. */
  digest: string;
  /** Size in pixels of an image or video; None if it is not known. */
  width: number | null;
  /** Size in pixels of an image or video; None if it is not known. */
  height: number | null;
  /** Path of the file on the server. */
  href: string;
  /** Path of its thumbnail on the server; None if there is none. */
  thumbnail: string | null;
  /** Whether an earlier job wrote the same file, and this job reused it. */
  existed: boolean;
}

/**
 * A typed output.
 *
 * Attributes:
 * nullable: Whether the value may be None.
 * is_joined: Whether the lists of a mapped node's calls are joined to one list; else there is
 * a list of lists.
 */
export interface OutputSpec {
  name: string;
  type: string;
  nullable: boolean;
  is_joined: boolean;
  help: string;
}

/** A change of the server's packs: an installation, for example. One runs at a time. */
export interface PackChange {
  /** Name of the pack. */
  name: string;
  action: "install" | "update" | "rollback" | "enable" | "disable" | "remove";
  /** `running`, `done` or `failed`. It is `stopped` if somebody must agree to `costs` first. */
  state: "running" | "done" | "failed" | "stopped";
  /** What happens now. */
  step: string;
  /** What to agree to, such as a second torch of several GB. */
  costs: string[];
  /** What else to know. */
  notes: string[];
  /** Why it failed. */
  error: string | null;
  /** Unix time. */
  started: number;
}

/** An installed pack. */
export interface PackEntry {
  /** Prefix of its node types. */
  name: string;
  version: string;
  /** `native` or `comfyui`. */
  kind: "native" | "comfyui";
  /** Folder, git address, wheel or package that it comes from. */
  source: string;
  /** The index that named it; empty if a person gave the source. */
  index: string;
  summary: string;
  license: string;
  /** Whether its node types are offered. */
  enabled: boolean;
  /** Whether its code has the rights of the server's user; else it runs in a sandbox. */
  trusted: boolean;
  /** Whether it runs in a process of its own. */
  isolated: boolean;
  /** Name of its own environment; empty if it uses the packages of nodegraph. */
  environment: string;
  /** Number of its node types. */
  node_types: number;
  /** Earlier versions, the newest first. The first is the one of a rollback. */
  earlier: string[];
  /** A newer version in the index. */
  newer: string | null;
  /** Reasons why it may not run. */
  problems: string[];
}

/** A widget or panel that a pack adds to the editor. */
export interface PackFrame {
  pack: string;
  kind: "widget" | "panel";
  name: string;
  /** A panel's title; empty for a widget. */
  label: string;
  help: string;
  /** Page for a sandboxed frame without an origin. Its path changes with the pack's file. */
  href: string;
}

/** The installed packs, and the change that runs or ran last. */
export interface PackList {
  items: PackEntry[];
  /** Whether the settings name an index, from which packs can be installed. */
  has_index: boolean;
  change: PackChange | null;
  next: string | null;
}

/** A pack to install. Only packs of the configured indexes can be installed. */
export interface PackRequest {
  /** Name of the pack in the index. */
  name: string;
  /** Such as `>=1.2`; the newest one by default. */
  version?: string;
  /** Accept the costs that an earlier attempt returned. Default: `false`. */
  agree?: boolean;
}

/** Plan of a run. */
export interface PlanEntry {
  valid: boolean;
  /**
   * For each node, whether it runs or is cached, with the expected time, memory and weights. `fit`
   * says how it fits on its device. `whole`: it fits completely. `parts`: its weights are loaded in
   * parts (`transfer_seconds` of its time). `small`: its work is also done in tiles or one by one.
   * `none`: it is likely to run out of memory. Empty: not known. `files` lists the files of a
   * cached node, as far as the caller has them.
   */
  nodes: Record<string, unknown>;
  /** Totals of the whole run; `room`: available bytes by device. */
  totals: Record<string, unknown>;
  /** Missing node types and models. */
  missing: Record<string, unknown>;
  problems: Finding[];
  /**
   * Nodes that a run would compute. If the workflow has problems, the nodes that they do not
   * affect: a job may name these as its `targets`.
   */
  targets: string[];
  /** Problems that do not prevent the run. */
  warnings: Finding[];
  [more: string]: unknown;
}

/** The request for a plan. Of the options, it uses what the files of the run carry. */
export interface PlanWish {
  /** The content of a workflow file, or the name of a saved workflow. */
  workflow: SavedReference | Record<string, unknown>;
  /** Values of the workflow's named parameters. */
  parameters?: Record<string, unknown>;
  /** Nodes to run, with the nodes that they need. Default: all nodes that write a result. */
  targets?: string[] | null;
  options?: RunOptions;
}

/** A type of values that links carry. */
export interface PortTypeEntry {
  name: string;
  /** Color of its ports and links. */
  color: string;
  /** Types whose ports also accept it. */
  parents: string[];
  description: string;
}

/** The problems of a request, in the format of RFC 9457. */
export interface ProblemDetails {
  type: string;
  title: string;
  status: number;
  detail: string;
  instance?: string | null;
  /** All problems that were found, not only the first. */
  problems: Finding[];
}

/** A Python script. */
export interface PythonScript {
  text: string;
}

/** The queue, as far as the caller may see it. */
export interface QueueEntry {
  /** Whether no new jobs are started. */
  paused: boolean;
  /** Counts of the caller's jobs, or of all jobs for an admin. */
  counts: StateCounts;
  /** Next jobs in the order in which they will start, as far as it is known now. */
  upcoming: JobEntry[];
}

/** State of the queue. */
export interface QueueState {
  paused: boolean;
  counts: StateCounts;
  /** Why the queue cannot be written; None if it can. */
  fault: string | null;
}

/**
 * Request rate of one client: of a token, or of an address without a token.
 *
 * Attributes:
 * requests_per_second: Largest average rate of requests.
 * burst: Largest number of requests at once.
 * failures_per_minute: Largest average rate of wrong tokens from one address.
 * failure_burst: Largest number of wrong tokens from one address at once.
 */
export interface RateLimits {
  requests_per_second: number;
  burst: number;
  failures_per_minute: number;
  failure_burst: number;
}

/** What people note about a model. Omitted fields stay unchanged. */
export interface RecordChange {
  notes?: string | null;
  tags?: string[] | null;
  stars?: number | null;
  trigger_words?: string[] | null;
}

/** Result of a reload of the node packs. */
export interface Refreshed {
  /** Number of node types. */
  node_types: number;
  /** Problems of packs. */
  problems: string[];
}

/** The number of results that the request took out of the trash. */
export interface RestoredResults {
  restored: number;
}

/**
 * Limits for keeping ended jobs and uploads; null for no limit.
 *
 * Attributes:
 * seconds, count: Longest time and largest number of finished and cancelled jobs.
 * failed_seconds, failed_count: The same limits for failed jobs.
 * upload_seconds: Seconds after which an unused upload is deleted.
 * upload_bytes: Bytes of all uploads together; the least recently used are deleted first.
 * trash_days: Days after which results in the trash are deleted.
 * every: Seconds between two cleanups.
 */
export interface Retention {
  seconds: number | null;
  count: number | null;
  failed_seconds: number | null;
  failed_count: number | null;
  upload_seconds: number | null;
  upload_bytes: number;
  trash_days: number | null;
  every: number;
}

/** New retention limits. Omitted fields stay unchanged; null removes a limit. */
export interface RetentionChange {
  seconds?: number | null;
  count?: number | null;
  failed_seconds?: number | null;
  failed_count?: number | null;
}

/** The request for a job per row of a table. */
export interface RowsWish {
  /** The content of a workflow file, or the name of a saved workflow. */
  workflow: SavedReference | Record<string, unknown>;
  /** Values of the workflow's named parameters. */
  parameters?: Record<string, unknown>;
  /** Nodes to run, with the nodes that they need. Default: all nodes that write a result. */
  targets?: string[] | null;
  options?: RunOptions;
  /** Display name; without one, the workflow's title. */
  name?: string;
  /** Tags to find the job by. */
  tags?: string[];
  /** Jobs with the highest priority run before all others. Default: `0`. */
  priority?: number;
  /** Hold the job until it is released. Default: `false`. */
  held?: boolean;
  /**
   * Time before which the job does not start: Unix time, or ISO 8601. Without an offset it is the
   * server's local time.
   */
  not_before?: number | string | null;
  /** Where the job's events are sent. By default the webhook of the token; `none` for nowhere. */
  webhook?: WebhookWish | "none" | null;
  /** Plan the job first, and store the plan with it. This takes longer. Default: `false`. */
  plan?: boolean;
  /**
   * The text of a CSV file with column names, or of a file with a JSON object per line; or the
   * objects themselves. Columns are parameters of the workflow, or inputs such as `sampler.seed`.
   * An empty cell or null leaves the workflow's value.
   */
  rows: string | (Record<string, unknown>)[];
}

/** Options of a job's run. */
export interface RunOptions {
  /** Seconds of run time after which the job is cancelled. */
  deadline?: number | null;
  /** Find nodes that change their inputs; slow. */
  check_mutation?: boolean | null;
  /**
   * What files of results carry to be made again: `none`; `minimal`, digests and versions; or
   * `full`, also the workflow. Default: the server's setting.
   */
  metadata?: "none" | "minimal" | "full" | null;
  /** Whether files of results contain prompts. Default: the server's setting. */
  metadata_prompts?: boolean | null;
  /** Also write the manifest of each result as a JSON file. Default: the server's setting. */
  sidecar?: boolean | null;
  /** Seconds without news after which a node counts as stalled, for all nodes or by node. */
  stall_seconds?: number | Record<string, number> | null;
}

/** A workflow as it was saved: its name and version. */
export interface SavedAs {
  /** Number of the version, from 1; increases with each change. */
  version: number;
  /** Digest of its text, which is its ETag; see `changes` of `Workflows.save`. */
  digest: string;
  /** Unix time at which it was saved. */
  saved: number;
  /** Size of its text in bytes. */
  size: number;
  /** Path of the version on the server. */
  href: string;
  name: string;
}

/** A saved workflow in a list. */
export interface SavedItem {
  name: string;
  title: string;
  description: string;
  /** Digest of its text, which is its ETag. */
  digest: string;
  /** Unix time of the last change. */
  saved: number;
  /** Names of its parameters. */
  parameters: string[];
  /** Number of nodes. */
  nodes: number;
  /** Why its file cannot be read; None if it can. */
  problem: string | null;
  /** Path of the workflow on the server. */
  href: string;
}

/** A page of saved workflows, sorted by name. */
export interface SavedList {
  items: SavedItem[];
  /** Cursor of the next page; null on the last page. */
  next: string | null;
}

/**
 * A workflow that is saved on the server.
 *
 * Attributes:
 * saved: Name of the workflow.
 * version: Number of the version; the newest if not given.
 */
export interface SavedReference {
  saved: string;
  version?: number | null;
}

/** A version of a saved workflow. */
export interface SavedVersion {
  /** Number of the version, from 1; increases with each change. */
  version: number;
  /** Digest of its text, which is its ETag; see `changes` of `Workflows.save`. */
  digest: string;
  /** Unix time at which it was saved. */
  saved: number;
  /** Size of its text in bytes. */
  size: number;
  /** Path of the version on the server. */
  href: string;
}

/** A request that becomes jobs at times, or one after the other until it is stopped. */
export interface ScheduleEntry {
  id: string;
  /** Client that owns the schedule and its jobs. */
  client: string;
  /** Display name. */
  name: string;
  /** When it fires, such as `every 90m`, `daily 02:00` or `endless`. */
  rule: string;
  /** Time zone of days and hours; empty for that of the server. */
  zone: string;
  /** What happens to seeds with each job: `random`, `increment` or `same`. */
  seeds: "random" | "increment" | "same";
  /** What happens if its time passed while no server ran: one job (`once`), or none (`skip`). */
  missed: "once" | "skip";
  /** Unix time after which it fires no more. */
  until: number | null;
  /** Number of jobs after which it ends; None for any number. */
  count: number | null;
  /** `active`, `paused` or `ended`. */
  state: "active" | "paused" | "ended";
  /** Unix time. */
  created: number;
  /** Unix time of the next firing; None if it waits for its job to end, or fires no more. */
  due: number | null;
  /** Number of jobs that it has submitted. */
  fired: number;
  /** Number of times at which it submitted none. */
  skipped: number;
  /** Id of its last job. */
  job: string | null;
  /** Tag of its jobs, to list them by. */
  tag: string;
  /** Why the last time came to nothing; None if it did not. */
  error: string | null;
}

/** Schedules, the oldest first. */
export interface ScheduleList {
  items: ScheduleEntry[];
}

/** The request for a new schedule. */
export interface ScheduleWish {
  /**
   * When jobs start: `every 90m`, `daily 02:00`, `weekdays 08:30`, `mon,thu 18:00`; or `endless`:
   * the next one when the last has ended.
   */
  rule: string;
  job: JobWish;
  /** Display name of the schedule and of its jobs. */
  name?: string;
  /** Time zone of days and hours; empty for that of the server. */
  zone?: string;
  /**
   * Seeds of each job: new random ones, those of the last job plus one, or the same. Default:
   * `"random"`.
   */
  seeds?: "random" | "increment" | "same";
  /** If its time passed while no server ran: one job at the next start, or none. Default: `"once"`. */
  missed?: "once" | "skip";
  /** Time after which it fires no more: Unix time, or ISO 8601. */
  until?: number | string | null;
  /** Number of jobs after which it ends. */
  count?: number | null;
}

/** The workflow that the script builds. */
export interface ScriptWish {
  /** The content of a workflow file. */
  workflow: Record<string, unknown>;
}

/** A secret of the server, without its value. */
export interface SecretInfo {
  /** Name that nodes use. */
  name: string;
  /** Hosts that it may be sent to. */
  hosts: string[];
  /** `file`, or `environment` for one from a variable. */
  source: string;
  /** Unix time of its last change; null for one from a variable. */
  changed: number | null;
}

/** The secrets of the server, without their values. */
export interface SecretList {
  /** Sorted by name. */
  secrets: SecretInfo[];
}

/** A secret to store. Its value is never returned. */
export interface SecretValue {
  /** The value: 4 to 4096 printable characters without spaces. */
  value: string;
  /** Hosts that it may be sent to, such as `api.openai.com`. */
  hosts: string[];
}

/** The request for a new secret. */
export interface SecretWish {
  /** Hours for which the former secret signs deliveries as well. Default: `24.0`. */
  hours?: number;
}

/**
 * Settings of one server.
 *
 * Attributes:
 * host: Address to listen at. Any address except loopback needs a token.
 * port: Port to listen at; 0 for any free port.
 * workers: Number of processes that run jobs; one for each device if not given. 0 accepts jobs
 * and runs none.
 * devices: Devices of the workers, in turn. By default all accelerators, or else the device of
 * the other settings.
 * warm: Whether workers load the libraries of models before a job needs them. If not, they
 * start faster and use less memory, and the first such job takes seconds longer.
 * help_jobs: Whether workers without a job help with a job of another worker, if it has
 * branches or lists. Waiting jobs have priority.
 * cluster: Address of the Ray cluster that workers run on: ``auto`` for the one of this
 * machine, which is started if there is none; ``HOST:PORT``; ``ray://HOST:10001``.
 * cluster_min_workers, cluster_max_workers: Number of workers in the cluster. The default
 * maximum is as many as fit.
 * cluster_idle_seconds: Seconds without a job after which a worker of the cluster is stopped.
 * cluster_kinds: Kinds of workers in the cluster, by name. By default there is one kind,
 * ``worker``, or one for each of `devices`.
 * root_path: Path below which a proxy serves the server, such as ``/studio``. The proxy may
 * remove the path from requests or not.
 * start_page: What the address ``/`` opens: ``editor``, or ``generate`` for the page without a
 * graph. Each browser may choose otherwise.
 * comfyui: Whether ComfyUI's routes are also at their own paths, such as ``/prompt`` and
 * ``/api/prompt``. They are always below ``/comfyui``. The editor moves to ``/editor``.
 * comfyui_frontend: Folder of ComfyUI's page, or ``auto`` for that of the installed package
 * ``comfyui-frontend-package``. The server has none itself.
 * allowed_hosts: Host names of the server in addition to loopback names, for example those of
 * a reverse proxy. If there are any, a token is needed, too.
 * allowed_origins: Other sites that may use it, such as ``https://studio.example``.
 * trusted_proxies: Addresses whose ``X-Forwarded-*`` headers are trusted.
 * limits, rates, retention, uploads, clients: See their classes.
 * queue: Address of a PostgreSQL database with the jobs of several servers. By default a file
 * in the home folder.
 * shared_files: URL of a bucket or mounted folder for uploads and output files, which servers
 * of one queue on several machines share. By default the home folder.
 * public_url: Address of the server for other machines, such as ``https://studio.example``.
 * Webhooks send links below it.
 * webhook_hosts: Hosts that webhooks may reach, ``*`` for any characters, and address ranges
 * that they may reach although they are private, also without TLS. By default all public
 * hosts.
 * most_waiting: Largest number of waiting jobs in total.
 * stall_seconds: Seconds without an event of a running node after which its worker is
 * restarted; null for no limit.
 * cancel_seconds: Seconds for a running job to stop after it was cancelled or its deadline has
 * passed; then its worker is restarted.
 * worker_memory: Bytes of a worker's memory above which it is restarted; 0 for no limit. By
 * default 85 % of the memory of the machine or its container, divided among the workers.
 * merge_jobs: Jobs that a worker may run at once if their samplings share batches, which the
 * setting `merge_steps` must allow; 1 runs them one after the other.
 * shutdown_seconds: Seconds for running jobs to reach their next checkpoint.
 * openai_models: Models of OpenAI's images API by name, in addition to saved workflows; ``*``
 * for all other names.
 * longest_wait: Seconds that a request of OpenAI's images API or MCP may wait for its job.
 * least_free: Bytes of free disk space below which the server is not ready.
 * session_seconds: Seconds after which a browser must log in again.
 * open_metrics: Whether all clients that can reach the server may read the metrics; otherwise
 * only those that may read.
 * log_format: ``text``, or ``json`` for one object per line.
 * log_level: Lowest level that is logged. Refused requests are always logged.
 */
export interface ServerSettings {
  host: string;
  port: number;
  workers: number | null;
  devices: string[];
  warm: boolean;
  help_jobs: boolean;
  cluster: string | null;
  cluster_min_workers: number;
  cluster_max_workers: number | null;
  cluster_idle_seconds: number;
  cluster_kinds: Record<string, ClusterKind>;
  root_path: string;
  start_page: "editor" | "generate";
  comfyui: boolean;
  comfyui_frontend: string | null;
  allowed_hosts: string[];
  allowed_origins: string[];
  trusted_proxies: string[];
  limits: BodyLimits;
  rates: RateLimits;
  retention: Retention;
  uploads: UploadLimits;
  clients: ClientLimits;
  queue: string | null;
  shared_files: string | null;
  public_url: string | null;
  webhook_hosts: string[] | null;
  most_waiting: number;
  stall_seconds: number | null;
  cancel_seconds: number;
  worker_memory: number | null;
  merge_jobs: number;
  shutdown_seconds: number;
  openai_models: Record<string, OpenAIModel>;
  longest_wait: number;
  least_free: number;
  session_seconds: number;
  open_metrics: boolean;
  log_format: "text" | "json";
  log_level: "debug" | "info" | "warning" | "error";
}

/** Settings that can be changed while the server runs. */
export interface SettingsChange {
  /** Rules for how long ended jobs are kept. */
  retention?: RetentionChange | null;
}

/** Where to get a model or a node pack. */
export interface SourceEntry {
  /** `model` or `pack`. */
  kind: "model" | "pack";
  /** Name as requested. */
  name: string;
  /** Instructions, in order. */
  steps: string[];
  links: LinkEntry[];
}

/** Sources of missing models and node packs. */
export interface SourceList {
  items: SourceEntry[];
  next: string | null;
}

/** The starter catalogue. */
export interface StarterList {
  items: StarterModelEntry[];
  next: string | null;
}

/** A model of the starter catalogue. */
export interface StarterModelEntry {
  id: string;
  title: string;
  description: string;
  /** What it is for, such as `image`. */
  purpose: string;
  /** Model family that it belongs to. */
  family: string | null;
  license: string | null;
  /** Address of its license. */
  license_url: string | null;
  /** Reference for a download. */
  source: string;
  /** Choice for this download; None for the usual one. */
  variant: string | null;
  /** Choice for this download; None for the usual one. */
  kind: string | null;
  /** Size of the download; None if the catalogue does not state it. */
  bytes: number | null;
  /** Memory in bytes that it needs; None if the catalogue does not state it. */
  memory: number | null;
  /** Settings that suit it. */
  settings: ModelSettingsEntry;
  /** Whether its source asks for an accepted license and a token. */
  is_gated: boolean;
  /** Whether the server's machine has this memory. */
  fits: boolean;
  /** Name of the model here; None if it is not here. */
  installed: string | null;
}

/** Number of jobs in each state. */
export interface StateCounts {
  queued: number;
  running: number;
  finished: number;
  failed: number;
  cancelled: number;
  /** Number of queued jobs that are held. */
  held: number;
}

/** Pieces of text around the prompts. ``{prompt}`` in them stands for the prompt. */
export interface StyleEntry {
  name: string;
  prompt?: string;
  negative_prompt?: string;
}

/** Styles in their order. */
export interface Styles {
  items: StyleEntry[];
}

/** The server and the machine that it runs on. */
export interface SystemEntry {
  /** Version of nodegraph. */
  version: string;
  python: string;
  platform: string;
  /** Unix time of the start. */
  started: number;
  /** Seconds since the start. */
  uptime: number;
  /** Devices that workers compute on. */
  devices: string[];
  workers: WorkerEntry[];
  /** Memory and disk space, in bytes. */
  memory: Memory;
  /** Memory and disk space, in bytes. */
  disk: Disk;
  queue: QueueState;
  /** Versions of the node packs by name. */
  packs: Record<string, string>;
  /** Number of node types. */
  node_types: number;
  /** Problems of node packs. */
  problems: string[];
}

/** A tag of the library. */
export interface TagCount {
  tag: string;
  /** Number of results that have it, without those in the trash. */
  count: number;
}

/** All tags, in alphabetical order. */
export interface TagCounts {
  items: TagCount[];
}

/** A list of tags that prompts are completed with. */
export interface TagListEntry {
  name: string;
  /** Number of tags. */
  tags: number;
  /** Size of the CSV. */
  bytes: number;
  href: string;
}

/** Tag lists, sorted by name. */
export interface TagLists {
  items: TagListEntry[];
}

/** A workflow that ships with the server, as a starting point. */
export interface TemplateItem {
  name: string;
  title: string;
  description: string;
  /** Names of its parameters. */
  parameters: string[];
  /** Files that it reads and that must be uploaded; see `Templates.file`. */
  needs: string[];
  /** Node types that it uses. */
  types: string[];
  /** Path of an example image on the server; None if there is none. */
  picture: string | null;
  /** Title and length of the lesson about it; None if there is none. */
  lesson: TemplateLesson | null;
  /** Path of the workflow on the server. */
  href: string;
}

/** What a list says of the lesson about a template. */
export interface TemplateLesson {
  /** Its title by language, such as `en`. */
  title: Record<string, string>;
  /** A sentence by language. */
  summary: Record<string, string>;
  /** Number of steps. */
  steps: number;
  /** Place in lists, from 0. */
  order: number;
}

/** Workflows that ship with nodegraph. */
export interface TemplateList {
  items: TemplateItem[];
  next: string | null;
}

/** A translated ComfyUI workflow, or one made of the settings in an image. */
export interface Translated {
  /** Content of the workflow file. */
  workflow: Record<string, unknown>;
  /**
   * Format of the ComfyUI document: `api`, `0.4` or `1.0`; or the tool that saved the image, such
   * as `A1111`.
   */
  format: string;
  /** Number of nodes that it had, those of blocks included. */
  nodes: number;
  /** Nodes that are kept as placeholders. */
  untranslated: UntranslatedNode[];
  /** Missing files of weights. */
  models: NeededModel[];
  /** Missing images and other files. */
  files: string[];
  /** Unknown model families. */
  families: string[];
  /** Differences from the other tool. */
  differences: Difference[];
  /** Other problems that prevent a run. */
  problems: Finding[];
}

/** The number of results that the request put into the trash. */
export interface TrashedResults {
  trashed: number;
}

/** A ComfyUI node without an equivalent, kept as a placeholder. */
export interface UntranslatedNode {
  /** Name in the translated workflow; in a block, `block/node`. */
  node: string;
  /** Type in ComfyUI. */
  type: string;
  /** ComfyUI pack of the node; empty if the file does not name it. */
  pack: string;
  /** Node types of nodegraph that may replace it. */
  stand_ins: string[];
  /** Why it is not translated. */
  reason: string;
  /** Command that installs its pack; empty if it is not known. */
  command: string;
}

/** A file that was uploaded to the server. */
export interface UploadEntry {
  /** blake3 of the bytes. */
  digest: string;
  /** Name of the file, without unsafe characters. */
  name: string;
  /** Media type, detected from the bytes. */
  media_type: string;
  /** Size in bytes. */
  size: number;
  /** Value for a file input of a workflow that reads this file. */
  value: string;
  /** Size in pixels of an image. */
  width: number | null;
  /** Size in pixels of an image. */
  height: number | null;
  /** Unix time of the upload. */
  created: number;
  /** Unix time at which it was last needed. */
  used: number;
  /** Path of the file on the server. */
  href: string;
}

/**
 * Limits of uploads.
 *
 * Attributes:
 * types: Accepted file types, detected from the bytes. Weights are accepted only if named
 * here.
 */
export interface UploadLimits {
  types: ("png" | "jpeg" | "webp" | "gif" | "ora" | "psd" | "mp4" | "webm" | "mkv" | "wav" | "flac" | "ogg" | "mp3" | "glb" | "ply" | "obj" | "sdf" | "pdb" | "workflow" | "safetensors")[];
}

/** A page of uploads, the newest first. */
export interface UploadList {
  items: UploadEntry[];
  /** Cursor of the next page; null on the last page. */
  next: string | null;
}

/** Result of the check of a model's file. */
export interface VerifiedFileEntry {
  /** Path within the model; its name for a single file. */
  path: string;
  /** Digest of its bytes; empty if the file is missing. */
  sha256: string;
  /** Digest that its source states; None if it is not known. */
  expected: string | null;
  /** Why it is damaged; None if it is not, as far as is known. */
  problem: string | null;
}

/** Result of the check of a model. */
export interface VerifiedFiles {
  files: VerifiedFileEntry[];
}

/** Stored versions of a saved workflow, the newest first. */
export interface VersionList {
  items: SavedVersion[];
  next: string | null;
}

/** A new secret, which is shown only in this answer. */
export interface WebhookSecret {
  secret: string;
}

/** How a test of a webhook went. */
export interface WebhookTest {
  /** Address of the receiver. */
  url: string;
  /** Whether the receiver took it. */
  delivered: boolean;
  /** Status of the answer; None without one. */
  status: number | null;
  /** Why it failed; None if it did not. */
  error: string | null;
}

/** The request for a test of a webhook. */
export interface WebhookTestWish {
  /** Address of the receiver. By default the webhook of the token. */
  url?: string | null;
}

/** An address that is sent events of a job. */
export interface WebhookWish {
  /** Address of the receiver. https, unless the server allows otherwise. */
  url: string;
  /** Kinds of events to send. Default: `["job.finished", "job.failed", "job.cancelled"]`. */
  events?: ("job.queued" | "job.started" | "job.finished" | "job.failed" | "job.cancelled")[];
  /**
   * Secret that signs the deliveries of this job: `whsec_` and base64. By default the secret of the
   * client. It is never shown.
   */
  secret?: string | null;
}

/** A worker process. */
export interface WorkerEntry {
  name: string;
  /** `worker` or `planner`; a planner answers requests and takes no jobs. */
  role: string;
  state: string;
  device: string;
  /** Number of restarts after it died. */
  restarts: number;
  pid: number | null;
  /** Job that it runs, if the caller may see it; the first if it runs several. */
  job: string | null;
  /** Node that started last in that job. */
  node: string | null;
  /** Memory in use, in bytes. */
  memory: number | null;
  /** Memory in use, in bytes. */
  device_memory: number | null;
  /** Seconds since the last heartbeat. */
  last_heartbeat: number | null;
  /** Seconds until the next start, if it is dead. */
  next_start: number | null;
  /** Versions of the libraries that it computes with. */
  versions: Record<string, string> | null;
  /**
   * Machine of the cluster that it runs on; empty while it waits for one, null for a worker on the
   * server's own machine.
   */
  host: string | null;
  /** Names of the models that it holds in memory. */
  weights: string[];
  /** Why it died last, until it is ready again. */
  fault: string | null;
  /** Job of another worker that it helps to compute while it has no job. */
  helps: string | null;
  /** All jobs that it runs at once and that the caller may see. */
  jobs: string[];
  /** Number of jobs that it has completed. */
  done: number;
  /** Jobs per hour, from the last ten minutes; null if it is new. */
  per_hour: number | null;
}

/** One difference of two workflows. */
export interface WorkflowChange {
  /** What happened: `added`, `removed`, `renamed` or `changed`. */
  change: "added" | "removed" | "renamed" | "changed";
  /**
   * What it is: `node`, `subgraph`, `subgraph input`, `subgraph output`, `parameter`, `type`,
   * `version`, `input`, `link`, `mode`, `label`, `note`, `comment`, `layout`, `requirement`,
   * `model`, `metadata`, or the key of the file.
   */
  kind: string;
  /** Place in the file: of removed and renamed parts in the first workflow, of others in the second. */
  path: (string | Record<string, string>)[];
  /** Value in the first workflow; null if it is added. */
  before: unknown;
  /** Value in the second workflow; null if it is removed. */
  after: unknown;
  /** Places that change with it, such as links to a removed node. */
  moved: ((string | Record<string, string>)[])[];
  /** Whether it concerns the layout only. */
  quiet: boolean;
}

/** How two workflows differ. */
export interface WorkflowComparison {
  /** The changes that make the second workflow of the first. */
  changes: WorkflowChange[];
  /**
   * SHA-256 digests that the workflows state for models, by their names: of the `first` and of the
   * `second`.
   */
  models: Record<string, Record<string, string>>;
}

/** A workflow with values of its parameters. */
export interface WorkflowWish {
  /** The content of a workflow file, or the name of a saved workflow. */
  workflow: SavedReference | Record<string, unknown>;
  /** Values of the workflow's named parameters. */
  parameters?: Record<string, unknown>;
  /** Nodes to run, with the nodes that they need. Default: all nodes that write a result. */
  targets?: string[] | null;
}
