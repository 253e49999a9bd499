// Uploads use XMLHttpRequest because fetch reports no progress.
import { endSession, me, PROBLEM_TYPE_PREFIX, Problem, parseProblem } from "./client";
import type { Upload } from "./types";

export interface Transfer {
  done: Promise<Upload>;
  stop: () => void;
}

/**
 * Send files, with the models to ask about them.
 * @param progress Called with the share of bytes sent, 0..1; at 1 the server is still reading them.
 */
export function sendFiles(files: File[], models: string[], progress: (share: number) => void): Transfer {
  const request = new XMLHttpRequest();
  const form = new FormData();
  for (const file of files) form.append("files", file, file.name);
  for (const model of models) form.append("models", model);
  request.open("POST", "/api/studies");
  if (me.value?.csrf) request.setRequestHeader("X-CSRF-Token", me.value.csrf);
  request.upload.onprogress = ({ loaded, total }) => progress(total > 0 ? loaded / total : 0);
  const done = new Promise<Upload>((resolve, reject) => {
    request.onload = () => {
      if (request.status === 201) resolve(JSON.parse(request.responseText) as Upload);
      else {
        if (request.status === 401) endSession();
        reject(readProblem(request));
      }
    };
    request.onerror = () =>
      reject(new Problem(0, "", "the server can't be reached", "", { type: `${PROBLEM_TYPE_PREFIX}unsent` }));
    request.onabort = () => reject(new Problem(-1, "", "stopped", "", { type: `${PROBLEM_TYPE_PREFIX}stopped` }));
  });
  request.send(form);
  return { done, stop: () => request.abort() };
}

function readProblem(request: XMLHttpRequest): Problem {
  let payload: unknown = null;
  try {
    payload = JSON.parse(request.responseText);
  } catch {
    // a proxy's own page, such as its 413
  }
  const problem = parseProblem(request.status, payload, request.statusText);
  const wait = Number.parseInt(request.getResponseHeader("Retry-After") ?? "", 10);
  if (Number.isFinite(wait)) problem.extensions.wait = wait;
  return problem;
}
