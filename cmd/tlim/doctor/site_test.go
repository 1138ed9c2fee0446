package doctor

import (
	"os"
	"strings"
	"testing"
)

// What a check waits for is there and waits for nobody who waits for it, and CONFIG.md has every check.
func TestChecksFitTogether(t *testing.T) {
	config, err := os.ReadFile("../CONFIG.md")
	if err != nil {
		t.Fatal(err)
	}
	_, section, _ := strings.Cut(string(config), "\n### tlim doctor\n")
	section, _, _ = strings.Cut(section, "\n## ")
	checks := map[string]Check{}
	for _, c := range (&Site{}).Checks() {
		if _, twice := checks[c.ID]; twice || c.Name == "" {
			t.Errorf("%s: got the name %q, listed before: %v; want a name, listed once", c.ID, c.Name, twice)
		}
		checks[c.ID] = c
		part, rest, inside := strings.Cut(c.ID, ".")
		listed := strings.Contains(section, "`"+c.ID+"`") || inside && strings.Contains(section, "`."+rest+"`") || part == "rows" && strings.Contains(section, "`rows.<table>`")
		if !listed && c.ID != "openfire.asking" && c.ID != "openfire.leaving" { // these two tell of the command itself
			t.Errorf("CONFIG.md, tlim doctor: got no %s, want it there", c.ID)
		}
	}
	var follow func(id string, way []string)
	follow = func(id string, way []string) {
		c, there := checks[id]
		if !there || len(way) > len(checks) {
			t.Fatalf("%q wait for %s: got it there %v, want it there and waiting for none of them", way, id, there)
		}
		for _, next := range append(append([]string{}, c.Needs...), c.After...) {
			follow(next, append(way, id))
		}
	}
	for id := range checks {
		follow(id, nil)
	}
}
