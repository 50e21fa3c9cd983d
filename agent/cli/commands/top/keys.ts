/** What a key does to the view of `nodens top`. */
import { SORTS } from './history.ts';
import type { View } from './screen.ts';

const ENTER = ['\r', '\n'];
const ESCAPE = '\u001b';
const BACKSPACE = ['\u007f', '\b'];
const INTERRUPT = '\u0003';
/** A name in presentation format may have four characters for a byte. */
const MAX_TYPED_CHARS = 1_020;

/** The view before any key. */
export const FIRST_VIEW: View = {
  ...{ sort: 'queries', filter: '', isPaused: false, isTyping: false },
  ...{ flushing: undefined, isSuggested: false, toFlush: undefined, note: '' },
};

/**
 * The view after what a terminal has sent, which may be several keys; undefined to quit. `topName` is the name on top of the
 * list, which a flush suggests.
 */
export function afterInput(view: View, input: string, topName = ''): View | undefined {
  // An arrow is an escape and more; an escape alone is a key.
  const keys = input.startsWith(ESCAPE) ? [input] : [...input];
  return keys.reduce<View | undefined>((now, key) => now && afterKey(now, key, topName), view);
}

function afterKey(view: View, key: string, topName: string): View | undefined {
  if (key === INTERRUPT) return undefined;
  if (view.isTyping) return typed(view, key);
  if (view.flushing !== undefined) return typedFlush(view, view.flushing, key);
  if (key === 'q') return undefined;
  if (key === 'p' || key === ' ') return { ...view, isPaused: !view.isPaused };
  if (key === '/') return { ...view, isTyping: true, filter: '' };
  if (key === 'f') return { ...view, flushing: topName, isSuggested: true, note: '' };
  if (key !== 's') return view;
  const next = (SORTS.indexOf(view.sort) + 1) % SORTS.length;
  return { ...view, sort: SORTS[next] ?? 'queries' };
}

/** Enter asks for the flush; nothing is flushed for an empty name. */
function typedFlush(view: View, name: string, key: string): View {
  if (ENTER.includes(key))
    return { ...view, flushing: undefined, toFlush: name === '' ? undefined : name };
  if (key === ESCAPE) return { ...view, flushing: undefined };
  // A name that is typed takes the place of the suggestion; backspace changes that.
  const before = view.isSuggested && key.length === 1 && !BACKSPACE.includes(key) ? '' : name;
  return { ...view, flushing: edited(before, key), isSuggested: false };
}

function edited(text: string, key: string): string {
  if (BACKSPACE.includes(key)) return text.slice(0, -1);
  // Keys such as arrows come as several characters.
  if (key.length !== 1 || key < ' ' || text.length >= MAX_TYPED_CHARS) return text;
  return text + key.toLowerCase();
}

function typed(view: View, key: string): View {
  if (ENTER.includes(key)) return { ...view, isTyping: false };
  if (key === ESCAPE) return { ...view, isTyping: false, filter: '' };
  return { ...view, filter: edited(view.filter, key) };
}
