/** Most significant digits that can be asked for. */
const MAX_DIGITS = 100;

/**
 * Rounds to so many significant digits, an exact half to the even digit: Go's way. JavaScript's toFixed and toExponential round
 * a half away from zero, which makes 116.5 MB another size than docker's.
 * @param value Finite, not negative.
 * @returns The digits, and the power of ten of the first one.
 */
function roundDigits(value: number, count: number): { digits: string; exponent: number } {
  const [mantissa = "0", power = "0"] = value.toExponential(MAX_DIGITS).split("e");
  const all = mantissa.replace(".", "");
  const exponent = Number(power);
  const kept = all.slice(0, Math.max(count, 0));
  const rest = all.slice(Math.max(count, 0)).padEnd(1, "0");
  const isHalf = /^50*$/.test(rest);
  const lastIsOdd = Number(kept.at(-1) ?? 0) % 2 === 1;
  if (count < 0 || !(isHalf ? lastIsOdd : (rest[0] ?? "0") >= "5")) return { digits: kept, exponent };
  const up = String(BigInt(kept === "" ? "0" : kept) + 1n).padStart(kept.length, "0");
  return up.length > kept.length
    ? { digits: up.slice(0, Math.max(kept.length, 1)), exponent: exponent + 1 }
    : { digits: up, exponent };
}

/** `1.234568e+03`: so many digits behind the point, an exponent of two digits at least. */
export function formatExponential(value: number, precision: number): string {
  const { digits, exponent } = roundDigits(value, Math.min(precision, MAX_DIGITS - 1) + 1);
  const fraction = digits.length > 1 ? "." + digits.slice(1) : "";
  return `${digits[0]}${fraction}e${exponent < 0 ? "-" : "+"}${String(Math.abs(exponent)).padStart(2, "0")}`;
}

/** `2.50`: so many digits behind the point. */
export function formatFixed(value: number, precision: number): string {
  if (value >= 1e21) return BigInt(value).toString() + (precision > 0 ? "." + "0".repeat(precision) : "");
  if (value === 0) return (0).toFixed(Math.min(precision, MAX_DIGITS));
  const places = Math.min(precision, MAX_DIGITS);
  const first = Number(value.toExponential(MAX_DIGITS).split("e")[1]);
  const { digits, exponent } = roundDigits(value, first + 1 + places);
  if (digits === "") return (0).toFixed(places);
  const whole = exponent < 0 ? "0" : digits.slice(0, exponent + 1).padEnd(exponent + 1, "0");
  const fraction = exponent < 0 ? "0".repeat(-exponent - 1) + digits : digits.slice(exponent + 1);
  return places === 0 ? whole : `${whole}.${fraction.padEnd(places, "0").slice(0, places)}`;
}

/** %.3g: significant digits, without zeros at the end, with an exponent where that is below −4 or not below the precision. */
export function formatGeneral(value: number, precision: number): string {
  const count = Math.min(Math.max(precision, 1), MAX_DIGITS);
  const { exponent } = roundDigits(value, count);
  if (value !== 0 && (exponent < -4 || exponent >= count)) {
    const [mantissa = "", power = ""] = formatExponential(value, count - 1).split("e");
    return `${dropZeros(mantissa)}e${power}`;
  }
  return dropZeros(formatFixed(value, Math.max(count - 1 - exponent, 0)));
}

function dropZeros(text: string): string {
  if (!text.includes(".")) return text;
  let end = text.length;
  while (text[end - 1] === "0") end--;
  return text.slice(0, text[end - 1] === "." ? end - 1 : end);
}
