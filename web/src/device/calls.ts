// Requests to a worker and its replies, by number; the worker answers one after the other.

/** The side that asks. */
export class WorkerCalls<Q, R> {
  readonly #worker: Worker;
  readonly #waiting = new Map<number, { resolve: (reply: R) => void; reject: (error: Error) => void }>();
  #next = 0;
  #failure: Error | null = null;

  /** `onFailure`: it is gone, with all that it held, and answers no more. */
  constructor(worker: Worker, onFailure: () => void = () => undefined) {
    this.#worker = worker;
    worker.onmessage = ({ data }: MessageEvent<{ id: number; reply: R }>) => {
      this.#waiting.get(data.id)?.resolve(data.reply);
      this.#waiting.delete(data.id);
    };
    worker.onerror = (event) => {
      const failure = new Error(event.message || "the worker has stopped");
      this.#failure = failure;
      for (const { reject } of this.#waiting.values()) reject(failure);
      this.#waiting.clear();
      worker.terminate();
      onFailure();
    };
  }

  ask(request: Q, moved: Transferable[] = []): Promise<R> {
    if (this.#failure) return Promise.reject(this.#failure);
    const id = this.#next++;
    return new Promise((resolve, reject) => {
      this.#waiting.set(id, { resolve, reject });
      this.#worker.postMessage({ id, request }, moved);
    });
  }
}

/** Answer requests in a worker, in turn: a graph's session runs one image at a time. */
export function answerInTurn<Q, R>(answer: (request: Q) => Promise<R>, describe: (error: unknown) => R): void {
  let queue: Promise<unknown> = Promise.resolve();
  self.onmessage = ({ data }: MessageEvent<{ id: number; request: Q }>) => {
    queue = queue.then(async () => {
      const reply = await answer(data.request).catch(describe);
      self.postMessage({ id: data.id, reply });
    });
  };
}
