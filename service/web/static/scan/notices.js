// Sentences to the person: some stay until they are closed, some are only spoken.

import { t } from "../labels.js";

let tray, voice, said = [];

export function startNotices(root) {
  tray = root.querySelector("#notices");
  voice = root.querySelector("#voice");
}

// One notice of a name at a time; `kind` is info, danger or ok.
export function tell(name, text, kind = "info", { sticky = false } = {}) {
  tray.querySelector(`[data-name="${name}"]`)?.remove();
  const notice = document.createElement("div");
  notice.className = `notice ${kind}`;
  notice.dataset.name = name;
  const words = document.createElement("p");
  words.textContent = text;
  notice.append(words);
  if (!sticky) {
    const close = document.createElement("button");
    close.type = "button";
    close.textContent = t("scan.close");
    close.addEventListener("click", () => notice.remove());
    notice.append(close);
  }
  tray.append(notice);
  return notice;
}

// What is said in one go is one text: screen readers speak only the last of several.
export function announce(text) {
  if (!said.length) {
    queueMicrotask(() => {
      voice.textContent = said.join(". ");
      said = [];
    });
  }
  said.push(text);
}
