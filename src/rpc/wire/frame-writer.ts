/** Frames of one turn of the event loop are written together, gathered in pieces of this size. */
const SLAB_BYTES = 64 * 1024;
/** Larger ones are handed on as they are. */
const LARGE_BYTES = 16 * 1024;

/** Gathers frames, so that all of one turn of the event loop are one write: it is the system calls that cost. */
export class FrameWriter {
  readonly #write: (bytes: Buffer) => void;
  /** Filled from the front; what was written belongs to the kernel's queue and is not touched again. */
  #slab = Buffer.alloc(0);
  #from = 0;
  #to = 0;
  #scheduled = false;
  readonly #tick = () => {
    this.#scheduled = false;
    this.flush();
  };

  constructor(write: (bytes: Buffer) => void) {
    this.#write = write;
  }

  /** Bytes that were not handed on yet. */
  get gathered(): number {
    return this.#to - this.#from;
  }

  add(frame: Buffer): void {
    if (frame.length >= LARGE_BYTES) {
      this.flush();
      this.#write(frame);
      return;
    }
    if (this.#to + frame.length > this.#slab.length) {
      this.flush();
      this.#slab = Buffer.allocUnsafeSlow(SLAB_BYTES);
      this.#from = 0;
      this.#to = 0;
    }
    this.#slab.set(frame, this.#to);
    this.#to += frame.length;
    if (this.#scheduled) return;
    this.#scheduled = true;
    process.nextTick(this.#tick);
  }

  flush(): void {
    if (this.#from === this.#to) return;
    const bytes = this.#slab.subarray(this.#from, this.#to);
    this.#from = this.#to;
    this.#write(bytes);
  }
}
