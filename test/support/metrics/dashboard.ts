/** The dashboard for Grafana that ships beside nodens. */
import { readFileSync } from 'node:fs';

const FILE = new URL('../../../deploy/grafana/nodens.json', import.meta.url);

export interface DashboardPanel {
  readonly id: number;
  readonly type: string;
  readonly title: string;
  readonly description?: string;
  readonly datasource?: { readonly uid: string };
  readonly gridPos: {
    readonly x: number;
    readonly y: number;
    readonly w: number;
    readonly h: number;
  };
  readonly fieldConfig?: { readonly defaults: { readonly unit?: string } };
  readonly targets?: readonly {
    readonly refId: string;
    readonly expr: string;
    readonly datasource: { readonly uid: string };
  }[];
}

interface Dashboard {
  readonly uid: string;
  readonly panels: readonly DashboardPanel[];
  readonly templating: {
    readonly list: readonly { readonly name: string; readonly definition?: string }[];
  };
  readonly annotations: { readonly list: readonly { readonly expr: string }[] };
}

export const DASHBOARD = JSON.parse(readFileSync(FILE, 'utf8')) as Dashboard;

/** Panels that show something, without the rows above them. */
export const PANELS = DASHBOARD.panels.filter(({ type }) => type !== 'row');

/** `expr` as Grafana asks Prometheus, with values for its variables. */
export function filledIn(expr: string, job: string): string {
  return expr
    .replaceAll('$__rate_interval', '30s')
    .replaceAll('$job', job)
    .replaceAll('$instance', '.*');
}
