// Package retention removes what need not be kept: a [Cleaner] what the configuration calls expired, at night, and a [Purger] what dissolved groups
// leave. [Count] says what a Cleaner would remove.
//
// Each of their transactions is small, and other writers get their turn after it. They may be stopped anywhere: the next run goes on. Nothing is
// removed that is still to be delivered or queued, and nobody can remove in the name of a process that was deposed ([store.ErrFenced]).
package retention
