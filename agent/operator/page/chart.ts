/** Line charts as SVG, drawn by the agent: they need no script. */
import { type Html, html } from './html.ts';
import { SHOWN_MINUTES } from './minutes.ts';

/** One line. `color` is a class of the style sheet. */
export interface Line {
  readonly label: string;
  readonly color: 'a' | 'b';
  /** Oldest first, the last one is of now; undefined leaves a gap. */
  readonly values: readonly (number | undefined)[];
}

const WIDTH = 600;
const HEIGHT = 100;
const DASH = 8;

/** A chart with its legend. `print` writes a value of the axis. `floor` is the least value of the top of the axis. */
export function chart(
  title: string,
  lines: readonly Line[],
  print: (value: number) => string,
  floor: number,
): Html {
  const values = lines.flatMap((line) => line.values.filter((value) => value !== undefined));
  const top = Math.max(floor, ...values);
  const legend = lines.map(({ label, color, values: own }) => {
    const last = own.at(-1);
    return html`<span class="${color}">${label} ${last === undefined ? '–' : print(last)}</span> `;
  });
  const paths = lines.map(({ color, values: own }) => {
    const path = pathOf(own, top);
    return html`<path class="${color}" d="${path}"/>`;
  });
  return html`<figure><figcaption>${title} ${legend}</figcaption>
<svg viewBox="0 0 ${WIDTH} ${HEIGHT}" preserveAspectRatio="none" role="img" aria-label="${title}, last hour">${paths}</svg>
<p class="axis"><span>60 min ago</span><span>top: ${print(top)}</span><span>now</span></p></figure>
`;
}

/** The newest value is at the right edge, whatever their number. */
function pathOf(values: readonly (number | undefined)[], top: number): string {
  let path = '';
  let isDrawing = false;
  const shown = values.slice(-SHOWN_MINUTES);
  for (const [index, value] of shown.entries()) {
    if (value !== undefined) {
      const x = WIDTH * (1 - (shown.length - 1 - index) / (SHOWN_MINUTES - 1));
      const y = HEIGHT - (HEIGHT - 2) * (value / top) - 1;
      path += `${isDrawing ? 'L' : 'M'}${x.toFixed(1)} ${y.toFixed(1)}`;
      // A value without a neighbour is a dash.
      if (!isDrawing && shown[index + 1] === undefined) path += `h${-DASH}`;
    }
    isDrawing = value !== undefined;
  }
  return path;
}
