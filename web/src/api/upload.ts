// Uploads go by XMLHttpRequest, which alone tells how much has been sent. Names of files stay here: they may name a patient.
import { CODE, lost, me, Problem, problemIn } from "./client";
import type { Upload } from "./types";

export interface Sending {
  done: Promise<Upload>;
  stop: () => void;
}

/**
 * Send files, with the models to ask about them.
 * @param progress Called with the share of the bytes that has gone out, 0..1; at 1 the server is still reading them.
 */
export function send(files: Blob[], models: string[], progress: (share: number) => void): Sending {
  const request = new XMLHttpRequest();
  const form = new FormData();
  files.forEach((file, index) => {
    form.append("files", file, `file-${index + 1}`);
  });
  for (const model of models) form.append("models", model);
  request.open("POST", "/api/studies");
  if (me.value?.csrf) request.setRequestHeader("X-CSRF-Token", me.value.csrf);
  request.upload.onprogress = ({ loaded, total }) => progress(total > 0 ? loaded / total : 0);
  const done = new Promise<Upload>((resolve, reject) => {
    request.onload = () => {
      if (request.status === 201) resolve(JSON.parse(request.responseText) as Upload);
      else {
        if (request.status === 401) lost();
        reject(refused(request));
      }
    };
    request.onerror = () => reject(new Problem(0, "", "the server can't be reached", "", { type: `${CODE}unsent` }));
    request.onabort = () => reject(new Problem(-1, "", "stopped", "", { type: `${CODE}stopped` }));
  });
  request.send(form);
  return { done, stop: () => request.abort() };
}

function refused(request: XMLHttpRequest): Problem {
  let said: unknown = null;
  try {
    said = JSON.parse(request.responseText);
  } catch {
    // a proxy's own page, such as its 413
  }
  const problem = problemIn(request.status, said, request.statusText);
  const wait = Number.parseInt(request.getResponseHeader("Retry-After") ?? "", 10);
  if (Number.isFinite(wait)) problem.more.wait = wait;
  return problem;
}
