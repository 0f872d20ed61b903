// The heading: the clip's name and facts, how far the scan is, and what can be taken away.

import { timecode } from "../api.js";
import { share } from "../format.js";
import { t } from "../labels.js";
import { tell } from "./notices.js";
import { isOpen, state } from "./state.js";
import { legendOf } from "./timeline.js";

export function showHead(root) {
  const { clip, state: stage, progress, links, options, error } = state.scan;
  root.querySelector("#name").textContent = clip.name;
  document.title = `${clip.name} · ${t("base.name")}`;
  const facts = [
    t(`scan.state.${stage}`),
    clip.duration_s === null ? "" : timecode(clip.duration_s),
    clip.width ? `${clip.width} × ${clip.height}` : "",
    clip.codec ?? "",
    t("scan.samples", { count: state.scan.coverage?.samples ?? progress.samples }),
    `${options.model}, ${options.plan}`,
  ];
  root.querySelector("#clip-facts").replaceChildren(
    ...facts.filter(Boolean).map((text) => {
      const item = document.createElement("li");
      const part = document.createElement("bdi");
      part.textContent = text;
      item.append(part);
      return item;
    }),
  );
  if (error) tell("failed", t("scan.failed", { why: error.message }), "danger", { sticky: true });
  const meter = root.querySelector("#progress");
  meter.hidden = !isOpen();
  if (isOpen()) {
    const bar = meter.querySelector("progress");
    if (progress.duration_s) bar.value = share(progress);
    else bar.removeAttribute("value");
    meter.querySelector("p").textContent = t("scan.running", {
      at: timecode(progress.position_s), count: progress.appearances,
    });
  }
  for (const link of root.querySelectorAll("#exports [data-export]")) {
    const isOfVerdicts = link.dataset.export.startsWith("verdicts");
    link.parentElement.hidden = isOfVerdicts ? isOpen() : !(link.dataset.export in links);
  }
  for (const [name, isShown] of Object.entries(legendOf())) {
    root.querySelector(`#legend-${name}`).hidden = !isShown;
  }
}
