// File input for uploads: files are chosen, dropped anywhere on the page (also folders), or pasted. The default models
// of this browser are asked about them.
import { signal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import { defaultModels, modelName } from "../../api/models";
import { t } from "../../i18n";
import { enqueueFiles } from "./upload-queue";

const hovering = signal(false);
let input: HTMLInputElement | null = null;

/** Open the browser's own dialog for files. */
export function openFileDialog(): void {
  input?.click();
}

/** Open the browser's own dialog for a folder; all files in it are uploaded. */
export function openFolderDialog(): void {
  const folder = document.createElement("input");
  folder.type = "file";
  folder.multiple = true;
  folder.webkitdirectory = true;
  // Files that begin with a point are the system's own.
  folder.onchange = () => uploadFiles([...(folder.files ?? [])].filter(({ name }) => !name.startsWith(".")));
  folder.click();
}

/** The file input while the worklist is shown. */
export function FileInput() {
  const field = useRef<HTMLInputElement>(null);
  useEffect(() => {
    input = field.current;
    let depth = 0;
    const hasFiles = (event: DragEvent) => event.dataTransfer?.types.includes("Files") ?? false;
    const onDragEnter = (event: DragEvent) => {
      if (!hasFiles(event)) return;
      depth += 1;
      hovering.value = true;
    };
    const onDragLeave = (event: DragEvent) => {
      if (!hasFiles(event)) return;
      depth = Math.max(0, depth - 1);
      hovering.value = depth > 0;
    };
    const onDragOver = (event: DragEvent) => {
      if (!hasFiles(event)) return;
      event.preventDefault();
      if (event.dataTransfer) event.dataTransfer.dropEffect = "copy";
    };
    const onDrop = (event: DragEvent) => {
      if (!hasFiles(event)) return;
      event.preventDefault();
      depth = 0;
      hovering.value = false;
      if (event.dataTransfer) void readFiles(event.dataTransfer).then(uploadFiles);
    };
    const onPaste = (event: ClipboardEvent) => {
      const files = [...(event.clipboardData?.files ?? [])];
      if (files.length === 0) return; // text for the field that has the focus
      event.preventDefault();
      uploadFiles(files);
    };
    addEventListener("dragenter", onDragEnter);
    addEventListener("dragleave", onDragLeave);
    addEventListener("dragover", onDragOver);
    addEventListener("drop", onDrop);
    addEventListener("paste", onPaste);
    return () => {
      input = null;
      hovering.value = false;
      removeEventListener("dragenter", onDragEnter);
      removeEventListener("dragleave", onDragLeave);
      removeEventListener("dragover", onDragOver);
      removeEventListener("drop", onDrop);
      removeEventListener("paste", onPaste);
    };
  }, []);
  return (
    <>
      <input
        ref={field}
        class="hidden"
        type="file"
        multiple
        tabIndex={-1}
        aria-label={t("work.choose")}
        onChange={(event) => {
          uploadFiles([...(event.currentTarget.files ?? [])]);
          event.currentTarget.value = ""; // the same file can be chosen again
        }}
      />
      {hovering.value && (
        <div class="drop" aria-hidden="true">
          <p>{t("work.drop")}</p>
          <p class="small">
            {defaultModels.value.length > 0
              ? t("work.empty-asked", { models: defaultModels.value.map(modelName).join(", ") })
              : t("work.asks-none")}
          </p>
        </div>
      )}
    </>
  );
}

function uploadFiles(files: File[]): void {
  if (files.length === 0) return;
  enqueueFiles(files, defaultModels.value);
}

/** Return the dropped files, including those in folders. */
async function readFiles(data: DataTransfer): Promise<File[]> {
  const entries = [...data.items].map((item) => item.webkitGetAsEntry()).filter((entry) => entry !== null);
  const plain = [...data.files];
  if (!entries.some((entry) => entry.isDirectory)) return plain;
  return (await Promise.all(entries.map(readEntry))).flat();
}

async function readEntry(entry: FileSystemEntry): Promise<File[]> {
  if (entry.isFile) return [await new Promise<File>((done, no) => (entry as FileSystemFileEntry).file(done, no))];
  const reader = (entry as FileSystemDirectoryEntry).createReader();
  const entries: FileSystemEntry[] = [];
  for (;;) {
    const chunk = await new Promise<FileSystemEntry[]>((done, no) => reader.readEntries(done, no));
    if (chunk.length === 0) break; // browsers return a folder's entries in chunks
    entries.push(...chunk);
  }
  const nested = await Promise.all(entries.filter((one) => !one.name.startsWith(".")).map(readEntry));
  return nested.flat();
}
