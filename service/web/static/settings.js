// How whoever looks wants the page to be.

import { prefs, savePrefs } from "./api.js";
import { language, t } from "./labels.js";

const form = document.getElementById("settings");
const saved = document.getElementById("saved");
const problemLine = document.getElementById("problem");
const button = form.querySelector("button");

function fill(mine) {
  for (const field of form.elements) {
    if (!(field.name in mine) || field.name === "language") continue;
    if (field.type === "checkbox") field.checked = mine[field.name];
    else field.value = mine[field.name] ?? "";
  }
}

function read() {
  const asked = {};
  for (const field of form.elements) {
    if (!field.name) continue;
    if (field.type === "checkbox") asked[field.name] = field.checked;
    else if (field.type === "number") asked[field.name] = field.value === "" ? null : field.valueAsNumber;
    else asked[field.name] = field.value;
  }
  return asked;
}

form.addEventListener("input", () => (saved.textContent = ""));

form.addEventListener("submit", async (event) => {
  event.preventDefault();
  button.disabled = true;
  problemLine.textContent = saved.textContent = "";
  try {
    const mine = await savePrefs(read());
    document.body.classList.toggle("grey", mine.grey);
    if (mine.language !== language) location.reload();
    else saved.textContent = t("settings.saved");
  } catch (problem) {
    problemLine.textContent = problem.detail;
  }
  button.disabled = false;
});

prefs().then(
  (mine) => {
    fill(mine);
    button.disabled = false;
    document.body.dataset.ready = "yes";
  },
  (problem) => (problemLine.textContent = problem.detail),
);
