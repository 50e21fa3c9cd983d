/**
 * Loaded into a process by `--import`: on SIGUSR2 its event loop is blocked, without using CPU. `?ms=10000` says how
 * long; with `&share=0.95` it runs now and then, for 5 % of that time.
 */
const options = new URL(import.meta.url).searchParams;
const totalMs = Number(options.get('ms') ?? 10_000);
const share = Number(options.get('share') ?? 1);
const SLICE_MS = 200;
const neverWoken = new Int32Array(new SharedArrayBuffer(4));

const block = (ms) => Atomics.wait(neverWoken, 0, 0, ms);

process.on('SIGUSR2', () => {
  const endMs = performance.now() + totalMs;
  if (share >= 1) {
    block(totalMs);
    return;
  }
  const turn = () => {
    if (performance.now() > endMs) return;
    block(SLICE_MS * share);
    setTimeout(turn, SLICE_MS * (1 - share));
  };
  turn();
});
