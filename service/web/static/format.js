// Numbers and dates in the page's language, as they are written where the reader is.

import { language } from "./labels.js";

const locale = navigator.languages.find((each) => each.split("-")[0] === language) ?? language;
const UNITS = ["byte", "kilobyte", "megabyte", "gigabyte"];

export function bytes(count) {
  const step = Math.min(UNITS.length - 1, Math.max(0, Math.floor(Math.log10(Math.max(1, count)) / 3)));
  const shown = count / 1000 ** step;
  const digits = step > 0 && shown < 100 ? 1 : 0;
  const form = { style: "unit", unit: UNITS[step], unitDisplay: step ? "short" : "long", maximumFractionDigits: digits, numberingSystem: "latn" };
  return new Intl.NumberFormat(locale, form).format(shown);
}

// How much of a clip a scan has looked at, from 0 to 1; the times of some clips begin late.
export function share({ position_s: at, starts_s: start = 0, duration_s: end }) {
  return end > start ? Math.min(1, Math.max(0, (at - start) / (end - start))) : 0;
}

export function moment(text) {
  const form = { dateStyle: "medium", timeStyle: "short", numberingSystem: "latn" };
  return new Intl.DateTimeFormat(locale, form).format(new Date(text));
}
