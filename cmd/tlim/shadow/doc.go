// Package shadow compares what tlim would have done with what the old plugin has done, beside the running plugin.
//
// tlim's own service decides, on packet copies of what clients send. What it would write goes into a scratch database of its own, and what it
// would send goes nowhere. What is asked of the site's database is read: [Database] has the groups and old messages of the site, and all else of the
// scratch one. [Comparison] holds each decision against the plugin's rows, which come a moment later, and [Report] says what it found.
//
// Each difference has a rule of component/PROTOCOL.md that makes it, or none: then it is unexplained.
package shadow
