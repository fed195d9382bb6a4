/**
 * System calls by name, with results turned into a value or an {@linkcode OsError}.
 *
 * @module
 */
import { syscall, type Word } from "#ffi/mod.ts";
import { errnoName, OsError } from "./errno.ts";
import { HOST_ARCH } from "./arch.ts";
import { syscallNumber } from "./syscall_numbers.ts";

declare const brand: unique symbol;
/** A number that says what it is: a pid is not an fd. */
export type Brand<T, Name extends string> = T & { readonly [brand]: Name };

/** An open file descriptor of this process. Made by calls that open, and nowhere else. */
export type Fd = Brand<number, "Fd">;
/** A process id as this process sees it. */
export type Pid = Brand<number, "Pid">;

const numbers = new Map<string, number>();

/** The number of a call on this machine, remembered. */
export function numberOf(name: string): number {
  let nr = numbers.get(name);
  if (nr === undefined) {
    nr = syscallNumber(HOST_ARCH, name);
    numbers.set(name, nr);
  }
  return nr;
}

/** One system call by name; returns its result, or minus errno. EINTR is not retried. */
export function tryCall(name: string, ...args: Word[]): number {
  return syscall(numberOf(name), ...args);
}

/**
 * One system call by name, on an object that an error can name.
 * @returns The result, zero or more.
 * @throws {OsError} When the kernel refuses.
 */
export function call(name: string, object: string, ...args: Word[]): number {
  return expectResult(tryCall(name, ...args), name, object);
}

/** Turns a raw result into a value or an {@linkcode OsError}. */
export function expectResult(result: number, callName: string, object: string, hint?: string): number {
  if (result >= 0) return result;
  throw new OsError({ call: callName, object, code: errnoName(-result), ...(hint === undefined ? {} : { hint }) });
}
