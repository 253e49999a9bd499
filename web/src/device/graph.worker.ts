// A worker that runs classifiers' graphs while the worker that started it judges the image. It makes no request but for
// ONNX Runtime's own script.
import { answerInTurn } from "./calls";
import { type Graph, type GraphReply, type GraphRequest, OwnGraph, startRuntime } from "./graph";

const graphs = new Map<number, Graph>();

async function answer(request: GraphRequest): Promise<GraphReply> {
  if (request.kind === "start") {
    startRuntime(request.threads, request.binary);
    return null;
  }
  if (request.kind === "load") {
    const graph = await OwnGraph.load(request.model);
    graphs.set(request.graph, graph);
    return { inputs: graph.inputs };
  }
  const graph = graphs.get(request.graph);
  if (!graph) throw new Error(`graph ${request.graph} is not loaded`);
  if (request.kind === "run") return graph.run(request.plane, request.outputs, request.lungs);
  await graph.release();
  graphs.delete(request.graph);
  return null;
}

answerInTurn<GraphRequest, GraphReply>(answer, (error) => ({
  problem: error instanceof Error ? error.message : String(error),
}));
