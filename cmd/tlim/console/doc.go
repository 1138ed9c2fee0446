// Package console knows of a process what administrators are shown by admin/state, admin/callers, admin/config and admin/doctor.
//
// It promises that looking costs little however many look: counters are read every 5 seconds by [Console.Run] alone, the database is asked once a
// second at most, and the checks of the doctor run one at a time. It holds nothing that a message waits for: what it knows of the conveyor are its
// counters.
package console
