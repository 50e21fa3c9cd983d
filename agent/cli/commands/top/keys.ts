/** What a key does to the view of `nodens top`. */
import { SORTS } from './history.ts';
import type { View } from './screen.ts';

const ENTER = ['\r', '\n'];
const ESCAPE = '\u001b';
const BACKSPACE = ['\u007f', '\b'];
const INTERRUPT = '\u0003';
const MAX_FILTER_CHARS = 100;

/** The view before any key. */
export const FIRST_VIEW: View = { sort: 'queries', filter: '', isPaused: false, isTyping: false };

/** The view after what a terminal has sent, which may be several keys; undefined to quit. */
export function afterInput(view: View, input: string): View | undefined {
  // An arrow is an escape and more; an escape alone is a key.
  const keys = input.startsWith(ESCAPE) ? [input] : [...input];
  return keys.reduce<View | undefined>((now, key) => now && afterKey(now, key), view);
}

function afterKey(view: View, key: string): View | undefined {
  if (key === INTERRUPT) return undefined;
  if (view.isTyping) return typed(view, key);
  if (key === 'q') return undefined;
  if (key === 'p' || key === ' ') return { ...view, isPaused: !view.isPaused };
  if (key === '/') return { ...view, isTyping: true, filter: '' };
  if (key !== 's') return view;
  const next = (SORTS.indexOf(view.sort) + 1) % SORTS.length;
  return { ...view, sort: SORTS[next] ?? 'queries' };
}

function typed(view: View, key: string): View {
  if (ENTER.includes(key)) return { ...view, isTyping: false };
  if (key === ESCAPE) return { ...view, isTyping: false, filter: '' };
  if (BACKSPACE.includes(key)) return { ...view, filter: view.filter.slice(0, -1) };
  // Keys such as arrows come as several characters.
  if (key.length !== 1 || key < ' ' || view.filter.length >= MAX_FILTER_CHARS) return view;
  return { ...view, filter: view.filter + key.toLowerCase() };
}
