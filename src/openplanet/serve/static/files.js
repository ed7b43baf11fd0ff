/* Files that were dropped, folders included, and files to save. */

const PHOTOS = /\.(jpe?g|jpe|jfif|mpo|hei[cf]|hif|avif|png|webp|tiff?)$/i;

/** The photos of a drop; of folders all below them that have a photo's name. */
export async function filesOf(transfer) {
  const entries = [...transfer.items].map((item) => item.webkitGetAsEntry && item.webkitGetAsEntry());
  if (!entries.some((entry) => entry && entry.isDirectory)) return [...transfer.files];
  const found = [];
  for (const entry of entries) if (entry) await walk(entry, found);
  return found;
}

async function walk(entry, found) {
  if (entry.isFile) {
    const file = await new Promise((resolve, reject) => entry.file(resolve, reject));
    if (PHOTOS.test(file.name)) found.push(file);
    return;
  }
  const reader = entry.createReader();
  for (;;) { // it gives some at a time
    const some = await new Promise((resolve, reject) => reader.readEntries(resolve, reject));
    if (!some.length) return;
    for (const each of some) await walk(each, found);
  }
}

export function save(name, text) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([text]));
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}
