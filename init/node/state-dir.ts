/**
 * The folder of the node that keeps the agent's snapshot from pod to pod. The kubelet makes it root's; here it becomes
 * the agent's group's. An owner may do that for a group that it is in itself: no capability is needed (the manifests
 * give init the agent's group), and nobody else on the node can put a cache there.
 */
import { constants, type Stats } from 'node:fs';
import { lstat, mkdir, open, readdir, rm, rmdir } from 'node:fs/promises';
import { join } from 'node:path';
import { errnoOf, messageOf } from '../../agent/base/errors.ts';
import { distrustOfFolder } from '../../agent/base/trust.ts';
import { AGENT_UID } from '../agent/supervisor.ts';
import type { Log } from '../log.ts';

/** Its number is its user's. */
const AGENT_GID = AGENT_UID;
const MODE = 0o770;
const OWNER_WRITES = 0o300;
/** The folder itself: a link in its place would have another folder given away. */
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

/** Makes the folder the agent's; resolves to whether it was not. Rejects with what the system says, for a link too. */
async function give(path: string): Promise<boolean> {
  // Not opened: one that is the agent's alone need not be readable here.
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

/** Something else is in it, it is a mount, or the folder above is not ours to write. */
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
