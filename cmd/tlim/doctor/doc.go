// Package doctor looks at a whole set-up, Openfire, database and host, and says what is wrong with it and what to do.
//
// It changes nothing: no row, no file, no setting. It prints no secret and nothing that people wrote. Checks run side by side, each for
// a bounded time, and all of them end within [MaxTime], whatever does not answer. A check that needs what another one could not get is
// skipped and says why.
//
// Beside a process that serves and is linked, the link is that process's: a second connection of the same name is refused by Openfire,
// and would get the first one's messages where it is not. Beside one without a link nobody has the name, and the doctor tries it.
package doctor
