/** Plays a tape that says hello on standard output: a process of its own, for tests that change what surrounds it. */
import { playTape } from "#tape/play.ts";
import { step } from "#tape/step.ts";

playTape({ steps: [step("write", [1, "hello\n", 6], "say")], buffers: new Map(), errorFd: 4 });
playTape({ steps: [step("write", [1, "again\n", 6], "say")], buffers: new Map(), errorFd: 4 });
