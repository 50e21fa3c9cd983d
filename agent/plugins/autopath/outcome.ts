/** How a walk along a search list ended. */

/**
 * The outcome of a walk: an element of the list, that every element is denied, that an element could not be asked, or
 * that the client has caused too many questions.
 */
export interface Outcome {
  readonly element: number | 'denied' | 'failed' | 'limited';
  /** Types that exist at the element, among those that were asked for. */
  readonly types: ReadonlySet<number>;
}

/** The client goes on along its list itself. */
export const FAILED: Outcome = { element: 'failed', types: new Set() };
/** So it does, because of what it asked before. */
export const LIMITED: Outcome = { element: 'limited', types: new Set() };
