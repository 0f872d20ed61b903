// The list of uploads: files and folders dropped or chosen, a few at a time, each paused, resumed, tried again or given up by itself.

import { droppedFiles, videosOf } from "./dropped.js";
import { element } from "./element.js";
import { bytes } from "./format.js";
import { dropUpload, keptFor, keptUploads } from "./kept_uploads.js";
import { t } from "./labels.js";
import { giveUp, lookUp, Upload } from "./tus.js";

// A browser opens six connections to a server: two are for these, the others for the list and its events.
const AT_ONCE = 2;
const ENDED = ["done", "failed"];

const entries = [];
let parts, onDone;

// `options` gives the options of a scan; `done` is called with each upload that became a scan.
export function startUploads(root, { options, done }) {
  const find = (id) => root.querySelector(`#${id}`);
  parts = { box: find("uploads"), list: find("upload-list"), zone: find("drop"), voice: find("voice"), leftOut: find("left-out") };
  onDone = done;
  listenToChoice(find("choose"), find("files"), (files) => take({ files, leftOut: 0 }));
  listenToChoice(find("choose-folder"), find("folder"), (files) => take(videosOf(files)));
  listenToDrops(parts.zone, (transfer) => droppedFiles(transfer).then(take, sayUnreadable));

  function take({ files, leftOut }) {
    parts.leftOut.textContent = leftOut ? t("library.left_out", { count: leftOut }) : "";
    add(files, options());
  }
  find("pause-all").addEventListener("click", () => entries.forEach(({ upload }) => upload?.pause()));
  find("resume-all").addEventListener("click", () => {
    for (const each of entries) if (each.upload?.state === "paused") queue(each.upload);
  });
  find("clear-ended").addEventListener("click", () => {
    for (const each of [...entries]) if (each.upload && ENDED.includes(each.upload.state)) drop(each);
  });
  window.addEventListener("online", () => entries.forEach(({ upload }) => upload?.hurry()));
  window.addEventListener("beforeunload", (event) => {
    if (entries.some(({ upload }) => upload?.isActive || upload?.state === "waiting")) event.preventDefault();
  });
  showKept();
}

function sayUnreadable(error) {
  parts.leftOut.textContent = t("library.unreadable", { why: error.message });
}

function listenToChoice(button, input, take) {
  button.addEventListener("click", () => input.click());
  input.addEventListener("change", () => {
    take([...input.files]);
    input.value = "";
  });
}

function listenToDrops(zone, take) {
  const holdsFiles = (event) => event.dataTransfer?.types.includes("Files");
  document.addEventListener("dragover", (event) => {
    if (!holdsFiles(event)) return;
    event.preventDefault();
    zone.classList.add("over");
  });
  document.addEventListener("dragleave", (event) => event.relatedTarget === null && zone.classList.remove("over"));
  document.addEventListener("drop", (event) => {
    if (!holdsFiles(event)) return;
    event.preventDefault();
    zone.classList.remove("over");
    take(event.dataTransfer);
  });
}

function add(files, options) {
  for (const file of files) {
    const kept = entries.find((each) => each.kept && each.kept.name === file.name && each.kept.size === file.size && each.kept.modified === file.lastModified);
    if (kept) drop(kept);
    // Chosen twice it is sent twice: giving one up must not take the other's bytes.
    const begun = keptFor(file);
    const isTaken = entries.some(({ upload: other }) => other?.address && other.address === begun?.address);
    const upload = new Upload(file, options, (changed) => changed === upload && show(entry), isTaken ? null : begun);
    const entry = { upload, row: rowOf(file.name) };
    entries.push(entry);
    parts.list.append(entry.row.item);
    if (file.size === 0) {
      upload.state = "failed";
      upload.why = t("library.empty_file");
    }
    listenTo(entry);
    show(entry);
  }
  next();
}

function queue(upload) {
  upload.state = "waiting";
  upload.changed(upload);
  next();
}

function next() {
  const running = entries.filter(({ upload }) => upload?.isActive).length;
  const waiting = entries.filter(({ upload }) => upload?.state === "waiting");
  for (const { upload } of waiting.slice(0, Math.max(0, AT_ONCE - running))) {
    upload.run().then(() => {
      if (upload.state === "done") {
        parts.voice.textContent = `${upload.file.name}: ${t("library.upload.done")}`;
        onDone(upload);
      }
      next();
    });
  }
}

function rowOf(name) {
  const title = element("bdi", { class: "name", text: name });
  const words = element("p", { class: "muted words" });
  const meter = element("progress", { max: 100, value: 0, aria: { label: t("library.upload.progress", { name }) } });
  const button = (action) => element("button", { type: "button", text: t(`library.${action}`), aria: { label: t(`library.${action}_of`, { name }) }, data: { action }, hidden: true });
  const buttons = Object.fromEntries(["pause", "resume", "retry", "remove"].map((action) => [action, button(action)]));
  const link = element("a", { text: t("library.to_scan"), hidden: true });
  const line = element("div", { class: "line" }, link, ...Object.values(buttons));
  const item = element("li", { class: "upload" }, element("div", { class: "what" }, title, words, meter), line);
  return { item, words, meter, buttons, link };
}

function listenTo(entry) {
  const { upload, row } = entry;
  row.buttons.pause.addEventListener("click", () => upload.pause());
  row.buttons.resume.addEventListener("click", () => queue(upload));
  row.buttons.retry.addEventListener("click", () => queue(upload));
  row.buttons.remove.addEventListener("click", () => {
    upload.giveUp();
    drop(entry);
    next();
  });
}

function drop(entry) {
  entries.splice(entries.indexOf(entry), 1);
  entry.row.item.remove();
  showBox();
}

function show(entry) {
  const { upload, row } = entry;
  const { state } = upload;
  const words = wordsOf(upload);
  if (row.words.textContent !== words) row.words.textContent = words;
  row.item.dataset.state = state;
  row.meter.value = upload.percent;
  row.meter.hidden = ENDED.includes(state);
  row.buttons.pause.hidden = !(upload.isActive || state === "waiting");
  row.buttons.resume.hidden = state !== "paused";
  row.buttons.retry.hidden = state !== "failed" || upload.file.size === 0;
  row.buttons.remove.hidden = state === "done";
  row.link.hidden = state !== "done";
  if (upload.scan) row.link.href = `/scans/${upload.scan}`;
  showBox();
}

function wordsOf({ state, sent, why, percent, file, options, begunWith }) {
  const key = state === "waiting" && sent ? "paused" : state === "lost" && why ? "refused" : state;
  const words = t(`library.upload.${key}`, { percent, size: bytes(file.size), why });
  const isByOther = begunWith && state !== "failed" && planOf(begunWith) !== planOf(options);
  return isByOther ? t("library.upload.begun_by", { words, plan: planOf(begunWith) }) : words;
}

function planOf({ plan, every_s: every }) {
  return every ? `${plan}, ${every} s` : plan;
}

function showBox() {
  parts.box.hidden = entries.length === 0;
}

// What an earlier page did not finish; the browser does not hand its file over again, the person must.
function showKept() {
  for (const kept of keptUploads()) {
    lookUp(kept.address).then((found) => {
      if (found === undefined) return;
      if (found === null) {
        dropUpload(kept.address);
        return;
      }
      if (entries.some(({ upload }) => upload?.address === kept.address)) return;
      const entry = { kept, row: rowOf(kept.name) };
      const percent = Math.floor((100 * found.sent) / Math.max(1, found.size));
      entry.row.words.textContent = t("library.upload.kept", { percent, size: bytes(found.size), plan: kept.options ? planOf(kept.options) : "?" });
      entry.row.item.dataset.state = "kept";
      entry.row.meter.value = percent;
      entry.row.buttons.remove.hidden = false;
      entry.row.buttons.remove.addEventListener("click", () => {
        giveUp(kept.address);
        drop(entry);
      });
      entries.push(entry);
      parts.list.append(entry.row.item);
      showBox();
    });
  }
}
