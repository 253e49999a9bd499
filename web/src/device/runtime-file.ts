// ONNX Runtime's WebAssembly, 14 MB. It is downloaded when the reader asks for it, checked and kept, as networks are.
import address from "onnxruntime-web/ort-wasm-simd-threaded.wasm?url";

// vite.config.ts fills it in from the installed package.
declare const __RUNTIME_FILE__: { bytes: number; sha256: string };

export const RUNTIME_NAME = "ONNX Runtime";
export const RUNTIME_FILE = { path: new URL(address, import.meta.url).href, ...__RUNTIME_FILE__ };
