// Search over all scans.

import { timecode } from "./api.js";
import { element } from "./element.js";
import { addressOf, classOf, startFinds } from "./finds.js";
import { moment } from "./format.js";
import { t } from "./labels.js";

function verdictWords(verdict, classes) {
  const name = t(`verdict.${verdict.verdict}`);
  const said = verdict.class ? t("search.into", { verdict: name, class: classOf(classes, verdict.class).name }) : name;
  return t("search.by", { verdict: said, reviewer: verdict.reviewer });
}

function verdictLine(verdict, classes) {
  const line = element("li", { dir: "auto" }, verdictWords(verdict, classes));
  if (verdict.note) line.append(" ", element("q", { text: verdict.note, dir: "auto" }));
  return line;
}

function pictureOf(found, name) {
  const address = found.links.review;
  if (!address) return element("p", { class: "picture none muted", text: t("search.no_picture") });
  return element("img", { class: "picture", loading: "lazy", decoding: "async", alt: t("search.picture", { class: name }), src: address });
}

function row(found, classes) {
  const { name, colour } = classOf(classes, found.class);
  const title = element("a", { href: addressOf(found), text: name });
  title.setAttribute("aria-label", t("search.open", { class: name, at: timecode(found.best.pts_s), name: found.scan.name }));
  const when = element("bdi", { class: "time", dir: "ltr", text: `${timecode(found.first_seen_s)} → ${timecode(found.last_seen_s)}` });
  const words = element(
    "div",
    { class: "words" },
    element("h3", {}, element("span", { class: "swatch" }), title),
    element("p", { class: "name", text: found.scan.name, dir: "auto" }),
    element("p", { class: "muted" }, when, ` · ${t("search.confidence", { confidence: found.confidence.toFixed(2) })} · ${moment(found.scan.created_at)}`),
  );
  if (found.flags.includes("suspected_overlay")) words.append(element("p", { class: "muted", text: t("scan.overlay") }));
  if (found.review?.state === "disagreed") words.append(element("p", { class: "disagreed", text: t("search.disagreed") }));
  if (found.verdicts.length) words.append(element("ul", { class: "plain verdicts" }, ...found.verdicts.map((each) => verdictLine(each, classes))));
  const item = element("li", { class: "find panel" }, pictureOf(found, name), words);
  item.style.setProperty("--class", colour);
  return item;
}

startFinds({ row, words: "search" });
