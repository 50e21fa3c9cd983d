#!/usr/bin/env node
/** Process edge of `kubectl nodens`: kubectl finds the plugin by the name of its program. */
import { pluginMain } from './cli/cluster/kubectl-nodens.ts';

process.exit(await pluginMain(process.argv.slice(2)));
