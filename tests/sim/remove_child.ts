/**
 * Removes trees that others remove at the same time.
 *
 *     remove_child.ts DIR…
 */

import { removePath } from "#storage/remove_tree.ts";

for (const path of process.argv.slice(2)) removePath(path);
