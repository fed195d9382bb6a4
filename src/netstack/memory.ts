/**
 * All bytes that the stack touches lie in one piece of memory, seen through one Uint8Array and one DataView: frames that
 * come, headers that go, and the rings of connections. Places in it are offsets; system calls add `address`.
 *
 * Its size is the bound of what the stack can hold, whatever containers do.
 *
 * @module
 */
export interface Memory {
  readonly bytes: Uint8Array<ArrayBuffer>;
  readonly view: DataView<ArrayBuffer>;
  /** The address of the first byte; 0 in a simulation, where no system call sees it. */
  readonly address: number;
}

/** Memory of the JavaScript heap, for tests and simulations. */
export function makeTestMemory(sizeBytes: number): Memory {
  const buffer = new ArrayBuffer(sizeBytes);
  return { bytes: new Uint8Array(buffer), view: new DataView(buffer), address: 0 };
}
