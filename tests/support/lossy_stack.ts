/** The network stack on taps that lose and double frames: `lossy_stack.ts LOSS DUPLICATION`, chances of 0 to 1. */
import { injectFaults } from "../../src/netstack/device/fault_injector.ts";
import { runNetstack } from "../../src/netstack/process/main.ts";
import { makeRandom } from "../../src/netstack/wire/testing.ts";

const [loss, duplication] = process.argv.slice(2).map(Number);
const random = makeRandom(42);
process.exit(
  runNetstack((device) => injectFaults(device, { loss: loss ?? 0, duplication: duplication ?? 0 }, random)),
);
