// How files come in: chosen, dropped anywhere on the page (folders too), or pasted. They are asked about with the models
// that this browser asks by habit.
import { signal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import { habit, nameOf } from "../../api/models";
import { t } from "../../i18n";
import { upload } from "./upload-queue";

const hovering = signal(false);
let input: HTMLInputElement | null = null;

/** Open the browser's own dialog for files. */
export function choose(): void {
  input?.click();
}

/** The way in for files, while the worklist is shown. */
export function Intake() {
  const field = useRef<HTMLInputElement>(null);
  useEffect(() => {
    input = field.current;
    let depth = 0;
    const hasFiles = (event: DragEvent) => event.dataTransfer?.types.includes("Files") ?? false;
    const enter = (event: DragEvent) => {
      if (!hasFiles(event)) return;
      depth += 1;
      hovering.value = true;
    };
    const leave = (event: DragEvent) => {
      if (!hasFiles(event)) return;
      depth = Math.max(0, depth - 1);
      hovering.value = depth > 0;
    };
    const over = (event: DragEvent) => {
      if (!hasFiles(event)) return;
      event.preventDefault();
      if (event.dataTransfer) event.dataTransfer.dropEffect = "copy";
    };
    const dropped = (event: DragEvent) => {
      if (!hasFiles(event)) return;
      event.preventDefault();
      depth = 0;
      hovering.value = false;
      if (event.dataTransfer) void filesIn(event.dataTransfer).then(take);
    };
    const pasted = (event: ClipboardEvent) => {
      const files = [...(event.clipboardData?.files ?? [])];
      if (files.length === 0) return; // text, for whatever field has the focus
      event.preventDefault();
      take(files);
    };
    addEventListener("dragenter", enter);
    addEventListener("dragleave", leave);
    addEventListener("dragover", over);
    addEventListener("drop", dropped);
    addEventListener("paste", pasted);
    return () => {
      input = null;
      hovering.value = false;
      removeEventListener("dragenter", enter);
      removeEventListener("dragleave", leave);
      removeEventListener("dragover", over);
      removeEventListener("drop", dropped);
      removeEventListener("paste", pasted);
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
        accept=".png,.jpg,.jpeg,.webp,.tif,.tiff,.dcm,.dicom,.zip,image/png,image/jpeg,image/webp,image/tiff,application/dicom,application/zip,application/octet-stream"
        onChange={(event) => {
          take([...(event.currentTarget.files ?? [])]);
          event.currentTarget.value = ""; // the same file can be chosen again
        }}
      />
      {hovering.value && (
        <div class="drop" aria-hidden="true">
          <p>{t("work.drop")}</p>
          <p class="small">
            {habit.value.length > 0
              ? t("work.empty-asked", { models: habit.value.map(nameOf).join(", ") })
              : t("work.asks-none")}
          </p>
        </div>
      )}
    </>
  );
}

function take(files: File[]): void {
  if (files.length === 0) return;
  upload(files, habit.value);
}

/** Return the files that were dropped, those in folders too. */
async function filesIn(data: DataTransfer): Promise<File[]> {
  const entries = [...data.items].map((item) => item.webkitGetAsEntry()).filter((entry) => entry !== null);
  const plain = [...data.files];
  if (!entries.some((entry) => entry.isDirectory)) return plain;
  return (await Promise.all(entries.map(within))).flat();
}

async function within(entry: FileSystemEntry): Promise<File[]> {
  if (entry.isFile) return [await new Promise<File>((done, no) => (entry as FileSystemFileEntry).file(done, no))];
  const reader = (entry as FileSystemDirectoryEntry).createReader();
  const found: FileSystemEntry[] = [];
  for (;;) {
    const some = await new Promise<FileSystemEntry[]>((done, no) => reader.readEntries(done, no));
    if (some.length === 0) break; // a folder is read in parts
    found.push(...some);
  }
  const inside = await Promise.all(found.filter((one) => !one.name.startsWith(".")).map(within));
  return inside.flat();
}
