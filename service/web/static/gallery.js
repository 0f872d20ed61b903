// Crops of what was found over all scans. The only picture that is asked for is the one that the server has blurred
// outside the weapon's box; here that box is cut out of it.

import { timecode } from "./api.js";
import { element } from "./element.js";
import { addressOf, classOf, startFinds } from "./finds.js";
import { t } from "./labels.js";

const MARGIN = 0.15;

// The part of the picture around the box, as CSS `inset(top right bottom left)`.
function cut([left, top, right, bottom]) {
  const aside = MARGIN * (right - left), above = MARGIN * (bottom - top);
  const sides = [top - above, 1 - right - aside, 1 - bottom - above, left - aside];
  return `inset(${sides.map((each) => `${(100 * Math.min(0.99, Math.max(0, each))).toFixed(2)}%`).join(" ")})`;
}

function pictureOf(found, name) {
  const address = found.links.review;
  if (!address) return element("span", { class: "none muted", text: t("gallery.no_picture") });
  const picture = element("img", { loading: "lazy", decoding: "async", alt: t("gallery.picture", { class: name }), src: address });
  picture.style.setProperty("object-view-box", cut(found.best.box_norm));
  return picture;
}

function row(found, classes) {
  const { name: known, colour } = classOf(classes, found.class);
  const name = found.flags.includes("suspected_overlay") ? `${known} (${t("scan.overlay")})` : known;
  const confidence = found.confidence.toFixed(2), at = timecode(found.best.pts_s);
  const link = element("a", { href: addressOf(found), aria: { label: t("gallery.open", { class: name, confidence, at, name: found.scan.name }) } });
  link.append(
    pictureOf(found, name),
    element("span", { class: "caption" }, element("span", {}, element("span", { class: "swatch" }), name), element("bdi", { class: "time", dir: "ltr", text: confidence })),
  );
  const item = element("li", { class: "crop" }, link);
  item.style.setProperty("--class", colour);
  return item;
}

startFinds({ row, words: "gallery" });
