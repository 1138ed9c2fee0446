package store_test

import (
	"strings"
	"testing"

	"tlim/store"
	"tlim/store/conformance"
)

// TestConformance: the suite of package conformance, which `tlim selftest` runs on the database of a site, on every engine of the tests.
func TestConformance(t *testing.T) {
	onEngines(t, func(t *testing.T, e engine) {
		cfg := e.fresh(t)
		x, err := store.OpenScratch(ctx, cfg, store.ScratchPrefix)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := x.Close(); err != nil {
				t.Error(err)
			}
		})
		suite := must[*conformance.Suite](t)(conformance.New(ctx, x))
		for _, b := range conformance.Behaviours() {
			t.Run(b.Name, func(t *testing.T) {
				r := must[conformance.Result](t)(suite.Run(ctx, b))
				for _, fault := range r.Faults {
					t.Error(fault)
				}
				if r.Skipped != "" {
					t.Skip(r.Skipped)
				}
				t.Log(r.Note)
			})
		}
	})
}

// TestConformanceFindsFaults: what an engine does otherwise fails some behaviour.
func TestConformanceFindsFaults(t *testing.T) {
	for what, change := range store.PlantedFaults {
		t.Run(what, func(t *testing.T) {
			cfg := sqliteEngine.fresh(t)
			store.Plant(t, change)
			x, err := store.OpenScratch(ctx, cfg, "broken_")
			if err != nil {
				t.Fatal(err)
			}
			defer x.Close()
			suite := must[*conformance.Suite](t)(conformance.New(ctx, x))
			var failed []string
			for _, b := range conformance.Behaviours() {
				r := must[conformance.Result](t)(suite.Run(ctx, b))
				if len(r.Faults) > 0 {
					failed = append(failed, b.Name+": "+r.Faults[0])
				}
			}
			if len(failed) == 0 {
				t.Error("every behaviour passed, want some to fail")
			}
			t.Log(strings.Join(failed, "\n"))
		})
	}
}
