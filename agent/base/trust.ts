/**
 * Which files a process trusts: files that it reads back must have been written by itself or by root. The caller passes
 * the system's facts about the file, without following links.
 */

/** Results of `lstat` and `fstat`. */
export interface FileFacts {
  readonly uid: number;
  readonly mode: number;
  isFile(): boolean;
  isDirectory(): boolean;
  isSymbolicLink(): boolean;
  isFIFO(): boolean;
  isSocket(): boolean;
}

const ROOT = 0;
const GROUP_OR_OTHERS_WRITE = 0o022;
const OTHERS_WRITE = 0o002;
/** In such a folder only a file's owner can rename or remove it. */
const STICKY = 0o1000;

/** Why a process of `ownUid` must not trust this file, as a text after "it"; undefined if it may. */
export function distrustOfFile(facts: FileFacts, ownUid: number): string | undefined {
  if (!facts.isFile()) return `is ${kindOf(facts)}, not a regular file`;
  if (!isOurs(facts, ownUid)) return `belongs to uid ${facts.uid}, not to uid ${ownUid} or root`;
  if ((facts.mode & GROUP_OR_OTHERS_WRITE) === 0) return undefined;
  return `can be written by others than its owner (mode ${modeText(facts)})`;
}

/** Why a process of `ownUid` must not rely on files in this folder; text as in `distrustOfFile`. */
export function distrustOfFolder(facts: FileFacts, ownUid: number): string | undefined {
  if (!facts.isDirectory()) return `is ${kindOf(facts)}, not a folder`;
  if (!isOurs(facts, ownUid)) return `belongs to uid ${facts.uid}, not to uid ${ownUid} or root`;
  if ((facts.mode & (OTHERS_WRITE | STICKY)) !== OTHERS_WRITE) return undefined;
  return `can be written by every user of the node (mode ${modeText(facts)})`;
}

function isOurs({ uid }: FileFacts, ownUid: number): boolean {
  return uid === ownUid || uid === ROOT;
}

function kindOf(facts: FileFacts): string {
  if (facts.isSymbolicLink()) return 'a symbolic link';
  if (facts.isDirectory()) return 'a folder';
  if (facts.isFIFO()) return 'a FIFO';
  if (facts.isSocket()) return 'a socket';
  return facts.isFile() ? 'a file' : 'a device';
}

function modeText({ mode }: FileFacts): string {
  return (mode & 0o7777).toString(8).padStart(4, '0');
}
