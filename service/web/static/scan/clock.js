// HH:MM:SS.mmm, the form of times in the report; halves are rounded up on the number as written.

export function clock(seconds) {
  const sign = seconds < 0 ? "-" : "";
  const milliseconds = Math.round(Math.abs(seconds) * 1000 + 1e-6);
  const part = (size, most) => String(Math.floor(milliseconds / size) % most).padStart(2, "0");
  const hours = String(Math.floor(milliseconds / 3600000)).padStart(2, "0");
  return `${sign}${hours}:${part(60000, 60)}:${part(1000, 60)}.${String(milliseconds % 1000).padStart(3, "0")}`;
}
