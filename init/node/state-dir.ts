/**
 * The folder on the node that keeps the agent's snapshot from pod to pod. The kubelet creates it for root; init gives it to
 * the agent's group. An owner may do that for a group of its own, so init needs no capability (the manifests give it the
 * agent's group), and no other user of the node can write a snapshot there.
 */
import { constants, type Stats } from 'node:fs';
import { lstat, mkdir, open, readdir, rm, rmdir } from 'node:fs/promises';
import { join } from 'node:path';
import { errnoOf, messageOf } from '../../agent/base/errors.ts';
import { distrustOfFolder } from '../../agent/base/trust.ts';
import { AGENT_UID } from '../agent/supervisor.ts';
import type { Log } from '../log.ts';

/** The same number as the user's. */
const AGENT_GID = AGENT_UID;
const MODE = 0o770;
const OWNER_WRITES = 0o300;
/** Opens no link: init would give another folder to the agent. */
const OPEN_FLAGS = constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW;
/** The snapshot as the manifests call it, one that was moved aside, and what a killed agent left half written. */
const STATE_FILE = /^cache\.snapshot(\.damaged|\.untrusted|\.tmp-[0-9a-f-]+)?$/;

/** Lets the agent write to `path`, which is made where it is missing. Never rejects: without it there is no snapshot. */
export async function prepareStateDir(path: string, log: Log): Promise<void> {
  try {
    await mkdir(path, { recursive: true, mode: MODE });
    if (await give(path)) log.info('made the folder writable for the agent', { path });
  } catch (error) {
    log.warn('cannot make the folder writable for the agent: the cache is not kept', {
      event: 'state-dir',
      path,
      error: messageOf(error),
      remedy:
        `run init in group ${AGENT_GID} or with CAP_CHOWN, on a folder of root's that is no link; ` +
        `or chown ${AGENT_UID} it and chmod o-w it on the node`,
    });
  }
}

/** Gives the folder to the agent; resolves to whether that was needed. Rejects with the system's error, for a link too. */
async function give(path: string): Promise<boolean> {
  // lstat, not open: init may not be able to read a folder of the agent.
  if (isAgents(await lstat(path))) return false;
  const folder = await open(path, OPEN_FLAGS);
  try {
    const { uid, gid } = await folder.stat();
    if (gid !== AGENT_GID) await folder.chown(uid, AGENT_GID);
    await folder.chmod(MODE);
    return true;
  } finally {
    await folder.close();
  }
}

/** What `prepareStateDir` would do now, as commands. */
export async function explainStateDir(path: string): Promise<string[]> {
  const commands = [`chgrp ${AGENT_GID} ${path}`, `chmod ${MODE.toString(8)} ${path}`];
  try {
    return isAgents(await lstat(path)) ? [] : commands;
  } catch {
    return [`mkdir -p ${path}`, ...commands];
  }
}

/**
 * Removes the snapshot and what belongs to it, and the folder, unless it holds something else or is itself a mount;
 * resolves to the paths.
 */
export async function removeStateDir(path: string): Promise<string[]> {
  const removed: string[] = [];
  for (const name of await filesIn(path)) {
    if (!STATE_FILE.test(name)) continue;
    await rm(join(path, name), { force: true });
    removed.push(join(path, name));
  }
  return (await removeFolder(path)) ? [...removed, path] : removed;
}

/** The folder is not empty, it is a mount, or init may not write the folder above. */
const FOLDER_STAYS: ReadonlySet<string> = new Set([
  ...['EEXIST', 'ENOENT', 'ENOTEMPTY'],
  ...['EBUSY', 'EROFS', 'EACCES', 'EPERM'],
]);

async function removeFolder(path: string): Promise<boolean> {
  try {
    await rmdir(path);
    return true;
  } catch (error) {
    if (FOLDER_STAYS.has(errnoOf(error))) return false;
    throw error;
  }
}

async function filesIn(path: string): Promise<string[]> {
  try {
    return await readdir(path);
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return [];
    throw error;
  }
}

function isAgents(folder: Stats): boolean {
  const { uid, gid, mode } = folder;
  if (distrustOfFolder(folder, AGENT_UID) !== undefined) return false;
  const ownerWrites = (mode & OWNER_WRITES) === OWNER_WRITES;
  return uid === AGENT_UID ? ownerWrites : gid === AGENT_GID && (mode & 0o777) === MODE;
}
