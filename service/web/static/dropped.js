// Files that were dropped or chosen with their folders. Of a folder what is known to be no video is left out.

const OTHER_TYPES = /^(application|audio|font|image|model|text)\//;
// Containers of video that systems take for something else.
const VIDEO_NAMES = /\.(asf|m2ts|mts|mxf|ogg|rm|rmvb|ts)$/i;

// {files, leftOut}: all that was dropped by itself, and the videos of all folders with how many others there were.
export async function droppedFiles(transfer) {
  // Entries can be had during the event only.
  const entries = [...transfer.items].filter(({ kind }) => kind === "file").map((item) => item.webkitGetAsEntry());
  if (entries.includes(null)) return { files: [...transfer.files], leftOut: 0 };
  const alone = await Promise.all(entries.filter((each) => each.isFile).map(fileOf));
  const inFolders = [];
  for (const each of entries) if (each.isDirectory) inFolders.push(...(await filesIn(each)));
  const { files, leftOut } = videosOf(inFolders);
  return { files: [...alone, ...files], leftOut };
}

export function videosOf(all) {
  const files = all.filter(({ name, type }) => !name.startsWith(".") && (VIDEO_NAMES.test(name) || !OTHER_TYPES.test(type)));
  return { files, leftOut: all.length - files.length };
}

async function filesIn(folder) {
  const found = [];
  const reader = folder.createReader();
  for (;;) {
    // Some at a time; none once there are no more.
    const entries = await new Promise((resolve, reject) => reader.readEntries(resolve, reject));
    if (!entries.length) return found;
    for (const each of entries) found.push(...(each.isDirectory ? await filesIn(each) : [await fileOf(each)]));
  }
}

function fileOf(entry) {
  return new Promise((resolve, reject) => entry.file(resolve, reject));
}
