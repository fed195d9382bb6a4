import type { Socket } from "node:net";
import type { SocketReader } from "./socket_reader.ts";

/** The body of a request that does not fit into memory; opened anew for each attempt. */
export interface StreamedBody {
  /** Exactly so many bytes come. */
  length: number;
  /** Pieces may share one buffer: each is written before the next is asked for. */
  open: () => AsyncIterable<Uint8Array>;
}

/** What has to go within a window: small enough for a slow line, large enough for a quick one. */
const WRITE_BYTES = 128 * 1024;

/**
 * Waits until a piece has gone to the kernel, so that no more than one is in memory; ends early when the connection is closed or an answer
 * comes. Who takes nothing for a whole window is cut off.
 */
async function writePiece(socket: Socket, piece: Uint8Array, windowMs: number): Promise<void> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  let wake = () => {};
  try {
    await new Promise<void>((resolve, reject) => {
      wake = resolve;
      socket.on("close", wake);
      socket.on("data", wake);
      timer = setTimeout(() => {
        const seconds = Math.round(windowMs / 1000);
        reject(Object.assign(new Error(`the other side took nothing for ${seconds} s`), { code: "TRICKLE" }));
        // last: it ends the write, which would seem to have worked
        socket.destroy();
      }, windowMs);
      // a failed write closes the connection, and what the reader says of it is what counts
      socket.write(piece, () => resolve());
    });
  } finally {
    clearTimeout(timer);
    socket.off("close", wake);
    socket.off("data", wake);
  }
}

/**
 * Sends a body.
 * @returns Whether all of it was sent. Not so when the other side answers before (with 401, say) or closes: then its answer is to be read,
 * and the connection carries no other request.
 * @throws {Error} What the body throws; TRICKLE.
 */
export async function sendBody(
  socket: Socket,
  reader: Pick<SocketReader, "isStale">,
  body: StreamedBody,
  windowMs: number,
): Promise<boolean> {
  let sent = 0;
  for await (const piece of body.open()) {
    sent += piece.length;
    if (sent > body.length) break;
    for (let at = 0; at < piece.length; at += WRITE_BYTES) {
      if (reader.isStale) return false;
      await writePiece(socket, piece.subarray(at, at + WRITE_BYTES), windowMs);
    }
  }
  if (sent !== body.length) throw new RangeError(`A body of ${body.length} bytes has another length`);
  return true;
}
