// Doing something with several scans at once, after a question.

import { send } from "./api.js";
import { t } from "./labels.js";

const DEEDS = {
  stop: { can: (scan) => ["queued", "running"].includes(scan.state), run: (id) => send("POST", `/v1/scans/${id}/cancel`) },
  delete: { can: () => true, run: (id) => send("DELETE", `/v1/scans/${id}`) },
  rescan: { can: () => true, run: (id, plan) => send("POST", `/v1/scans/${id}/rescan`, { plan }) },
};

// `chosen` gives the selected scans; `done` is called with what was done and a sentence about it.
export function startBatch(root, { chosen, done }) {
  const dialog = root.querySelector("#confirm");
  const yes = dialog.querySelector("#confirm-yes");
  const plan = dialog.querySelector("#rescan-plan");
  let asked = null;

  for (const button of root.querySelectorAll("[data-batch]")) {
    button.addEventListener("click", () => {
      const name = button.dataset.batch;
      asked = { name, scans: chosen().filter(DEEDS[name].can) };
      dialog.querySelector("#confirm-words").textContent = t(`library.confirm.${name}`, { count: asked.scans.length });
      dialog.querySelector("#confirm-plan").hidden = name !== "rescan";
      yes.textContent = button.textContent;
      dialog.returnValue = "no";
      dialog.showModal();
    });
  }

  dialog.addEventListener("close", async () => {
    if (dialog.returnValue !== "yes" || !asked) return;
    const { name, scans } = asked;
    asked = null;
    const failures = [];
    for (const scan of scans) await DEEDS[name].run(scan.id, plan.value).catch((problem) => failures.push(problem));
    const words = [t(`library.did.${name}`, { count: scans.length - failures.length })];
    if (failures.length) words.push(t("library.not_done", { count: failures.length, why: failures[0].detail }));
    done(name, words.join(" · "), failures.length > 0);
  });

  // Show what can be done with those that are selected now.
  return () => {
    const scans = chosen();
    for (const button of root.querySelectorAll("[data-batch]")) button.disabled = !scans.some(DEEDS[button.dataset.batch].can);
    root.querySelector("#selected").textContent = scans.length ? t("library.selected", { count: scans.length }) : "";
  };
}
