// Package lab gives tests, the demo and the benchmarks real parts to work with: an Openfire, a Prosody and a MariaDB
// of their own (StartOpenfire, StartProsody, StartMariaDB: the scripts beside it), XMPP clients on raw sockets (Dial), unmodified
// ones (StartSmack, Interop) and a running tlim (StartTlim).
//
// All of it is on 127.0.0.1 and on ports that stay the same over a restart. Whatever a process started here ends with that
// process at the latest, also when it panics or is killed. Nothing is simulated, so an error means that a test could not be made: fail, do not skip.
//
// The client has its own framer and parser, and shares no code with the product that it is used to judge.
package lab
