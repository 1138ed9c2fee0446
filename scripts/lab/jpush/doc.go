// Package jpush plays the push vendor of the shipped apps: its REST API v3 as it is documented, for one app, on loopback. No phone rings;
// what would ring is kept for a test to look at. It shares no code with the product that it is used to judge.
package jpush
