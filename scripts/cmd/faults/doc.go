// Command faults breaks a whole site at random while clients use it, and judges what they saw; see scripts/faults.
package main
