// The keyboard: one table, of which the help is made. A letter counts by its place where the layout has no Latin ones.

import { keep, recall } from "../kept.js";
import { t } from "../labels.js";

const OFF = "ordnance.scan.keys";
let bindings = [];
let help, list, toggle;

// `table` has {keys, codes, shift, shown, label, held, run}; `keys` are compared with KeyboardEvent.key, letters in lower
// case. What is not `held` is done once however long its key is held down: a verdict is on what was seen.
export function startKeys(root, table) {
  bindings = table;
  help = root.querySelector("#help");
  list = help.querySelector("dl");
  toggle = help.querySelector("#keys-on");
  toggle.checked = recall(OFF) !== "off";
  toggle.addEventListener("change", () => keep(OFF, toggle.checked ? "on" : "off"));
  help.querySelector("[value=cancel]").addEventListener("click", () => help.close());
  document.addEventListener("keydown", onKey);
  for (const { shown, label } of bindings) {
    const row = document.createElement("div");
    const term = document.createElement("dt");
    for (const key of shown) {
      const cap = document.createElement("kbd");
      cap.textContent = key;
      term.append(cap, " ");
    }
    const what = document.createElement("dd");
    what.textContent = t(label);
    row.append(term, what);
    list.append(row);
  }
}

export function toggleHelp() {
  if (help.open) help.close();
  else help.showModal();
}

function onKey(event) {
  if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.isComposing || isTyping(event.target)) return;
  const found = bindings.find((each) => matches(each, event));
  if (!found) return;
  if (document.querySelector("dialog[open]")) {
    if (found.label === "scan.key.help") found.run();
    return;
  }
  if (!toggle.checked && found.label !== "scan.key.help") return;
  if (isPressing(event)) return;
  event.preventDefault();
  if (found.held || !event.repeat) found.run(event);
}

function matches({ keys, codes, shift }, event) {
  if (shift !== undefined && shift !== event.shiftKey) return false;
  if (keys.includes(event.key) || keys.includes(event.key.toLowerCase())) return true;
  return !/^[\x20-\x7e]$/.test(event.key) && event.key.length === 1 && (codes ?? []).includes(event.code);
}

function isTyping(target) {
  if (target.isContentEditable || target.matches("textarea, select")) return true;
  return target.matches("input") && !["checkbox", "radio", "button", "range"].includes(target.type);
}

// A focused button, link or slider keeps the keys by which it is worked.
function isPressing(event) {
  const { target, key } = event;
  if (target.matches("button, summary, input[type=checkbox]") && (key === " " || key === "Enter")) return true;
  if (target.matches("a[href]") && key === "Enter") return true;
  return target.matches("input[type=range]") && /^(Arrow|Home|End|Page)/.test(key);
}
