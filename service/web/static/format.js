// Numbers and dates in the page's language.

import { language } from "./labels.js";

const UNITS = ["byte", "kilobyte", "megabyte", "gigabyte"];

export function bytes(count) {
  const step = Math.min(UNITS.length - 1, Math.max(0, Math.floor(Math.log10(Math.max(1, count)) / 3)));
  const shown = count / 1000 ** step;
  const digits = step > 0 && shown < 100 ? 1 : 0;
  const form = { style: "unit", unit: UNITS[step], unitDisplay: "short", maximumFractionDigits: digits, numberingSystem: "latn" };
  return new Intl.NumberFormat(language, form).format(shown);
}

export function moment(text) {
  const form = { dateStyle: "medium", timeStyle: "short", numberingSystem: "latn" };
  return new Intl.DateTimeFormat(language, form).format(new Date(text));
}
