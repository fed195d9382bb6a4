import assert from "node:assert/strict";
import { test } from "node:test";
import { formatExponential, formatFixed, formatGeneral } from "./decimal.ts";
import { seededRandom } from "../../../tests/support/random.ts";

test("an exact half is rounded to the even digit", () => {
  assert.deepEqual([0.5, 1.5, 2.5, 3.5].map((value) => formatFixed(value, 0)), ["0", "2", "2", "4"]);
  assert.deepEqual([0.125, 0.375, 2.675].map((value) => formatFixed(value, 2)), ["0.12", "0.38", "2.67"]);
  assert.deepEqual([116.5, 117.5, 1165].map((value) => formatGeneral(value, 3)), ["116", "118", "1.16e+03"]);
  assert.equal(formatExponential(2.5, 0), "2e+00");
});

test("rounding may add a digit", () => {
  assert.equal(formatFixed(9.99, 1), "10.0");
  assert.equal(formatFixed(0.96, 0), "1");
  assert.equal(formatFixed(0.0996, 2), "0.10");
  assert.equal(formatGeneral(999.999, 3), "1e+03");
  assert.equal(formatExponential(9.996, 2), "1.00e+01");
});

test("away from halves the results are those of JavaScript", () => {
  const random = seededRandom(7);
  for (let round = 0; round < 5000; round++) {
    const state = random.below(2 ** 32);
    const value = (state + 1 / 3) / 2 ** 20 * 10 ** (state % 13 - 6);
    const precision = state % 9;
    assert.equal(
      formatFixed(value, precision),
      value.toFixed(precision),
      `${value} ${precision} (seed 7, round ${round})`,
    );
    const [mantissa, power] = value.toExponential(precision).split("e");
    const wanted = `${mantissa}e${power?.replace(/^([+-])(\d)$/, "$10$2")}`;
    assert.equal(formatExponential(value, precision), wanted, `${value} ${precision}`);
  }
});

test("zero, small and huge values", () => {
  assert.deepEqual([formatFixed(0, 2), formatGeneral(0, 3), formatExponential(0, 1)], ["0.00", "0", "0.0e+00"]);
  assert.equal(formatFixed(1e21, 1), "1000000000000000000000.0");
  assert.equal(formatFixed(0.0000001, 3), "0.000");
  assert.equal(formatGeneral(0.00001234, 3), "1.23e-05");
});
