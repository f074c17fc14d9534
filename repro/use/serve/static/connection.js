// One WebSocket to the server, one picture in flight. When the server goes away, tries again with growing pauses.

const IDLE = 4000;
const NO_NETWORK = 4001;
const TRY_LATER = 1013;
const FIRST_PAUSE_MS = 500;
const LONGEST_PAUSE_MS = 8000;
const ANSWER_MS = 10_000;

export class Connection {
  #socket = null;
  #timer = 0;
  #pauseMs = FIRST_PAUSE_MS;
  #ready = Promise.withResolvers();
  #isReady = false;
  #answer = null;
  #last = Promise.resolve();
  #report;
  #network;

  /** report(state, details): "connecting"; "ready" with what the server says of itself; "idle"; "full"; "away"; "gone",
   * if there is no such network. network(): its key. */
  constructor(report, network) {
    this.#report = report;
    this.#network = network;
  }

  /** Connects again, to another network. Pictures that wait for an answer get none. */
  reopen() {
    clearTimeout(this.#timer);
    const socket = this.#socket;
    if (socket) {
      socket.onclose = socket.onmessage = null;
      socket.close();
      this.#lost();
    }
    this.open();
  }

  /** Connects, unless it is connected or about to be. */
  open() {
    if (this.#socket) return;
    clearTimeout(this.#timer);
    this.#report("connecting");
    // beside the page: where a token is asked for, its address is that of the session
    const socket = new WebSocket(`ws://${location.host}${location.pathname}live?network=${encodeURIComponent(this.#network())}`);
    this.#socket = socket;
    socket.onmessage = ({ data }) => this.#receive(JSON.parse(data));
    socket.onclose = ({ code }) => this.#closed(code);
  }

  /** The answer to one picture and the milliseconds until it was there, or null where the connection was lost. */
  ask(jpeg) {
    this.#last = this.#last.then(() => this.#askNow(jpeg));
    return this.#last;
  }

  async #askNow(jpeg) {
    this.open();
    await this.#ready.promise;
    const start = performance.now();
    this.#answer = Promise.withResolvers();
    this.#socket.send(jpeg);
    const late = setTimeout(() => this.#socket?.close(), ANSWER_MS);
    const answer = await this.#answer.promise;
    clearTimeout(late);
    return answer && { answer, roundTripMs: performance.now() - start };
  }

  #receive(message) {
    if (message.kind === "ready") {
      this.#pauseMs = FIRST_PAUSE_MS;
      this.#isReady = true;
      this.#ready.resolve();
      this.#report("ready", message);
    } else {
      this.#answer?.resolve(message);
    }
  }

  #lost() {
    this.#socket = null;
    if (this.#isReady) this.#ready = Promise.withResolvers(); // else whoever waits for it keeps waiting
    this.#isReady = false;
    this.#answer?.resolve(null);
  }

  #closed(code) {
    this.#lost();
    if (code === IDLE || code === NO_NETWORK) {
      this.#report(code === IDLE ? "idle" : "gone");
      return;
    }
    this.#report(code === TRY_LATER ? "full" : "away");
    this.#timer = setTimeout(() => this.#again(), this.#pauseMs);
    this.#pauseMs = Math.min(2 * this.#pauseMs, LONGEST_PAUSE_MS);
  }

  async #again() {
    // A server that was started again asks for its token again, which a WebSocket cannot tell from a server that is away.
    const response = await fetch(location.pathname, { method: "HEAD" }).catch(() => null);
    if (response?.status === 401) location.reload();
    else this.open();
  }
}
