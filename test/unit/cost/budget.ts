/**
 * What a query may cost, in units that do not depend on how fast or how busy the machine is. A change that makes one of
 * these figures smaller states the smaller one here, in the same commit; one that makes it larger says in its commit
 * message what the reader of this table gets for it.
 */

/** Bytes that JavaScript allocates, with the Node of `.node-version`. */
export const ALLOCATED_BYTES = {
  /** Of a query that is answered from the cache: its time of arrival as a number, and a share of its turn's. */
  hit: 23,
  /** Of a query that an upstream answers: by `forward { force_tcp }`, and by `prefer_udp`. */
  missOverTcp: 5_400,
  missOverUdp: 5_560,
  /** Of a query that is refused because its client has no room to wait: in a flood most are. */
  refusal: 816,
};

/**
 * Instructions in native/udp for each datagram, and of init's filter for a rule of 1 KiB; amd64, `COMPILER`. Four of each
 * datagram are the look at how many wait, once in 128 full batches: a flood has to be noticed.
 */
export const INSTRUCTIONS = {
  hits: 68.8,
  misses: 79.4,
  filtered: 1_256,
};

/** Major version of gcc with which `INSTRUCTIONS` were counted. */
export const COMPILER = 12;
