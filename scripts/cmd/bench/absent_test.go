package main

import (
	"slices"
	"testing"
)

// TestAbsentNames: with those who are there they make the large group, and none of them is there.
func TestAbsentNames(t *testing.T) {
	all := slices.Concat(userNames("m"), absentNames())
	slices.Sort(all)
	if len(slices.Compact(all)) != largeGroup {
		t.Errorf("the group has %d members, want length %v", len(all), largeGroup)
	}
}
